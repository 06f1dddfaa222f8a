"""The bar's budgets: caps hold at once, across processes, restarts and clocks, and amounts are exact."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from mcp.client import Client

from kontext_server.simulator.serve import Running, running
from kontext_tools.budget import Caps, Price, Unit
from kontext_tools.errors import BudgetExceeded
from kontext_tools.jobs import JobStatus
from kontext_tools.stores import sql_ledger, sql_reads
from kontext_tools.stores.database import Database
from kontext_tools.stores.sqlite import SqliteStore
from support.at_simulator import ENDED, at_simulator, charged_at, creates_at
from support.fake_clock import START, FakeClock
from support.looking_in import DataFolder
from support.rows import a_job
from support.stdio_server import PHOTOS, call, connected, fields_of

pytestmark = pytest.mark.anyio

CAT = str(PHOTOS / "chelsea.png")
WITHIN_S = 60
DAY_S = 86_400
TWO_A_DAY = Caps(daily={Unit.CREDIT: Decimal(240)}, per_call={}, confirm_above={})
JOB_SECONDS = 0.1


async def _many(client: Client, name: str, count: int, told: Counter[str]) -> None:
    """Make so many different calls at once and count what became of them."""

    async def one(n: int) -> None:
        fields = fields_of(await call(client, "edit_image", image=CAT, prompt=f"{name} {n}"))
        told[fields["error"]["code"] if "error" in fields else fields["status"]] += 1

    async with anyio.create_task_group() as tasks:
        for n in range(count):
            tasks.start_soon(one, n)


async def test_C13_of_ten_calls_at_once_a_cap_of_three_lets_three_pass(tmp_path: Path, simulator: Running) -> None:
    told: Counter[str] = Counter()
    settings = simulator.settings | {"KONTEXT_DAILY_BUDGET": "360 credit"}
    with anyio.fail_after(WITHIN_S):
        async with connected(tmp_path, settings) as client:
            await _many(client, "edit", 10, told)
    assert told == {"completed": 3, "budget_exceeded": 7}
    assert (charged_at(simulator), len(creates_at(simulator))) == (3, 3)


async def test_C14_four_images_reserve_four_prices(tmp_path: Path, simulator: Running) -> None:
    asked = {"image": CAT, "prompt": "Make it sepia", "num_images": 4}
    settings = simulator.settings_of("runflow") | {"RUNFLOW_PRICE": "0.04 usd"}
    with anyio.fail_after(WITHIN_S):
        async with connected(tmp_path / "less", settings | {"KONTEXT_DAILY_BUDGET": "0.159 usd"}) as client:
            refused = fields_of(await call(client, "edit_image", **asked))
        sent_on_a_smaller_cap = simulator.state.counter()["creates"]["runflow"]
        async with connected(tmp_path / "enough", settings | {"KONTEXT_DAILY_BUDGET": "0.16 usd"}) as client:
            served = fields_of(await call(client, "edit_image", **asked))
    assert (refused["error"]["code"], sent_on_a_smaller_cap) == ("budget_exceeded", 0)
    assert (served["status"], len(served["images"])) == ("completed", 4)
    ledger = DataFolder(tmp_path / "enough" / "data")
    assert ledger.rows("SELECT SUM(delta_nano), unit FROM ledger WHERE entry = 'reserved'") == [(160_000_000, "usd")]


async def test_C15_what_is_unknown_counts_until_the_next_day_and_a_clock_set_back_refills_nothing(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    with running(clock=lambda: clock.now().timestamp(), job_seconds=0.0) as simulator, anyio.fail_after(WITHIN_S):
        simulator.state.script({"wire": "core.today", "on": "create", "fault": "accept_then_reset", "times": 2})
        async with at_simulator(tmp_path, simulator.base_url, clock=clock, caps=TWO_A_DAY) as shop:
            lost = [await shop.until((await shop.generate(f"lost {n}")).job.id, *ENDED) for n in range(2)]
        async with at_simulator(tmp_path, simulator.base_url, clock=clock, caps=TWO_A_DAY) as shop:
            with pytest.raises(BudgetExceeded):
                await shop.generate("after the restart")
            clock.advance(DAY_S)
            jobs = [await shop.until((await shop.generate(f"tomorrow {n}")).job.id, *ENDED) for n in range(2)]
            with pytest.raises(BudgetExceeded):
                await shop.generate("one more tomorrow")
            for back_s in (DAY_S, 2 * DAY_S):
                clock.set_by(-back_s)
                with pytest.raises(BudgetExceeded):
                    await shop.generate("on a day that was before")
                clock.set_by(back_s)
    assert {job.status for job in lost} == {JobStatus.UNKNOWN}
    assert {job.status for job in jobs} == {JobStatus.COMPLETED}
    assert len(creates_at(simulator)) == 4


async def test_C16_two_processes_on_one_folder_keep_one_cap(tmp_path: Path, simulator: Running) -> None:
    told: Counter[str] = Counter()
    settings = simulator.settings | {"KONTEXT_DAILY_BUDGET": "600 credit"}
    with anyio.fail_after(WITHIN_S):
        async with (
            connected(tmp_path, settings) as one,
            connected(tmp_path, settings) as two,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(_many, one, "one", 10, told)
            tasks.start_soon(_many, two, "two", 10, told)
    assert told == {"completed": 5, "budget_exceeded": 15}
    assert (charged_at(simulator), len(creates_at(simulator))) == (5, 5)


async def test_C17_each_provider_is_reserved_at_its_own_price(tmp_path: Path, simulator: Running) -> None:
    prices = {
        "CORE_TODAY_PRICE": "120 credit",
        "KKIAI_PRICE": "0.04 usd",
        "RUNFLOW_PRICE": "0.04 usd",
        "EACHLABS_PRICE": "0.04 usd",
        "REPLICATE_PRICE": "0.04 usd",
        "BFL_PRICE": "0.04 usd",
        "FAL_PRICE": "0.04 usd",
    }
    names = ["core.today", "kkiai", "runflow", "eachlabs", "replicate", "bfl", "fal"]
    asked = {"image": "https://example.com/cat.png", "prompt": "Make it sepia", "num_images": 3, "dry_run": True}
    with anyio.fail_after(WITHIN_S):
        async with connected(tmp_path, simulator.settings_of() | prices) as client:
            quotes = {name: fields_of(await call(client, "edit_image", **asked, provider=name)) for name in names}
    for name, quote in quotes.items():
        amount, unit = ("360", "credit") if name == "core.today" else ("0.12", "usd")
        assert (quote["cost"]["amount"], quote["cost"]["unit"]) == (amount, unit), name
    assert not any(simulator.state.counter()["creates"].values())


@pytest.mark.parametrize("price", ["0.04 usd", "120 credit", "0.1 usd"])
async def test_C17_ten_thousand_reservations_add_up_to_the_billionth(tmp_path: Path, price: str) -> None:
    amount, unit = price.split()
    each = Price(amount=Decimal(amount), unit=Unit(unit))
    store = SqliteStore(tmp_path / "kontext.db")

    def reserve_all(db: Database) -> Decimal:
        job = a_job(price=each)
        account = sql_ledger.Account.of(job)
        for _ in range(10_000):
            sql_ledger.reserve(db, account, job.sends[0], START)
        return sql_reads.spent(db, "ann", day="2026-11-20", unit=each.unit)

    try:
        spent = await store._write(reserve_all)  # pyright: ignore[reportPrivateUsage]  # one transaction for all
    finally:
        await store.close()
    assert spent == Decimal(amount) * 10_000
