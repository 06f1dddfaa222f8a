"""Plans in the SQLite store: leases under a clock that was set, places taken once, what was delivered with a plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kontext_tools.budget import Caps, Unit
from kontext_tools.edits import Edit
from kontext_tools.errors import Cancelled, Failure, ProviderError, StorageDamaged
from kontext_tools.jobs import Job, SendState
from kontext_tools.plans import Part, Plan, Step
from support.fake_clock import START
from support.places import AnyStore
from support.rows import a_job, admit

pytestmark = pytest.mark.anyio

LATER = START + timedelta(days=1)


def a_plan(*names: str) -> Job:
    steps = tuple(Step(id=name, edit=Edit(prompt=f"Do {name}")) for name in names)
    return replace(a_job("plan-red-4k7q"), tool="run_plan", sends=(), plan=Plan(steps=steps))


def a_step(job_id: str, name: str) -> Job:
    return a_job(job_id, part=Part(plan_id="plan-red-4k7q", step=name, run=1))


async def record(store: AnyStore, plan: Job) -> None:
    await store.admit_plan(plan, caps=Caps.none(), prices=[], now=START)


def failed() -> Failure:
    return ProviderError("It broke.", fix="Call again.").failure


async def claim(store: AnyStore, process: str, *, at_s: float) -> list[str]:
    now = START + timedelta(seconds=at_s)
    until, again = now + timedelta(seconds=10), now + timedelta(seconds=5)
    return list(await store.claim_plans(process, now=now, lease_until=until, again_at=again, limit=16))


async def test_a_plan_leased_before_the_clock_was_set_back_is_taken_up_again(store: AnyStore) -> None:
    await record(store, a_plan("one"))
    day_s = 86_400.0
    assert await claim(store, "dead", at_s=day_s) == ["plan-red-4k7q"]
    await store.set_right(now=START, lease_until=START + timedelta(seconds=10))
    assert await claim(store, "living", at_s=1) == []
    assert await claim(store, "living", at_s=10) == ["plan-red-4k7q"]


async def test_what_lies_but_little_ahead_is_left_as_it_is(store: AnyStore) -> None:
    await record(store, a_plan("one"))
    assert await claim(store, "one", at_s=0) == ["plan-red-4k7q"]
    await store.set_right(now=START, lease_until=START + timedelta(seconds=10))
    assert await store.next_plan_due() == START + timedelta(seconds=5)


async def test_a_place_that_was_left_is_never_sent_for(store: AnyStore) -> None:
    await record(store, a_plan("one"))
    await store.leave_run("plan-red-4k7q", "one", 1, failure=failed())
    with pytest.raises(Cancelled):
        await admit(store, a_step("red-car-1111", "one"))
    assert await store.any_job("red-car-1111") is None
    assert await store.spent("ann", day="2026-11-20", unit=Unit.USD) == 0


async def ended(store: AnyStore, job_id: str) -> None:
    claimed = await store.claim("p", now=START, lease_until=LATER, limit=9, slots={"fal": 9})
    for one in claimed:
        job = await store.any_job(one.job_id)
        assert job is not None
        send = replace(job.sends[0], state=SendState.FAILED, failure=failed())
        await store.save(send, now=START, release=True)


async def test_what_was_delivered_with_its_plan_is_joined_by_no_later_call(store: AnyStore) -> None:
    await record(store, a_plan("one"))
    await admit(store, replace(a_step("red-car-1111", "one"), fingerprint="same"))
    await ended(store, "red-car-1111")
    assert await store.rest_plan("p", "plan-red-4k7q", now=START)
    await store.mark_delivered("plan-red-4k7q")
    again = await admit(store, a_job("red-car-2222", fingerprint="same"))
    assert not again.joined


async def test_a_run_of_a_step_that_its_plan_does_not_have_is_a_damaged_database(store: AnyStore) -> None:
    await record(store, a_plan("one"))
    await store.leave_run("plan-red-4k7q", "other", 1, failure=failed())
    with pytest.raises(StorageDamaged):
        await store.any_job("plan-red-4k7q")
