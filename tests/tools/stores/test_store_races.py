"""What must hold whoever is first: several processes at one database at the same time, each with its own threads."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import anyio
import pytest

from kontext_tools.budget import Caps, Unit
from kontext_tools.edits import Edit
from kontext_tools.errors import BudgetExceeded, ConfirmationNeeded
from kontext_tools.jobs import SendState
from kontext_tools.plans import Part, Plan, Step
from kontext_tools.stores.base import Claim, JobNews, Saved
from support.fake_clock import START
from support.places import AnyStore, Place
from support.rows import a_job, admit, an_output, claim_all, send_of

pytestmark = pytest.mark.anyio

T = TypeVar("T")


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.fixture
async def stores(place: Place, anyio_backend: str) -> AsyncGenerator[tuple[AnyStore, AnyStore]]:
    one, two = place.store(busy_s=30), place.store(busy_s=30)
    await one.open()
    await two.open()
    yield one, two
    await one.close()
    await two.close()


async def together(*works: Callable[[], Awaitable[T]]) -> list[T]:
    """Do all at once; give what each gave, in their order."""
    given: dict[int, T] = {}

    async def one(n: int, work: Callable[[], Awaitable[T]]) -> None:
        given[n] = await work()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for n, work in enumerate(works):
                tasks.start_soon(one, n, work)
    return [given[n] for n in range(len(works))]


async def test_a_hundred_calls_of_two_processes_at_once_never_pass_the_days_cap(
    stores: tuple[AnyStore, AnyStore],
) -> None:
    caps = Caps(daily={Unit.USD: Decimal("1.00")}, per_call={}, confirm_above={})

    async def ask(n: int) -> bool:
        try:
            await admit(stores[n % 2], a_job(f"car-{n:04}"), caps=caps)
        except BudgetExceeded:
            return False
        return True

    taken = await together(*(lambda n=n: ask(n) for n in range(100)))
    assert Counter(taken) == {True: 25, False: 75}
    assert await stores[0].spent("ann", day="2026-11-20", unit=Unit.USD) == Decimal("1.00")


@pytest.mark.parametrize("same", [{"request_key": "k", "key_digest": "d"}, {"fingerprint": "the same words"}])
async def test_calls_that_repeat_each_other_at_once_are_one_job(
    stores: tuple[AnyStore, AnyStore], same: dict[str, Any]
) -> None:
    admissions = await together(*(lambda n=n: admit(stores[n % 2], a_job(f"car-{n:04}", **same)) for n in range(20)))
    assert len({admission.job.id for admission in admissions}) == 1
    assert Counter(admission.joined for admission in admissions) == {True: 19, False: 1}
    assert await stores[1].spent("ann", day="2026-11-20", unit=Unit.USD) == Decimal("0.04")


async def test_of_calls_with_one_yes_one_buys_its_job(stores: tuple[AnyStore, AnyStore]) -> None:
    async def ask(n: int) -> bool:
        try:
            await admit(stores[n % 2], a_job(f"car-{n:04}", owner=f"user-{n}"), nonce="yes")
        except ConfirmationNeeded:
            return False
        return True

    assert Counter(await together(*(lambda n=n: ask(n) for n in range(10)))) == {True: 1, False: 9}


async def test_a_run_of_a_plan_is_sent_once_whoever_moves_it(stores: tuple[AnyStore, AnyStore]) -> None:
    plan = Plan(steps=(Step(id="first", edit=Edit(prompt="Do it")),))
    whole = replace(a_job("plan-0000"), tool="run_plan", sends=(), plan=plan)
    await stores[0].admit_plan(whole, caps=Caps.none(), prices=[], now=START)
    part = Part(plan_id="plan-0000", step="first", run=1)
    admissions = await together(*(lambda n=n: admit(stores[n % 2], a_job(f"car-{n:04}", part=part)) for n in range(10)))
    assert len({admission.job.id for admission in admissions}) == 1
    assert Counter(admission.joined for admission in admissions) == {True: 9, False: 1}


async def test_each_send_is_taken_by_one_process_and_no_more_than_there_are_slots(
    stores: tuple[AnyStore, AnyStore],
) -> None:
    await together(*(lambda n=n: admit(stores[n % 2], a_job(f"car-{n:04}", owner=f"user-{n % 7}")) for n in range(40)))

    async def claim(n: int) -> list[Claim]:
        until, slots = after(60), {"fal": 17}
        return list(await stores[n % 2].claim(f"process-{n}", now=START, lease_until=until, limit=5, slots=slots))

    claims = [one for claims in await together(*(lambda n=n: claim(n) for n in range(12))) for one in claims]
    assert (len(claims), len({claim.job_id for claim in claims})) == (17, 17)
    assert {claim.fence for claim in claims} == {1}


async def test_one_process_of_many_tries_a_closed_gate(stores: tuple[AnyStore, AnyStore]) -> None:
    for n in range(6):
        await admit(stores[0], a_job(f"car-{n:04}"))
    await stores[0].gate("fal", closed_until=after(1))

    async def claim(n: int) -> list[Claim]:
        at, until = after(2), after(60)
        return list(await stores[n % 2].claim(f"process-{n}", now=at, lease_until=until, limit=1, slots={"fal": 9}))

    claims = [one for claims in await together(*(lambda n=n: claim(n) for n in range(6))) for one in claims]
    assert Counter((claim.probe, claim.barred) for claim in claims) == {(True, False): 1, (False, True): 5}


async def test_no_intent_is_written_after_a_cancel_that_comes_at_the_same_moment(
    stores: tuple[AnyStore, AnyStore],
) -> None:
    for n in range(24):
        await admit(stores[0], a_job(f"car-{n:04}", owner=f"user-{n % 3}"))
    taken = await claim_all(stores[0], lease_until=after(60))

    async def intend(n: int) -> Saved:
        return await stores[0].save(replace(taken[n].send, state=SendState.INTENT), now=START, release=False)

    async def cancel(n: int) -> Saved:
        job = await stores[1].any_job(taken[n].send.job_id)
        assert job is not None
        await stores[1].request_cancel(job.owner, job.id, now=START)
        return Saved.NO

    works = [work for n in range(24) for work in (lambda n=n: intend(n), lambda n=n: cancel(n))]
    saved = (await together(*works))[::2]
    for n, one in enumerate(saved):
        now = await send_of(stores[0], taken[n].claim)
        assert now.state is (SendState.INTENT if one else SendState.CANCELLED)
    spent = [await stores[0].spent(f"user-{n}", day="2026-11-20", unit=Unit.USD) for n in range(3)]
    assert sum(spent) == Decimal("0.04") * sum(one is not Saved.NO for one in saved)


async def test_a_write_of_an_owner_whose_lease_is_taken_at_the_same_moment_is_before_it_or_refused(
    stores: tuple[AnyStore, AnyStore],
) -> None:
    for n in range(24):
        await admit(stores[0], a_job(f"car-{n:04}"))
    taken = await claim_all(stores[0], "stopped", lease_until=after(1))
    for one in taken:
        assert await stores[0].save(replace(one.send, state=SendState.INTENT), now=START, release=False)

    async def wake(n: int) -> bool:
        going = replace(taken[n].send, state=SendState.SUBMITTED, remote_id=f"r{n}", due_at=after(500))
        return await stores[0].save(going, now=after(5), release=False) is not Saved.NO

    async def take(_: int) -> bool:
        for claim in await stores[1].claim("other", now=after(5), lease_until=after(60), limit=4, slots={"fal": 99}):
            orphans[claim.job_id] = claim
        return False

    orphans: dict[str, Claim] = {}
    works = [work for n in range(24) for work in (lambda n=n: wake(n), lambda n=n: take(n))]
    written = (await together(*works))[::2]
    for n, one in enumerate(taken):
        # Who found it without an answer is the only one that may say what became of it.
        assert written[n] is (one.send.job_id not in orphans)
        assert (await send_of(stores[1], one.claim)).remote_id == (f"r{n}" if written[n] else None)


async def test_images_that_are_kept_at_one_moment_each_have_a_place_of_their_own(
    stores: tuple[AnyStore, AnyStore],
) -> None:
    for n in range(16):
        await admit(stores[0], a_job(f"car-{n:04}"))
    taken = await claim_all(stores[0], lease_until=after(60))
    for one in taken:
        for state in (SendState.INTENT, SendState.SUBMITTED, SendState.READY):
            await stores[0].save(replace(one.send, state=state), now=START, release=False)

    async def keep(n: int) -> Saved:
        send = taken[n].send
        done, outputs = replace(send, state=SendState.COMPLETED), [an_output(1, send.job_id)]
        return await stores[n % 2].save(done, now=after(9), release=True, outputs=outputs)

    await together(*(lambda n=n: keep(n) for n in range(16)))
    told: list[str] = []
    before = None
    while True:
        page = await stores[0].images("ann", limit=3, before=before)
        told += [row.job_id for row in page.rows]
        before = page.last
        if before is None:
            break
    assert sorted(told) == [f"car-{n:04}" for n in range(16)]


async def test_what_two_learn_of_one_job_at_once_is_all_kept(stores: tuple[AnyStore, AnyStore]) -> None:
    await admit(stores[0], a_job())
    await together(
        *(lambda n=n: stores[n % 2].add_news("red-car-4k7q", JobNews(warnings=(f"{n}",))) for n in range(12))
    )
    job = await stores[0].any_job("red-car-4k7q")
    assert job is not None and sorted(job.warnings, key=int) == [f"{n}" for n in range(12)]
