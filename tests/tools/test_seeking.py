"""Looking for a job whose create got no readable answer: what the engine does with what its host tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from kontext_tools.edits import Edit
from kontext_tools.errors import OutcomeUnknown, RateLimited
from kontext_tools.jobs import JobStatus, SendState
from kontext_tools.providers.base import Lost, Phase, Snapshot, SubmitFailed, Verdict
from kontext_tools.views import Call, Quote, View
from support.fake_clock import FakeClock
from support.scripted import OFFER, Scripted, Step
from support.workshop import OWNER, Workshop, output, workshop

pytestmark = pytest.mark.anyio

DONE = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
LOST = SubmitFailed(Verdict.UNKNOWN, OutcomeUnknown("lost", fix="look").failure)


class Listing(Scripted):
    """A host that lists its jobs.

    Attributes:
        searches: what it was asked for.
        listed: the ids that it shows.
    """

    def __init__(self, *, creates: list[Step]) -> None:
        super().__init__(creates=creates, looks=[DONE], offer=replace(OFFER, finds=True))
        self.searches: list[Lost] = []
        self.listed: list[str] = []
        self.searched = anyio.Event()
        self.shop: Workshop | None = None

    async def find(self, lost: Lost) -> Sequence[str]:
        """Show the ids; with a shop, let the create's late answer arrive at this moment."""
        self.searches.append(lost)
        self.searched.set()
        await anyio.lowlevel.checkpoint()
        if self.shop is not None:
            job = await self.shop.store.any_job(lost.order.key.partition(":")[0])
            assert job is not None
            await self.shop.store.bind(replace(job.sends[0], remote_id="r1"), now=self.shop.clock.now())
        return self.listed


async def searched(shop: Workshop, host: Listing, job_id: str) -> None:
    """Let time pass until a lost job is looked for, and no faster than its lease can be renewed."""
    await shop.until(job_id, SendState.UNKNOWN)
    while not host.searched.is_set():
        with anyio.move_on_after(0.2 if shop.clock.busy else 0.02):
            await host.searched.wait()
            return
        shop.clock.advance(0.5)


async def test_what_is_looked_for_is_what_went_out(tmp_path: Path) -> None:
    host = Listing(creates=[LOST])
    with anyio.fail_after(20):
        async with workshop(tmp_path, host) as shop:
            job_id = (await shop.generate()).job.id
            await searched(shop, host, job_id)
            job = await shop.store.any_job(job_id)
    assert job is not None
    (sent,) = host.creates
    assert [search.order for search in host.searches[:1]] == [sent]
    assert (host.searches[0].sent_at, host.searches[0].signed) == (job.sends[0].sent_at, True)
    assert sent.seed == job.sends[0].own_seed
    assert job.sends[0].seed is None


@pytest.mark.parametrize(("listed", "status"), [([], JobStatus.UNKNOWN), (["r1"], JobStatus.COMPLETED)])
async def test_a_call_waits_for_the_first_looks_and_not_for_the_whole_search(
    tmp_path: Path, listed: list[str], status: JobStatus
) -> None:
    host = Listing(creates=[LOST])
    host.listed = listed
    told, waited_s = list[View | Quote](), 0.0
    with anyio.fail_after(20):
        async with workshop(tmp_path, host) as shop, anyio.create_task_group() as calls:

            async def one() -> None:
                edit = Edit(prompt="a red car", aspect_ratio="1:1")
                told.append(await shop.studio.generate_image(edit, Call(owner=OWNER, wait_s=50)))

            calls.start_soon(one)
            while not told:
                shop.clock.advance(0.25)
                with anyio.move_on_after(0.2 if shop.clock.busy else 0.02):
                    await anyio.wait_all_tasks_blocked()
            waited_s = shop.clock.monotonic()
    (view,) = told
    assert isinstance(view, View)
    assert view.job.status is status
    assert waited_s < 25


async def test_a_seed_of_the_callers_goes_out_as_it_is_and_signs_nothing(tmp_path: Path) -> None:
    host = Listing(creates=[LOST])
    with anyio.fail_after(20):
        async with workshop(tmp_path, host) as shop:
            job_id = (await shop.generate(seed=7)).job.id
            await searched(shop, host, job_id)
    assert (host.creates[0].seed, host.searches[0].signed) == (7, False)


@pytest.mark.parametrize("listed", [[], ["r1"], ["r1", "r2"]])
async def test_a_late_answer_wins_over_the_search_and_the_job_goes_on(tmp_path: Path, listed: list[str]) -> None:
    """Whatever the list shows: the id is bound already, and the lease that the search held is given back at once."""
    host = Listing(creates=[LOST])
    host.listed = listed
    with anyio.fail_after(20):
        async with workshop(tmp_path, host) as shop:
            host.shop = shop
            job_id = (await shop.generate()).job.id
            await searched(shop, host, job_id)
            while await shop.store.next_due([OFFER.name]) is None:  # time stands still: no lease ends by itself
                job = await shop.store.any_job(job_id)
                if job is not None and job.status is JobStatus.COMPLETED:
                    break
            job = await shop.until(job_id, SendState.COMPLETED)
    assert (job.status, job.sends[0].remote_id, len(host.searches)) == (JobStatus.COMPLETED, "r1", 1)


async def test_an_intent_of_a_dead_process_is_looked_for_by_the_next(tmp_path: Path) -> None:
    clock, stuck = FakeClock(), anyio.Event()

    async def hang() -> Snapshot:
        stuck.set()
        await anyio.sleep_forever()
        raise AssertionError

    first, second = Listing(creates=[hang]), Listing(creates=[DONE])
    second.listed = ["r1"]
    with anyio.fail_after(20):
        async with workshop(tmp_path, first, clock=clock) as shop:
            job_id = (await shop.generate()).job.id
            await stuck.wait()
        async with workshop(tmp_path, second, clock=clock) as shop:
            job = await shop.until(job_id, SendState.COMPLETED)
    assert job.status is JobStatus.COMPLETED
    assert second.searches[0].order == first.creates[0]
    assert (len(first.creates), len(second.creates)) == (1, 0)


async def test_a_search_waits_while_its_provider_has_no_key_and_goes_on_with_it(tmp_path: Path) -> None:
    clock, host, other = FakeClock(), Listing(creates=[LOST]), Scripted(creates=[DONE])
    with anyio.fail_after(20):
        async with workshop(tmp_path, host, clock=clock) as shop:
            job_id = (await shop.generate()).job.id
            await shop.until(job_id, SendState.UNKNOWN)
        host.listed = ["r1"]
        async with workshop(tmp_path, other, clock=clock) as shop:
            job = await shop.until(job_id, SendState.UNKNOWN)
            while job.sends[0].misses == 0:
                shop.clock.advance(1)
                job = await shop.until(job_id, SendState.UNKNOWN)
        assert job.searched
        async with workshop(tmp_path, host, clock=clock) as shop:
            job = await shop.until(job_id, SendState.COMPLETED)
    assert job.status is JobStatus.COMPLETED
    assert other.creates == []


async def test_a_send_that_was_passed_on_takes_no_seed_of_ours_along(tmp_path: Path) -> None:
    limited = SubmitFailed(Verdict.NOT_TAKEN, RateLimited("wait", fix="wait", retry_after_s=100).failure)
    host = Listing(creates=[limited])
    next_one = Scripted(creates=[DONE], offer=replace(OFFER, name="fal"))
    with anyio.fail_after(20):
        async with workshop(tmp_path, host, next_one) as shop:
            job = await shop.until((await shop.generate()).job.id, SendState.COMPLETED)
    assert host.creates[0].seed is not None
    assert (next_one.creates[0].seed, job.sends[0].own_seed) == (None, None)
