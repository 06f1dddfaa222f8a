"""The bar's database and clock: held, damaged, older, newer, or under a clock that jumps, nothing is lost or resent."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from kontext_server.simulator.serve import running
from kontext_tools.engine import LEASE_S
from kontext_tools.errors import StorageBusy, StorageDamaged
from kontext_tools.jobs import JobStatus, SendState
from kontext_tools.providers.base import Phase, Snapshot
from kontext_tools.stores import schema
from kontext_tools.views import Call
from support.at_simulator import ENDED, let_pass
from support.by_hand import by_hand
from support.fake_clock import FakeClock
from support.looking_in import DataFolder
from support.scripted import Scripted, waiting
from support.stdio_server import PHOTOS
from support.workshop import OWNER, output, workshop

CAT = str(PHOTOS / "chelsea.png")
WITHIN_S = 60
HOUR_S = 3600.0
DONE = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))


def holder(folder: Path) -> sqlite3.Connection:
    """Give a connection of somebody else's, who takes the lock and keeps it."""
    held = sqlite3.connect(folder / "kontext.db", isolation_level=None, check_same_thread=False)
    held.execute("BEGIN IMMEDIATE")
    return held


@pytest.mark.anyio
async def test_L06_a_database_held_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    provider = Scripted(creates=[DONE])
    with anyio.fail_after(WITHIN_S):
        async with workshop(tmp_path, provider, busy_s=50) as shop:
            first = await shop.until((await shop.generate()).job.id, *ENDED)
            with closing(holder(tmp_path)) as held:
                ids = list[str]()

                async def ask() -> None:
                    ids.append((await shop.generate("another")).job.id)

                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(ask)
                    await anyio.wait_all_tasks_blocked()
                    assert ids == []
                    held.execute("ROLLBACK")
            second = await shop.until(ids[0], *ENDED)
    assert (first.status, second.status) == (JobStatus.COMPLETED, JobStatus.COMPLETED)


@pytest.mark.anyio
async def test_L06_a_database_held_for_long_is_told_and_nothing_is_sent(tmp_path: Path) -> None:
    provider = Scripted(creates=[DONE])
    with anyio.fail_after(WITHIN_S):
        async with workshop(tmp_path, provider, busy_s=0.05) as shop:
            await shop.until((await shop.generate()).job.id, *ENDED)
            with closing(holder(tmp_path)) as held:
                with pytest.raises(StorageBusy):
                    await shop.generate("another")
                await let_pass(shop, 60)
                assert len(provider.creates) == 1
                held.execute("ROLLBACK")
            later = await shop.until((await shop.generate("another")).job.id, *ENDED)
    assert later.status is JobStatus.COMPLETED
    assert len(provider.creates) == 2


@pytest.mark.anyio
async def test_L06_an_id_that_came_while_the_database_was_held_is_not_lost(tmp_path: Path) -> None:
    held = list[sqlite3.Connection]()

    async def create() -> Snapshot:
        await anyio.lowlevel.checkpoint()
        held.append(holder(tmp_path))
        return waiting("r9")

    provider = Scripted(creates=[create], looks=[DONE])
    with anyio.fail_after(WITHIN_S):
        async with workshop(tmp_path, provider, busy_s=0.0) as shop:
            job_id = (await shop.generate()).job.id
            while not held:
                await anyio.lowlevel.checkpoint()
            for _ in range(60):
                # Writes come one after another: when this one has failed, the engine's own has failed before it.
                with pytest.raises(StorageBusy):
                    await shop.store.poke(job_id, now=shop.clock.now())
                await let_pass(shop, 1)
            with closing(held[0]):
                held[0].execute("ROLLBACK")
            job = await shop.until(job_id, SendState.COMPLETED)
    assert (job.status, job.sends[0].remote_id) == (JobStatus.COMPLETED, "r9")
    assert len(provider.creates) == 1


def _header(path: Path) -> None:
    path.write_bytes(b"\xff" * 100 + path.read_bytes()[100:])


def _pages(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for start in range(4096, len(data), 4096):
        data[start : start + 8] = b"\xff" * 8
    path.write_bytes(data)


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")


async def _one_job(folder: Path) -> str:
    """Make a database with a job that waits at a provider; give the job's id."""
    with anyio.fail_after(WITHIN_S):
        async with workshop(folder, Scripted(creates=[waiting()], looks=[waiting()])) as shop:
            return (await shop.until((await shop.generate()).job.id, SendState.SUBMITTED)).id


@pytest.mark.parametrize("damage", [_header, _pages, _newer])
def test_L07_a_database_that_is_damaged_or_newer_is_told_and_left_as_it_is(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    database = tmp_path / "data" / "kontext.db"
    anyio.run(_one_job, database.parent)
    damage(database)
    before = database.read_bytes()
    with running(job_seconds=0.1) as simulator:
        with by_hand(tmp_path, simulator.settings) as server:
            errors = [server.call("edit_image", image=CAT, prompt="Make it sepia")["error"] for _ in range(2)]
            server.ask("tools/list", {})
        creates = simulator.state.counter()["creates"]["core.today"]
    assert {(error["code"], error["billed"]) for error in errors} == {("storage_damaged", "no")}
    assert "KONTEXT_DATA_DIR" in errors[0]["fix"]
    assert (creates, database.read_bytes() == before) == (0, True)


def test_L07_a_row_that_is_damaged_is_told_and_the_server_lives(tmp_path: Path) -> None:
    database = tmp_path / "data" / "kontext.db"
    job_id = anyio.run(_one_job, database.parent)
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("UPDATE sends SET doc = '{\"price\": 1'")
        db.execute("UPDATE jobs SET owner = 'local'")
    with running(job_seconds=0.1) as simulator:
        with by_hand(tmp_path, simulator.settings) as server:
            answers = [server.call("get_status", job_id=job_id) for _ in range(2)]
            server.ask("tools/list", {})
        assert simulator.state.counter()["creates"]["core.today"] == 0
    assert [answer["error"]["code"] for answer in answers] == ["storage_damaged"] * 2


@pytest.mark.anyio
async def test_L07_one_damaged_row_stops_its_own_job_and_no_other(tmp_path: Path) -> None:
    provider = Scripted(creates=[DONE])
    with anyio.fail_after(WITHIN_S):
        async with workshop(tmp_path, provider, running=False) as shop:
            bad = (await shop.generate("a bad row")).job.id
            good = [(await shop.generate(f"car {n}")).job.id for n in range(3)]
        with closing(sqlite3.connect(tmp_path / "kontext.db")) as db, db:
            db.execute("UPDATE sends SET doc = '{\"price\": 1' WHERE job_id = ?", (bad,))
        async with workshop(tmp_path, provider, clock=shop.clock) as shop:
            jobs = [await shop.until(job_id, *ENDED) for job_id in good]
            later = await shop.until((await shop.generate("one more")).job.id, *ENDED)
            await let_pass(shop, 60)
            with pytest.raises(StorageDamaged):
                await shop.studio.get_status(bad, Call(owner=OWNER))
    data = DataFolder(tmp_path)
    assert {job.status for job in (*jobs, later)} == {JobStatus.COMPLETED}
    assert len(provider.creates) == 4
    assert data.rows("SELECT state, doc, fence FROM sends WHERE job_id = ?", bad) == [("queued", '{"price": 1', 1)]


def as_of_version(version: int, database: Path) -> None:
    """Make a database what an earlier release would have left: its own schema, and of the rows what fits in it."""
    old = database.with_name("old.db")
    with closing(sqlite3.connect(old, isolation_level=None)) as db:
        for migration in schema.MIGRATIONS[:version]:
            migration(db)
        db.execute(f"PRAGMA user_version = {version}")
        db.execute("ATTACH ? AS new", (str(database),))
        tables = db.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        for (table,) in tables.fetchall():
            columns = ", ".join(row[1] for row in db.execute(f"PRAGMA main.table_info({table})"))
            db.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}")  # ours
    for leftover in database.parent.glob(database.name + "-*"):
        leftover.unlink()
    old.rename(database)


def test_L07_an_older_database_is_carried_over_with_its_jobs(tmp_path: Path) -> None:
    database = tmp_path / "data" / "kontext.db"
    job_id = anyio.run(_one_job, database.parent)
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("UPDATE jobs SET owner = 'local'")
    as_of_version(1, database)
    with running(job_seconds=0.1) as simulator, by_hand(tmp_path, simulator.settings) as server:
        old = server.call("get_status", job_id=job_id)
        new = server.call("edit_image", image=CAT, prompt="Make it sepia", wait_seconds=50)
    assert (old["job_id"], new["status"]) == (job_id, "completed")


class Counting(FakeClock):
    """Keeps what was waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = list[float]()

    async def wait(self, event: anyio.Event, seconds: float) -> bool:
        """Wait, and note for how long at most."""
        self.waits.append(seconds)
        return await super().wait(event, seconds)


@pytest.mark.anyio
@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S])
async def test_L09_a_clock_that_jumps_neither_stalls_a_job_nor_makes_the_engine_spin(
    tmp_path: Path, jump_s: float
) -> None:
    clock = Counting()
    provider = Scripted(creates=[waiting()], looks=[waiting(), waiting(), waiting(), DONE])
    with anyio.fail_after(WITHIN_S):
        async with workshop(tmp_path, provider, clock=clock) as shop:
            job_id = (await shop.generate()).job.id
            await shop.until(job_id, SendState.SUBMITTED)
            clock.waits.clear()
            clock.set_by(jump_s)
            for _ in range(50):
                await shop.store.next_due(())
                await anyio.wait_all_tasks_blocked()
            in_no_time = len(clock.waits)
            job = await shop.until(job_id, *ENDED)
            passed_s = clock.monotonic()
    assert job.status is JobStatus.COMPLETED
    assert in_no_time <= 10
    assert passed_s < 120
    assert min(clock.waits) >= 0


@pytest.mark.anyio
async def test_L09_a_lease_and_a_wait_of_before_the_clock_was_set_back_are_over_soon_after_a_start(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    with anyio.fail_after(WITHIN_S):
        async with workshop(tmp_path, Scripted(creates=[waiting()], looks=[waiting()]), clock=clock) as shop:
            waits, leased = [(await shop.generate(f"car {n}")).job.id for n in range(2)]
            for job_id in (waits, leased):
                await shop.until(job_id, SendState.SUBMITTED)
        async with workshop(tmp_path, Scripted(creates=[waiting()]), clock=clock, running=False) as shop:
            clock.advance(60)
            now = clock.now()
            await shop.store.poke(leased, now=now)
            claims = await shop.store.claim(
                "dead", now=now, lease_until=now + timedelta(seconds=LEASE_S), limit=1, slots={"core.today": 4}
            )
            await shop.store.gate("core.today", closed_until=now + timedelta(seconds=60))
        assert len(claims) == 1
        clock.set_by(-HOUR_S)
        second = Scripted(creates=[waiting()], looks=[DONE])
        async with workshop(tmp_path, second, clock=clock) as shop:
            began_s = clock.monotonic()
            jobs = [await shop.until(job_id, *ENDED, step_s=2.0) for job_id in (waits, leased)]
            took_s = clock.monotonic() - began_s
    assert {job.status for job in jobs} == {JobStatus.COMPLETED}
    assert second.creates == []
    assert took_s < 300
