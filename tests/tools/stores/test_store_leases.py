"""Who drives a send: claims, leases, fences, slots. Two store objects stand for two processes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from kontext_tools.budget import Caps, Unit
from kontext_tools.errors import StorageDamaged
from kontext_tools.jobs import Job, JobStatus, Send, SendState
from kontext_tools.stores.base import Handover, Saved
from support.fake_clock import START
from support.places import AnyStore, Place
from support.rows import a_job, a_send, admit, an_output, claim_all, usd

pytestmark = pytest.mark.anyio


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.fixture
async def other(place: Place, store: AnyStore, anyio_backend: str) -> AsyncGenerator[AnyStore]:
    """A second process on the same file."""
    made = place.store()
    await made.open()
    yield made
    await made.close()


async def stored(store: AnyStore, job_id: str = "red-car-4k7q") -> Job:
    job = await store.any_job(job_id)
    assert job is not None
    return job


async def brought_to(store: AnyStore, send: Send, *states: SendState, due_at: datetime = START) -> None:
    for state in states:
        moved = replace(send, state=state, due_at=due_at)
        assert await store.save(moved, now=START, release=state is states[-1])


async def test_a_send_under_a_lease_is_taken_by_nobody_else_until_the_lease_is_over(
    store: AnyStore, other: AnyStore
) -> None:
    await admit(store, a_job())
    (mine,) = await claim_all(store, "one", lease_until=after(60))
    assert mine.send.fence == 1 and not mine.orphan
    assert await claim_all(other, "two", now=after(59), lease_until=after(120)) == []
    (theirs,) = await claim_all(other, "two", now=after(60), lease_until=after(120))
    assert theirs.send.fence == 2


async def test_a_process_takes_what_it_holds_itself_no_second_time_and_may_renew_it_late(
    store: AnyStore, other: AnyStore
) -> None:
    await admit(store, a_job())
    (mine,) = await claim_all(store, "one", lease_until=after(60))
    await store.save(replace(mine.send, state=SendState.INTENT), now=START, release=False)
    assert await claim_all(store, "one", now=after(61), lease_until=after(120)) == []
    await store.renew("one", until=after(120))
    assert await claim_all(other, "two", now=after(61), lease_until=after(180)) == []
    gone_on = replace(mine.send, state=SendState.SUBMITTED, remote_id="r1")
    assert await store.save(gone_on, now=after(62), release=True)
    (again,) = await claim_all(store, "one", now=after(63), lease_until=after(180))
    assert (again.orphan, again.send.remote_id) == (False, "r1")


async def test_the_write_of_an_owner_that_lost_its_lease_is_refused(store: AnyStore, other: AnyStore) -> None:
    await admit(store, a_job())
    (mine,) = await claim_all(store, "one", lease_until=after(60))
    (theirs,) = await claim_all(other, "two", now=after(61), lease_until=after(120))
    assert not await store.save(replace(mine.send, state=SendState.INTENT), now=after(62), release=False)
    assert await other.save(replace(theirs.send, state=SendState.INTENT), now=after(62), release=False)
    assert (await stored(store)).sends[0].state is SendState.INTENT


async def test_a_renewed_lease_lasts_longer_and_only_ones_own_are_renewed(store: AnyStore) -> None:
    await admit(store, a_job("one-car-0000"))
    await claim_all(store, "one", lease_until=after(60))
    await admit(store, a_job("two-car-0000"))
    await claim_all(store, "two", lease_until=after(60))
    await store.renew("one", until=after(300))
    claims = await claim_all(store, "three", now=after(61), lease_until=after(400))
    assert [claim.send.job_id for claim in claims] == ["two-car-0000"]


async def test_a_send_found_in_intent_is_an_orphan(store: AnyStore, other: AnyStore) -> None:
    await admit(store, a_job())
    (mine,) = await claim_all(store, "one", lease_until=after(60))
    await store.save(replace(mine.send, state=SendState.INTENT), now=START, release=False)
    (orphan,) = await claim_all(other, "two", now=after(61), lease_until=after(120))
    assert orphan.orphan and orphan.send.state is SendState.INTENT


async def test_a_write_that_releases_ends_the_lease_at_once(store: AnyStore, other: AnyStore) -> None:
    await admit(store, a_job())
    (mine,) = await claim_all(store, "one", lease_until=after(60))
    await brought_to(store, mine.send, SendState.INTENT, SendState.SUBMITTED, due_at=after(5))
    assert await store.next_due(["fal"]) == after(5)
    assert await claim_all(other, "two", now=after(4), lease_until=after(60)) == []
    assert len(await claim_all(other, "two", now=after(5), lease_until=after(60))) == 1


async def test_a_move_that_is_not_allowed_is_refused(store: AnyStore) -> None:
    await admit(store, a_job())
    (mine,) = await claim_all(store, lease_until=after(60))
    assert not await store.save(replace(mine.send, state=SendState.COMPLETED), now=START, release=True)
    assert (await stored(store)).sends[0].state is SendState.QUEUED


async def test_a_send_of_no_job_is_not_written(store: AnyStore) -> None:
    lost = a_send("no-such-0000", state=SendState.INTENT)
    assert not await store.save(lost, now=START, release=False)
    assert not await store.bind(replace(lost, remote_id="r"), now=START)


async def test_a_remote_id_is_bound_after_the_lease_was_lost_and_once_only(store: AnyStore, other: AnyStore) -> None:
    await admit(store, a_job())
    (mine,) = await claim_all(store, "one", lease_until=after(60))
    await store.save(replace(mine.send, state=SendState.INTENT), now=START, release=False)
    (theirs,) = await claim_all(other, "two", now=after(61), lease_until=after(120))
    assert await other.save(replace(theirs.send, state=SendState.UNKNOWN), now=after(62), release=True)
    assert (await stored(store)).status is JobStatus.UNKNOWN

    assert await store.bind(replace(mine.send, remote_id="r-1"), now=after(70))
    job = await stored(store)
    assert (job.sends[0].state, job.sends[0].remote_id, job.sends[0].due_at) == (SendState.SUBMITTED, "r-1", after(70))
    assert job.status is JobStatus.PENDING and job.ended_at is None and job.failure is None
    assert not await store.bind(replace(mine.send, remote_id="r-2"), now=after(71))
    assert (await stored(store)).sends[0].remote_id == "r-1"
    assert len(await claim_all(other, "two", now=after(72), lease_until=after(200))) == 1


async def test_the_present_holder_goes_on_with_a_remote_id_that_another_bound(store: AnyStore, other: AnyStore) -> None:
    await admit(store, a_job())
    (mine,) = await claim_all(store, "one", lease_until=after(60))
    await store.save(replace(mine.send, state=SendState.INTENT), now=START, release=False)
    (theirs,) = await claim_all(other, "two", now=after(61), lease_until=after(120))
    assert await store.bind(replace(mine.send, remote_id="r-1"), now=after(62))
    # The holder thought it lost; its verdict comes too late, for the send has moved on.
    assert not await other.save(replace(theirs.send, state=SendState.UNKNOWN), now=after(63), release=True)
    assert (await stored(store)).sends[0].state is SendState.SUBMITTED


async def test_nothing_is_bound_to_a_send_that_was_never_sent_or_has_ended(store: AnyStore) -> None:
    await admit(store, a_job())
    (mine,) = await claim_all(store, lease_until=after(60))
    assert not await store.bind(replace(mine.send, remote_id="r"), now=START)
    await brought_to(store, mine.send, SendState.FAILED)
    assert not await store.bind(replace(mine.send, remote_id="r"), now=START)


async def test_finished_outputs_are_claimed_first(store: AnyStore) -> None:
    for name, state in (("old", SendState.QUEUED), ("mid", SendState.SUBMITTED), ("new", SendState.READY)):
        await admit(store, a_job(f"{name}-car-0000"))
        if state is not SendState.QUEUED:
            (mine,) = [c for c in await claim_all(store, lease_until=after(60)) if c.send.job_id.startswith(name)]
            steps = [SendState.INTENT, SendState.SUBMITTED, SendState.READY]
            await brought_to(store, mine.send, *steps[: steps.index(state) + 1], due_at=after(1))
    claims = await claim_all(store, now=after(61), lease_until=after(120), limit=1)
    assert [claim.send.job_id for claim in claims] == ["new-car-0000"]


async def test_queued_sends_beyond_the_slots_stay_where_they_are(store: AnyStore, other: AnyStore) -> None:
    for n in range(5):
        await admit(store, a_job(f"red-car-000{n}"))
    first = await claim_all(store, "one", lease_until=after(60), slots=2)
    assert len(first) == 2
    assert await claim_all(other, "two", lease_until=after(60), slots=2) == []
    await brought_to(store, first[0].send, SendState.INTENT, SendState.SUBMITTED, due_at=after(500))
    assert await claim_all(other, "two", lease_until=after(60), slots=2) == []
    await brought_to(store, first[1].send, SendState.INTENT, SendState.SUBMITTED, SendState.READY, due_at=after(500))
    assert len(await claim_all(other, "two", lease_until=after(60), slots=2)) == 1


async def test_slots_are_counted_for_each_provider(store: AnyStore) -> None:
    await admit(store, a_job("one-car-0000", provider="fal"))
    await admit(store, a_job("two-car-0000", provider="fal"))
    await admit(store, a_job("six-car-0000", provider="bfl"))
    claims = await claim_all(store, lease_until=after(60), slots=1)
    assert sorted(claim.send.job_id for claim in claims) == ["one-car-0000", "six-car-0000"]


async def test_a_provider_that_is_not_configured_any_more_is_left_alone(store: AnyStore) -> None:
    await admit(store, a_job(provider="gone"))
    assert await claim_all(store, lease_until=after(60)) == []


async def test_a_long_queue_never_hides_the_sends_that_are_already_out(store: AnyStore) -> None:
    await admit(store, a_job("out-now-0000"))
    (mine,) = await claim_all(store, lease_until=after(60))
    await brought_to(store, mine.send, SendState.INTENT, SendState.SUBMITTED, due_at=after(3))
    for n in range(20):
        await admit(store, a_job(f"red-car-00{n:02}"))
    claims = await claim_all(store, now=after(3), lease_until=after(60), limit=2, slots=1)
    assert [claim.send.job_id for claim in claims] == ["out-now-0000"]


async def test_a_poke_makes_running_sends_due_and_never_later_than_they_were(store: AnyStore) -> None:
    await admit(store, a_job())
    (mine,) = await claim_all(store, lease_until=after(60))
    await brought_to(store, mine.send, SendState.INTENT, SendState.SUBMITTED, due_at=after(30))
    await store.poke("red-car-4k7q", now=after(10))
    assert await store.next_due(["fal"]) == after(10)
    await store.poke("red-car-4k7q", now=after(20))
    assert await store.next_due(["fal"]) == after(10)


async def test_nothing_is_due_where_nothing_runs(store: AnyStore) -> None:
    assert await store.next_due(["fal"]) is None
    await admit(store, a_job())
    await store.request_cancel("ann", "red-car-4k7q", now=START)
    assert await store.next_due(["fal"]) is None


async def test_an_image_that_is_kept_twice_is_kept_once(store: AnyStore) -> None:
    await admit(store, a_job())
    (mine,) = await claim_all(store, lease_until=after(60))
    for state in (SendState.INTENT, SendState.SUBMITTED, SendState.READY):
        await store.save(replace(mine.send, state=state), now=START, release=False)
    done = replace(mine.send, state=SendState.COMPLETED)
    assert await store.save(done, now=after(9), release=True, outputs=[an_output()])
    assert await store.save(done, now=after(10), release=True, outputs=[an_output(seed=5)])
    job = await stored(store)
    assert job.outputs == (an_output(),)
    assert await store.spent("ann", day="2026-11-20", unit=Unit.USD) == job.sends[0].price.amount


@pytest.mark.parametrize("state", [SendState.QUEUED, SendState.INTENT, SendState.SUBMITTED, SendState.READY])
async def test_a_row_that_cannot_be_read_is_set_aside_as_it_is_and_the_others_go_on(
    store: AnyStore, place: Place, state: SendState
) -> None:
    damage = '{"price": 1'
    for n in range(3):
        await admit(store, a_job(f"bad-car-000{n}"))
    place.rows("UPDATE sends SET doc = ?, state = ?", damage, state.value)
    await admit(store, a_job("red-car-4k7q"))
    taken: list[str] = []
    for n in range(10):
        for claim in await store.claim("one", now=after(n), lease_until=after(600), limit=9, slots={"fal": 1}):
            taken.append(claim.job_id)
            if claim.job_id.startswith("bad"):
                await store.give_back(claim, due_at=after(120), aside=True)
    assert sorted(taken) == ["bad-car-0000", "bad-car-0001", "bad-car-0002", "red-car-4k7q"]
    rows = place.rows("SELECT state, doc, lease_us, fence FROM sends WHERE job_id LIKE 'bad%'")
    assert rows == [(state, damage, 0, 1)] * 3, "as they were, and tried once"
    for n in range(3):
        with pytest.raises(StorageDamaged):
            await store.any_job(f"bad-car-000{n}")


async def test_a_row_that_a_person_mended_is_taken_up_within_two_minutes(store: AnyStore, place: Place) -> None:
    await admit(store, a_job())
    ((whole,),) = place.rows("SELECT doc FROM sends")
    place.rows("UPDATE sends SET doc = ''")
    (broken,) = await store.claim("one", now=START, lease_until=after(60), limit=9, slots={"fal": 1})
    await store.give_back(broken, due_at=after(120), aside=True)
    assert await claim_all(store, now=after(119), lease_until=after(180)) == []
    place.rows("UPDATE sends SET doc = ?", whole)
    (claim,) = await claim_all(store, now=after(120), lease_until=after(180))
    assert claim.send.job_id == "red-car-4k7q"


async def test_what_was_handed_over_is_not_handed_over_or_ended_by_who_did_not_hear_of_it(store: AnyStore) -> None:
    await admit(store, a_job())
    (mine,) = await claim_all(store, lease_until=after(60))
    assert await store.save(replace(mine.send, state=SendState.INTENT), now=START, release=False)
    elsewhere = replace(mine.send, provider="bfl", price=usd("0.05"), state=SendState.QUEUED)
    handover = Handover(sends=(elsewhere,), provider="bfl", model="m", request={}, warning="fal did not serve it")
    assert await store.hand_over(mine.send, handover, caps=Caps.none(), now=START)
    assert not await store.hand_over(mine.send, handover, caps=Caps.none(), now=START)
    assert await store.save(replace(mine.send, state=SendState.FAILED), now=START, release=True) is Saved.NO
    job = await stored(store)
    assert [(send.provider, send.state) for send in job.sends] == [("bfl", SendState.QUEUED)]
    assert await store.spent("ann", day="2026-11-20", unit=Unit.USD) == Decimal("0.05")
