"""The engine's life: restarts, leases, two processes on one folder, cancels, who waits is woken."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from kontext_tools.engine import LEASE_S
from kontext_tools.errors import Billed, ProviderUnavailable
from kontext_tools.jobs import JobStatus, SendState
from kontext_tools.providers.base import CancelOutcome, FetchFailed, Phase, Snapshot
from kontext_tools.views import Call
from support.at_simulator import let_pass
from support.fake_clock import FakeClock
from support.rows import send_of
from support.scripted import OFFER, Scripted, waiting
from support.workshop import OWNER, output, workshop

pytestmark = pytest.mark.anyio

ENDED = (SendState.COMPLETED, SendState.FAILED, SendState.CANCELLED, SendState.UNKNOWN)
DONE = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
CANCELLED = Snapshot(phase=Phase.CANCELLED, remote_id="r1")


async def test_a_submitted_job_goes_on_in_the_next_process_without_a_second_create(tmp_path: Path) -> None:
    clock = FakeClock()
    first, second = Scripted(creates=[waiting()], looks=[waiting()]), Scripted(creates=[waiting()], looks=[DONE])
    with anyio.fail_after(20):
        async with workshop(tmp_path, first, clock=clock) as shop:
            job_id = (await shop.generate()).job.id
            await shop.until(job_id, SendState.SUBMITTED)
        async with workshop(tmp_path, second, clock=clock) as shop:
            job = await shop.until(job_id, *ENDED)
    assert job.status is JobStatus.COMPLETED
    assert (len(first.creates), len(second.creates)) == (1, 0)


async def test_a_job_left_queued_is_sent_by_the_next_process(tmp_path: Path) -> None:
    provider, clock = Scripted(creates=[DONE]), FakeClock()
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider, clock=clock, running=False) as shop:
            job_id = (await shop.generate()).job.id
        assert provider.creates == []
        async with workshop(tmp_path, provider, clock=clock) as shop:
            job = await shop.until(job_id, *ENDED)
    assert job.status is JobStatus.COMPLETED


async def test_an_intent_of_a_dead_process_becomes_unknown_and_is_not_sent_again(tmp_path: Path) -> None:
    clock = FakeClock()
    stuck = anyio.Event()

    async def hang() -> Snapshot:
        stuck.set()
        await anyio.sleep_forever()
        raise AssertionError

    first, second = Scripted(creates=[hang]), Scripted(creates=[DONE])
    with anyio.fail_after(20):
        async with workshop(tmp_path, first, clock=clock) as shop:
            job_id = (await shop.generate()).job.id
            await stuck.wait()
        async with workshop(tmp_path, second, clock=clock) as shop:
            job = await shop.until(job_id, *ENDED)
    assert job.status is JobStatus.UNKNOWN
    assert job.failure is not None
    assert job.failure.billed is Billed.UNKNOWN
    assert (len(first.creates), len(second.creates)) == (1, 0)


async def test_a_ready_job_whose_process_died_is_fetched_again_by_its_id(tmp_path: Path) -> None:
    clock = FakeClock()
    provider = Scripted(creates=[waiting()], looks=[waiting(), DONE])
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider, clock=clock) as shop:
            job_id = (await shop.generate()).job.id
            await shop.until(job_id, SendState.SUBMITTED)
        async with workshop(tmp_path, provider, clock=clock, running=False) as shop:
            clock.advance(LEASE_S + 1)
            (claim,) = await shop.store.claim(
                "dead",
                now=clock.now(),
                lease_until=clock.now() + timedelta(seconds=LEASE_S),
                limit=9,
                slots={"core.today": 4},
            )
            ready = replace(await send_of(shop.store, claim), state=SendState.READY, working=True)
            assert await shop.store.save(ready, now=clock.now(), release=False)
            clock.advance(LEASE_S + 1)
        async with workshop(tmp_path, provider, clock=clock) as shop:
            job = await shop.until(job_id, *ENDED)
    assert job.status is JobStatus.COMPLETED


async def test_two_processes_on_one_folder_send_each_job_once(tmp_path: Path) -> None:
    clock = FakeClock()
    one, two = Scripted(creates=[DONE]), Scripted(creates=[DONE])
    with anyio.fail_after(60):
        async with workshop(tmp_path, one, clock=clock) as first, workshop(tmp_path, two, clock=clock) as second:
            shops = (first, second)
            views = [await shops[n % 2].generate(f"car {n}") for n in range(20)]
            jobs = [await first.until(view.job.id, *ENDED) for view in views]
    assert {job.status for job in jobs} == {JobStatus.COMPLETED}
    keys = [order.key for provider in (one, two) for order in provider.creates]
    assert len(set(keys)) == len(keys) == 20


async def test_a_process_that_lost_its_lease_binds_the_remote_id_and_nothing_else(tmp_path: Path) -> None:
    clock = FakeClock()
    asleep, woken = anyio.Event(), anyio.Event()

    async def long_sleep() -> Snapshot:
        asleep.set()
        await woken.wait()
        return waiting("late")

    first = Scripted(creates=[long_sleep], looks=[waiting()])
    second = Scripted(creates=[DONE], looks=[DONE])
    with anyio.fail_after(20):
        async with workshop(tmp_path, first, clock=clock) as stopped:
            job_id = (await stopped.generate()).job.id
            await asleep.wait()
            async with workshop(tmp_path, second, clock=clock, running=False) as other:
                # The stopped process renews nothing: its lease ends, the other one takes the orphan.
                now = clock.now() + timedelta(seconds=LEASE_S + 1)
                (claim,) = await other.store.claim(
                    "other", now=now, lease_until=now + timedelta(seconds=LEASE_S), limit=9, slots={}
                )
                assert claim.orphan
                await other.steps.drive(claim)
            woken.set()
            job = await stopped.until(job_id, SendState.SUBMITTED, *ENDED)
            while job.sends[0].remote_id is None:
                job = await stopped.until(job_id, SendState.SUBMITTED)
    assert job.sends[0].remote_id == "late"
    assert (len(first.creates), len(second.creates)) == (1, 0)


async def test_no_more_creates_are_in_flight_than_the_provider_allows(tmp_path: Path) -> None:
    flying: list[int] = []
    go_on = anyio.Event()

    async def fly() -> Snapshot:
        flying.append(1)
        await go_on.wait()
        return DONE

    provider = Scripted(creates=[fly], offer=replace(OFFER, concurrency=2))
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            views = [await shop.generate(f"car {n}") for n in range(5)]
            while len(flying) < 2:
                await anyio.lowlevel.checkpoint()
            shop.clock.advance(5)
            await anyio.wait_all_tasks_blocked()
            most = len(flying)
            go_on.set()
            jobs = [await shop.until(view.job.id, *ENDED) for view in views]
    assert most == 2
    assert {job.status for job in jobs} == {JobStatus.COMPLETED}


async def test_a_cancel_before_the_create_sends_nothing(tmp_path: Path) -> None:
    provider = Scripted(creates=[DONE])
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider, running=False) as shop:
            job_id = (await shop.generate()).job.id
            view, outcome = await shop.studio.cancel_job(job_id, Call(owner=OWNER))
    assert (view.job.status, outcome) == (JobStatus.CANCELLED, "cancelled")
    assert provider.creates == []


async def test_a_cancel_of_a_running_job_is_passed_on_once_and_learnt_by_a_look(tmp_path: Path) -> None:
    async def look() -> Snapshot:
        return CANCELLED if provider.cancels else waiting()

    provider = Scripted(creates=[waiting()], looks=[look])
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            job_id = (await shop.generate()).job.id
            await shop.until(job_id, SendState.SUBMITTED)
            view, outcome = await shop.studio.cancel_job(job_id, Call(owner=OWNER))
            _, again = await shop.studio.cancel_job(job_id, Call(owner=OWNER))
    assert (view.job.status, outcome, again) == (JobStatus.CANCELLED, "cancelled", "already_ended")
    assert provider.cancels == ["r1"]


async def test_a_cancel_during_the_create_reaches_the_provider_after_it(tmp_path: Path) -> None:
    creating, asked = anyio.Event(), anyio.Event()

    async def create() -> Snapshot:
        creating.set()
        await asked.wait()
        return waiting()

    provider = Scripted(creates=[create], looks=[CANCELLED])
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            job_id = (await shop.generate()).job.id
            await creating.wait()
            await shop.store.request_cancel(OWNER, job_id, now=shop.clock.now())
            asked.set()
            job = await shop.until(job_id, *ENDED)
    assert job.status is JobStatus.CANCELLED
    assert provider.cancels == ["r1"]


@pytest.mark.parametrize(
    "answer",
    [CancelOutcome.CANNOT, FetchFailed(ProviderUnavailable("not reached", fix="again").failure)],
)
async def test_a_provider_that_cannot_cancel_goes_on_and_its_result_is_kept(
    tmp_path: Path, answer: CancelOutcome | FetchFailed
) -> None:
    provider = Scripted(creates=[waiting()], looks=[waiting(), DONE])
    provider.cancel_outcome = answer
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            job_id = (await shop.generate()).job.id
            await shop.until(job_id, SendState.SUBMITTED)
            _, outcome = await shop.studio.cancel_job(job_id, Call(owner=OWNER))
            job = await shop.until(job_id, *ENDED)
    assert outcome == "cannot_cancel"
    assert job.status is JobStatus.COMPLETED


async def test_leases_are_renewed_while_a_create_takes_long(tmp_path: Path) -> None:
    creating, done = anyio.Event(), anyio.Event()

    async def slow() -> Snapshot:
        creating.set()
        await done.wait()
        return DONE

    clock = FakeClock()
    with anyio.fail_after(20):
        async with workshop(tmp_path, Scripted(creates=[slow]), clock=clock) as shop:
            job_id = (await shop.generate()).job.id
            await creating.wait()
            for _ in range(10):
                await clock.sleepers(1)
                clock.advance(3)
                await anyio.wait_all_tasks_blocked()
                await shop.store.any_job(job_id)
            others = await shop.store.claim(
                "other", now=clock.now(), lease_until=clock.now() + timedelta(seconds=LEASE_S), limit=9, slots={}
            )
            done.set()
            job = await shop.until(job_id, *ENDED)
    assert others == []
    assert job.status is JobStatus.COMPLETED


async def test_a_job_of_a_provider_without_key_waits_for_one(tmp_path: Path) -> None:
    clock = FakeClock()
    with anyio.fail_after(20):
        async with workshop(tmp_path, Scripted(creates=[DONE]), clock=clock, running=False) as shop:
            job_id = (await shop.generate()).job.id
        async with workshop(tmp_path, clock=clock) as shop:
            clock.advance(1)
            await anyio.wait_all_tasks_blocked()
            job = await shop.store.any_job(job_id)
    assert job is not None
    assert job.status is JobStatus.PENDING


async def test_the_engine_lives_on_when_the_database_is_held_by_another(tmp_path: Path) -> None:
    provider = Scripted(creates=[DONE])
    with anyio.fail_after(30):
        async with workshop(tmp_path, provider) as shop:
            view = await shop.generate()
            await shop.until(view.job.id, *ENDED)
            holder = sqlite3.connect(tmp_path / "kontext.db", isolation_level=None)
            holder.execute("BEGIN EXCLUSIVE")
            shop.store._busy_s = 0.01  # pyright: ignore[reportPrivateUsage]  # the wait is not what is tested
            shop.clock.advance(5)
            await anyio.wait_all_tasks_blocked()
            holder.execute("ROLLBACK")
            holder.close()
            second = await shop.generate("another car")
            job = await shop.until(second.job.id, *ENDED)
    assert job.status is JobStatus.COMPLETED


async def test_a_create_that_outlives_its_lease_under_a_held_database_is_no_orphan_of_its_own_process(
    tmp_path: Path,
) -> None:
    creating, done = anyio.Event(), anyio.Event()

    async def slow() -> Snapshot:
        creating.set()
        await done.wait()
        return replace(DONE, remote_id=None)  # a synchronous host's: the picture stands in this reply alone

    clock = FakeClock()
    with anyio.fail_after(30):
        async with workshop(tmp_path, Scripted(creates=[slow]), clock=clock, busy_s=0.0) as shop:
            job_id = (await shop.generate()).job.id
            await creating.wait()
            with closing(sqlite3.connect(tmp_path / "kontext.db", isolation_level=None)) as holder:
                holder.execute("BEGIN IMMEDIATE")
                await let_pass(shop, LEASE_S + 5)
                holder.execute("ROLLBACK")
            for _ in range(30):
                await let_pass(shop, 0.5, step_s=0.5)
                seen = await shop.store.any_job(job_id)
                assert seen is not None
                assert seen.sends[0].state is SendState.INTENT
            done.set()
            job = await shop.until(job_id, *ENDED)
    assert (job.status, job.failure) == (JobStatus.COMPLETED, None)


async def test_a_clock_that_jumps_past_the_lease_makes_no_orphan_of_a_create_under_way(tmp_path: Path) -> None:
    creating, done = anyio.Event(), anyio.Event()

    async def slow() -> Snapshot:
        creating.set()
        await done.wait()
        return replace(DONE, remote_id=None)

    clock = FakeClock()
    with anyio.fail_after(30):
        async with workshop(tmp_path, Scripted(creates=[slow]), clock=clock) as shop:
            job_id = (await shop.generate()).job.id
            await creating.wait()
            clock.set_by(3600)
            await let_pass(shop, 10)
            done.set()
            job = await shop.until(job_id, *ENDED)
    assert (job.status, job.failure) == (JobStatus.COMPLETED, None)


async def test_a_step_that_a_bug_broke_is_taken_again_and_holds_no_lease_meanwhile(tmp_path: Path) -> None:
    broken: list[int] = []

    async def break_once() -> Snapshot:
        if not broken:
            broken.append(1)
            raise RuntimeError("a bug in an adapter's look")
        return DONE

    provider = Scripted(creates=[waiting()], looks=[break_once])
    with anyio.fail_after(30):
        async with workshop(tmp_path, provider) as shop:
            job = await shop.until((await shop.generate()).job.id, *ENDED)
    assert job.status is JobStatus.COMPLETED
    assert len(provider.creates) == 1
