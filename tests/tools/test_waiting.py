"""A picture whose link dies while its storage is away: it waits on this machine, and is not lost."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from kontext_tools.blobs.base import Blobs
from kontext_tools.guard import Guard
from kontext_tools.jobs import Job, JobStatus, SendState
from kontext_tools.providers.base import Phase, RemoteOutput, Snapshot
from kontext_tools.waiting import Waiting
from support.bucket import QUICK, Door, Held, door
from support.canary import Canary, Hit, Told, canary
from support.fake_clock import FakeClock
from support.scripted import Scripted
from support.workshop import Workshop, png, workshop

pytestmark = pytest.mark.anyio

ENDED = (SendState.COMPLETED, SendState.FAILED)


@dataclass(slots=True, kw_only=True)
class Links:
    """A provider's links, each alive for so many fetches."""

    host: Canary
    lives: int = 1
    fetched: list[str] = field(default_factory=list[str])

    def answer(self, hit: Hit) -> Told:
        """Give the picture while its link lives."""
        self.fetched.append(hit.path)
        alive = self.fetched.count(hit.path) <= self.lives
        return Told(body=png(), headers={"content-type": "image/png"}) if alive else Told(status=404)


@contextmanager
def linking(lives: int = 1) -> Generator[Links]:
    with canary() as host:
        links = Links(host=host, lives=lives)
        host.answer = links.answer
        yield links


@asynccontextmanager
async def at(
    folder: Path, links: Links, blobs: Blobs, *, clock: FakeClock | None = None, running: bool = True
) -> AsyncGenerator[Workshop]:
    done = Snapshot(
        phase=Phase.DONE, remote_id="r1", outputs=(RemoteOutput(url=f"{links.host.base_url}/a.png", seed=1),)
    )
    guard = Guard(trusted=[links.host.base_url])
    host = Scripted(creates=[done], looks=[done])
    async with workshop(folder, host, blobs=blobs, guard=guard, clock=clock, running=running) as shop:
        yield shop


async def held_up(shop: Workshop, job_id: str) -> Job:
    """Let time pass until a job tells that its storage is away."""
    return await shop.when(job_id, lambda job: job.failure is not None and job.failure.code == "storage_busy")


def blobs_at(held: Held, folder: Path, before: Door) -> Blobs:
    return held.blobs(folder, endpoint=before.url, pace=QUICK)


async def left_waiting(folder: Path, links: Links, held: Held, before: Door, clock: FakeClock) -> str:
    """Let a server take a picture while the storage is away, and end; give its job. Then the storage is there."""
    before.shut = True
    async with at(folder, links, blobs_at(held, folder, before), clock=clock) as shop:
        job_id = (await shop.generate()).job.id
        await held_up(shop, job_id)
    before.shut = False
    return job_id


async def test_a_picture_whose_link_died_while_the_storage_was_away_is_carried_over(tmp_path: Path, held: Held) -> None:
    with anyio.fail_after(60), door(held.base_url) as before, linking() as links:
        before.shut = True
        async with at(tmp_path, links, blobs_at(held, tmp_path, before)) as shop:
            job_id = (await shop.generate()).job.id
            waiting = await held_up(shop, job_id)
            there = {path.name for path in (tmp_path / "waiting").iterdir()}
            before.shut = False
            job = await shop.until(job_id, *ENDED, step_s=10)
    assert (waiting.status, waiting.sends[0].waits_at) == (JobStatus.PROCESSING, _place(tmp_path))
    assert there == {f"{job_id}-1", "place"}
    assert (job.status, job.sends[0].waits_at, links.fetched) == (JobStatus.COMPLETED, "", ["/a.png"])
    assert held.objects() == {f"images/{job_id}-1.png", f"images/{job_id}-1.json"}
    assert [path.name for path in (tmp_path / "waiting").iterdir()] == ["place"]


async def test_what_waits_is_carried_over_after_a_restart_too(tmp_path: Path, held: Held) -> None:
    clock = FakeClock()
    with anyio.fail_after(60), door(held.base_url) as before, linking() as links:
        job_id = await left_waiting(tmp_path, links, held, before, clock)
        async with at(tmp_path, links, blobs_at(held, tmp_path, before), clock=clock) as shop:
            job = await shop.until(job_id, *ENDED, step_s=10)
    assert (job.status, links.fetched) == (JobStatus.COMPLETED, ["/a.png"])


async def test_a_server_at_another_machine_leaves_it_to_the_one_that_has_it(tmp_path: Path, held: Held) -> None:
    """Its link is dead, and the picture is not here: elsewhere it is, so nothing is given up."""
    clock, here, waits = FakeClock(), tmp_path / "waiting", tmp_path / "elsewhere"
    with anyio.fail_after(60), door(held.base_url) as before, linking() as links:
        job_id = await left_waiting(tmp_path, links, held, before, clock)
        here.rename(waits)
        async with at(tmp_path, links, blobs_at(held, tmp_path, before), clock=clock) as shop:
            fetched = len(links.fetched)
            while len(links.fetched) < fetched + 3:
                await shop.let_pass(10.0)
            left = await shop.store.any_job(job_id)
        waits.rename(here)
        async with at(tmp_path, links, blobs_at(held, tmp_path, before), clock=clock) as shop:
            job = await shop.until(job_id, *ENDED, step_s=10)
    assert left is not None
    assert (left.status, job.status) == (JobStatus.PROCESSING, JobStatus.COMPLETED)


async def test_a_machine_that_never_comes_back_is_waited_for_a_week(tmp_path: Path, held: Held) -> None:
    clock = FakeClock()
    with anyio.fail_after(60), door(held.base_url) as before, linking() as links:
        job_id = await left_waiting(tmp_path, links, held, before, clock)
        (tmp_path / "waiting").rename(tmp_path / "elsewhere")
        clock.advance(timedelta(days=7).total_seconds())
        async with at(tmp_path, links, blobs_at(held, tmp_path, before), clock=clock) as shop:
            job = await shop.until(job_id, *ENDED, step_s=10)
    assert (job.status, job.failure and job.failure.code) == (JobStatus.FAILED, "result_expired")


async def test_what_waits_and_is_whole_no_more_is_fetched_anew(tmp_path: Path, held: Held) -> None:
    with anyio.fail_after(60), door(held.base_url) as before, linking(lives=2) as links:
        before.shut = True
        async with at(tmp_path, links, blobs_at(held, tmp_path, before)) as shop:
            job_id = (await shop.generate()).job.id
            await held_up(shop, job_id)
            (tmp_path / "waiting" / f"{job_id}-1").write_bytes(png()[:40])
            before.shut = False
            job = await shop.until(job_id, *ENDED, step_s=10)
    assert (job.status, len(links.fetched)) == (JobStatus.COMPLETED, 2)


async def test_a_start_lets_go_of_what_nobody_waits_for(tmp_path: Path, held: Held) -> None:
    with anyio.fail_after(60), door(held.base_url) as before, linking() as links:
        blobs = blobs_at(held, tmp_path, before)
        async with at(tmp_path, links, blobs) as shop:
            job_id = (await shop.generate()).job.id
            await shop.until(job_id, *ENDED)
        assert not (tmp_path / "waiting").exists()
        (tmp_path / "waiting").mkdir()
        for name in (f"{job_id}-1", "blue-lake-4k7q-1", "place.1234", "note"):
            (tmp_path / "waiting" / name).write_bytes(b"x")
        async with at(tmp_path, links, blobs) as shop:
            await shop.steps.sweep()
    assert sorted(path.name for path in (tmp_path / "waiting").iterdir()) == ["note", "place.1234"]


async def test_where_pictures_stay_on_this_machine_nothing_waits(tmp_path: Path) -> None:
    from kontext_tools.blobs.files import FileBlobs

    with anyio.fail_after(60), linking() as links:
        async with at(tmp_path, links, FileBlobs(tmp_path)) as shop:
            await shop.until((await shop.generate()).job.id, *ENDED)
    assert not (tmp_path / "waiting").exists()


def _place(folder: Path) -> str:
    name = Waiting(folder / "waiting").name()
    assert len(name) == 32
    return name
