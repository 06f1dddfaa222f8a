"""One contract over all eight providers: the whole way from a call to the archive, for each fault of WIRE.md D6.

Real adapters over real HTTP against the simulator; only the clock is the test's. Every cell of the table (provider x
case) passes or is `n/a` with its reason; the table is printed by the test run.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from kontext_server.adapters import configured
from kontext_server.settings import load
from kontext_server.simulator.serve import Running
from kontext_tools.edits import Edit
from kontext_tools.guard import Guard
from kontext_tools.http import Http
from kontext_tools.jobs import Job, SendState
from kontext_tools.redaction import Redactor
from kontext_tools.views import Call, View
from support.contract import CASES, CELL, PROVIDERS, Case, reason_against
from support.workshop import OWNER, Workshop, png, workshop

pytestmark = pytest.mark.anyio

ENDED = (SendState.COMPLETED, SendState.FAILED, SendState.CANCELLED, SendState.UNKNOWN)
ADDRESS = "https://pictures.invalid/cat.png"
"""Of a reserved name: the simulator takes it as it stands, our own fetch of it fails and is told as a warning."""


@asynccontextmanager
async def shop_of(folder: Path, simulator: Running, provider: str) -> AsyncGenerator[Workshop]:
    """Give a toolkit with one provider, made as the server makes it."""
    variables = {} if provider == "sandbox" else simulator.settings_of(provider)
    settings = load(**{name.lower(): value for name, value in variables.items()})
    http = Http(guard=Guard(trusted=settings.base_urls), redact=Redactor(settings.secrets))
    adapter = configured(settings, http, folder)[provider]
    try:
        async with workshop(folder, adapter, guard=Guard(trusted=settings.base_urls)) as shop:
            yield shop
    finally:
        await http.aclose()


async def _edited(shop: Workshop, folder: Path, provider: str, prompt: str = "Make it red") -> View:
    image = ADDRESS
    if PROVIDERS[provider].uploads:
        image = str(folder / "cat.png")
        (folder / "cat.png").write_bytes(png())
    view = await shop.studio.edit_image(Edit(prompt=prompt, image=image), Call(owner=OWNER))
    assert isinstance(view, View)
    return view


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_every_provider_keeps_the_contract(
    tmp_path: Path,
    simulator: Running,
    provider: str,
    case: Case,
    record_property: Callable[[str, object], None],
) -> None:
    reason = reason_against(provider, case)
    record_property(CELL, f"{provider}|{case.name}|{'passed' if reason is None else f'n/a: {reason}'}")
    if reason is not None:
        return
    for fault in case.faults_at(provider):
        simulator.state.script({"wire": provider, **fault})
    with anyio.fail_after(30):
        async with shop_of(tmp_path, simulator, provider) as shop:
            view = await _edited(shop, tmp_path, provider)
            job, outcome = await _carried_through(shop, view, case)
    failure = job.failure
    seen = (job.status.value, None if failure is None else failure.code, outcome)
    assert seen == case.expected_at(provider), failure
    charged = simulator.state.counter()["charged"].get(provider, 0)
    assert charged <= len(job.sends)
    assert charged == case.charged_at(provider)


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name != "sandbox"])
async def test_a_status_word_that_an_adapter_does_not_know_is_kept_in_quotes_and_no_other_is(
    tmp_path: Path, simulator: Running, provider: str
) -> None:
    simulator.state.script({"wire": provider, "on": "create", "fault": "status", "status": "dreaming"})
    with anyio.fail_after(30):
        async with shop_of(tmp_path, simulator, provider) as shop:
            job = (await _edited(shop, tmp_path, provider)).job
            seen: list[str] = []
            while not seen or seen[-1] != '"dreaming"':
                job = await shop.until(job.id, SendState.SUBMITTED)
                seen.append(job.sends[0].odd_word)
                shop.clock.advance(0.5)
            simulator.state.script({"wire": provider, "on": "create", "fault": "never_ends"})
            known = await _edited(shop, tmp_path, provider, "Make it blue")
            quiet = await shop.until(known.job.id, SendState.SUBMITTED)
            for _ in range(10):
                await shop.let_pass(1)
                quiet = await shop.until(known.job.id, SendState.SUBMITTED)
                assert quiet.sends[0].odd_word == ""
    assert set(seen) <= {"", '"dreaming"'}
    assert job.sends[0].state is quiet.sends[0].state is SendState.SUBMITTED


async def _carried_through(shop: Workshop, view: View, case: Case) -> tuple[Job, str | None]:
    if not case.cancels:
        return await shop.until(view.job.id, *ENDED), None
    await shop.until(view.job.id, SendState.SUBMITTED)
    outcome: list[str] = []

    async def cancel() -> None:
        outcome.append((await shop.studio.cancel_job(view.job.id, Call(owner=OWNER)))[1])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cancel)
        while not outcome:
            await shop.clock.sleepers(2)
            shop.clock.advance(0.5)
            await anyio.wait_all_tasks_blocked()
            await shop.store.any_job(view.job.id)
    job = await shop.store.any_job(view.job.id)
    assert job is not None
    return job, outcome[0]


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_chain_of_three_edits_passes_on_each_provider_alone(
    tmp_path: Path, simulator: Running, provider: str
) -> None:
    with anyio.fail_after(30):
        async with shop_of(tmp_path, simulator, provider) as shop:
            view = await _edited(shop, tmp_path, provider, "Make it red")
            for prompt in ("Make it blue", "Make it green"):
                await shop.until(view.job.id, *ENDED)
                edit = Edit(prompt=prompt, image=f"{view.job.id}/1")
                following = await shop.studio.edit_image(edit, Call(owner=OWNER))
                assert isinstance(following, View)
                view = following
            job = await shop.until(view.job.id, *ENDED)
    assert (job.status.value, job.depth) == ("completed", 3)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_three_images_come_whichever_way_the_provider_makes_them(
    tmp_path: Path, simulator: Running, provider: str
) -> None:
    with anyio.fail_after(30):
        async with shop_of(tmp_path, simulator, provider) as shop:
            image = ADDRESS
            if PROVIDERS[provider].uploads:
                image = str(tmp_path / "cat.png")
                (tmp_path / "cat.png").write_bytes(png())
            edit = Edit(prompt="Make it red", image=image, num_images=3, seed=5)
            view = await shop.studio.edit_image(edit, Call(owner=OWNER))
            assert isinstance(view, View)
            job = await shop.until(view.job.id, *ENDED)
    assert [kept.n for kept in job.outputs] == [1, 2, 3]


@pytest.mark.parametrize("provider", [name for name, facts in PROVIDERS.items() if facts.generates])
async def test_a_picture_from_words_alone_comes_in_its_ratio(tmp_path: Path, simulator: Running, provider: str) -> None:
    with anyio.fail_after(30):
        async with shop_of(tmp_path, simulator, provider) as shop:
            edit = Edit(prompt="a red lake", aspect_ratio="16:9", given=frozenset({"aspect_ratio"}))
            view = await shop.studio.generate_image(edit, Call(owner=OWNER))
            assert isinstance(view, View)
            job = await shop.until(view.job.id, *ENDED)
    facts: Any = job.outputs[0].facts
    assert facts.width / facts.height == pytest.approx(16 / 9, rel=0.08)
