"""What the store keeps of a send that its host is searched for: claims, leases, rivals, ids, and their indexes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from kontext_tools.edits import Edit
from kontext_tools.errors import OutcomeUnknown
from kontext_tools.jobs import Job, JobStatus, Send, SendState, Sought
from support.fake_clock import START
from support.places import AnyStore
from support.rows import a_job, a_send, admit, claim_all

pytestmark = pytest.mark.anyio


TEN_MINUTES = timedelta(minutes=10)


LOST = OutcomeUnknown("lost", fix="look").failure


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


async def stored(store: AnyStore, job_id: str = "red-car-4k7q") -> Job:
    job = await store.any_job(job_id)
    assert job is not None
    return job


async def lost(store: AnyStore, job: Job | None = None, *, due_at: datetime = START) -> Send:
    """Record a job and lose the create of its first send, to be looked for from `due_at` on."""
    job = job or a_job()
    await admit(store, job)
    claims = await claim_all(store, lease_until=after(60))
    (send,) = [claim.send for claim in claims if (claim.send.job_id, claim.send.n) == (job.id, 1)]
    going = replace(send, state=SendState.INTENT, sent_at=START)
    unknown = replace(
        going, state=SendState.UNKNOWN, failure=LOST, ended_at=START, sought=Sought.LOOKING, due_at=due_at
    )
    assert await store.save(going, now=START, release=False)
    assert await store.save(unknown, now=START, release=True)
    return unknown


async def test_a_lost_send_is_claimed_when_it_is_due_under_a_lease_like_any_other(store: AnyStore) -> None:
    await lost(store, due_at=after(2))
    assert await claim_all(store, now=after(1), lease_until=after(20)) == []
    (claim,) = await claim_all(store, now=after(2), lease_until=after(20))
    assert (claim.send.state, claim.orphan, claim.barred, claim.probe) == (SendState.UNKNOWN, False, False, False)
    assert await claim_all(store, "two", now=after(19), lease_until=after(40)) == []
    await store.renew("one", until=after(50))
    assert await claim_all(store, "two", now=after(49), lease_until=after(60)) == []
    await store.release("one")
    (claim,) = await claim_all(store, "two", now=after(49), lease_until=after(60))
    await store.give_back(claim.claim, due_at=after(55))
    assert await claim_all(store, now=after(54), lease_until=after(60)) == []
    assert len(await claim_all(store, now=after(55), lease_until=after(60))) == 1


async def test_a_lost_send_that_is_not_looked_for_is_never_claimed(store: AnyStore) -> None:
    await lost(store)
    (claim,) = await claim_all(store, lease_until=after(20))
    given_up = replace(claim.send, sought=Sought.NOT_SHOWN, searches=10)
    assert await store.save(given_up, now=after(1), release=True)
    assert await claim_all(store, now=after(1000), lease_until=after(2000)) == []
    assert (await stored(store)).sends == (given_up,)


async def test_a_closed_gate_holds_searches_back_and_one_of_them_may_try_it(store: AnyStore) -> None:
    await lost(store)
    await store.gate("fal", closed_until=after(10))
    assert await claim_all(store, now=after(9), lease_until=after(20)) == []
    (claim,) = await claim_all(store, now=after(11), lease_until=after(20))
    assert claim.probe


async def test_a_clock_that_was_set_back_does_not_put_a_search_off(store: AnyStore) -> None:
    await lost(store, due_at=after(3600))
    await store.set_right(now=START, lease_until=after(10))
    assert len(await claim_all(store, lease_until=after(20))) == 1


async def test_a_search_that_goes_on_does_not_move_the_end_of_its_job(store: AnyStore) -> None:
    await lost(store)
    (claim,) = await claim_all(store, lease_until=after(20))
    assert await store.save(replace(claim.send, searches=1), now=after(5), release=True)
    job = await stored(store)
    assert (job.status, job.ended_at, job.sends[0].searches) == (JobStatus.UNKNOWN, START, 1)


async def test_a_found_job_runs_again_and_what_was_answered_before_was_not_its_end(store: AnyStore) -> None:
    send = await lost(store)
    await store.mark_delivered(send.job_id)
    assert await store.bind(replace(send, remote_id="r1"), now=after(5))
    job = await stored(store)
    assert (job.status, job.ended_at, job.delivered, job.searched) == (JobStatus.PENDING, None, False, False)
    assert (job.sends[0].remote_id, job.sends[0].failure, job.sends[0].sought) == ("r1", None, Sought.NO)


async def test_nothing_is_bound_to_a_job_that_a_person_resolved(store: AnyStore) -> None:
    send = await lost(store)
    await store.resolve("ann", send.job_id, charged=True, now=after(1))
    assert not await store.bind(replace(send, remote_id="r1"), now=after(5))
    assert await claim_all(store, now=after(1000), lease_until=after(2000)) == []
    assert (await stored(store)).status is JobStatus.FAILED


async def test_an_id_is_held_by_the_send_that_was_bound_to_it_whatever_became_of_it(store: AnyStore) -> None:
    send = await lost(store)
    assert await store.held("fal", ["r1", "r2"]) == frozenset()
    await store.bind(replace(send, remote_id="r1"), now=START)
    assert await store.held("fal", ["r1", "r2"]) == {"r1"}
    assert await store.held("bfl", ["r1"]) == frozenset()
    assert await store.held("fal", []) == frozenset()
    failed = replace((await stored(store)).sends[0], state=SendState.FAILED, failure=LOST)
    assert await store.save(failed, now=START, release=True)
    assert await store.held("fal", ["r1"]) == {"r1"}


def asking(job_id: str, prompt: str, seed: int | None, provider: str) -> Job:
    sends = (a_send(job_id, seed=seed, provider=provider),)
    return replace(a_job(job_id, provider=provider), edit=Edit(prompt=prompt, aspect_ratio="1:1"), sends=sends)


@pytest.mark.parametrize(
    ("prompt", "seed", "provider", "rival"),
    [
        ("a red car", 7, "fal", True),
        ("a red car", 8, "fal", False),
        ("a red car", None, "fal", False),
        ("a blue car", 7, "fal", False),
        ("a red car", 7, "bfl", False),
    ],
)
@pytest.mark.parametrize("state", [SendState.INTENT, SendState.UNKNOWN])
async def test_a_send_that_asked_the_same_and_has_no_id_is_a_rival(
    store: AnyStore, state: SendState, prompt: str, seed: int | None, provider: str, rival: bool
) -> None:
    mine = await lost(store, asking("red-car-4k7q", "a red car", 7, "fal"), due_at=after(100))
    other = asking("other-car-4k7q", prompt, seed, provider)
    if state is SendState.UNKNOWN:
        await lost(store, other, due_at=after(100))
    else:
        await admit(store, other)
        (claim,) = await claim_all(store, lease_until=after(60))
        assert await store.save(replace(claim.send, state=SendState.INTENT), now=START, release=False)
    assert await store.has_rival(mine, within=TEN_MINUTES) is rival


@pytest.mark.parametrize(("apart_s", "rival"), [(600, True), (-600, True), (601, False), (-601, False)])
async def test_a_rival_was_sent_at_about_the_same_time_whether_or_not_it_is_looked_for_still(
    store: AnyStore, apart_s: float, rival: bool
) -> None:
    mine = replace(await lost(store, due_at=after(100)), sent_at=after(apart_s))
    other = await lost(store, a_job("blue-car-4k7q"), due_at=after(200))
    (claim,) = [
        claim
        for claim in await claim_all(store, now=after(300), lease_until=after(400))
        if claim.send.job_id == other.job_id
    ]
    assert await store.save(replace(claim.send, sought=Sought.SEVERAL), now=after(300), release=True)
    assert await store.has_rival(mine, within=TEN_MINUTES) is rival


async def test_a_send_with_an_id_is_no_rival(store: AnyStore) -> None:
    mine = await lost(store, due_at=after(100))
    other = await lost(store, a_job("blue-car-4k7q"), due_at=after(100))
    assert await store.has_rival(mine, within=TEN_MINUTES)
    await store.bind(replace(other, remote_id="r1"), now=START)
    assert not await store.has_rival(mine, within=TEN_MINUTES)
