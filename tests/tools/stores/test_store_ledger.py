"""Money: reserved with the job, settled when a send ends, exact, append-only."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from inline_snapshot import snapshot

from kontext_tools.budget import Basis, Caps, Cost, Price, Unit
from kontext_tools.errors import Billed, BudgetExceeded, Failure
from kontext_tools.jobs import SendState
from support.fake_clock import START
from support.places import AnyStore, Place
from support.rows import a_job, admit, claim_all, usd

pytestmark = pytest.mark.anyio


TODAY = "2026-11-20"


LEASE = START + timedelta(minutes=5)


OUT = (SendState.INTENT, SendState.SUBMITTED)


def failed(billed: Billed) -> Failure:
    return Failure(code="provider_error", message="It failed.", fix="Call again.", billed=billed)


def day_cap(amount: str) -> Caps:
    return replace(Caps.none(), daily={Unit.USD: Decimal(amount)})


async def spent(store: AnyStore, *, day: str = TODAY, unit: Unit = Unit.USD) -> str:
    return str(await store.spent("ann", day=day, unit=unit))


async def end(store: AnyStore, *states: SendState, cost: Cost | None = None, failure: Failure | None = None) -> None:
    for claim in await claim_all(store, lease_until=LEASE):
        for state in states:
            last = state is states[-1]
            send = replace(claim.send, state=state, cost=cost if last else None, failure=failure if last else None)
            assert await store.save(send, now=START, release=last)


def entries(place: Place) -> list[tuple[str, int, str, str]]:
    return place.rows("SELECT entry, delta_nano, unit, basis FROM ledger ORDER BY seq")


async def test_money_is_reserved_with_the_job_for_each_send(store: AnyStore, place: Place) -> None:
    await admit(store, a_job(sends=3, price=usd("0.04")))
    assert await spent(store) == "0.12"
    assert entries(place) == [("reserved", 40_000_000, "usd", "list_price")] * 3


async def test_a_reported_cost_corrects_the_reservation(store: AnyStore, place: Place) -> None:
    await admit(store, a_job(price=usd("0.04")))
    cost = Cost(amount=Decimal("0.055"), unit=Unit.USD, basis=Basis.REPORTED)
    await end(store, *OUT, SendState.READY, SendState.COMPLETED, cost=cost)
    assert await spent(store) == "0.055"
    assert entries(place) == snapshot(
        [("reserved", 40000000, "usd", "list_price"), ("settled", 15000000, "usd", "reported")]
    )


async def test_without_a_report_the_list_price_stays(store: AnyStore) -> None:
    await admit(store, a_job(price=usd("0.04")))
    await end(store, *OUT, SendState.READY, SendState.COMPLETED)
    assert await spent(store) == "0.04"


async def test_a_report_in_another_unit_never_enters_the_sum(store: AnyStore) -> None:
    await admit(store, a_job(price=usd("0.04")))
    cost = Cost(amount=Decimal(120), unit=Unit.CREDIT, basis=Basis.REPORTED)
    await end(store, *OUT, SendState.READY, SendState.COMPLETED, cost=cost)
    assert await spent(store) == "0.04"
    assert await spent(store, unit=Unit.CREDIT) == "0"


async def test_a_failure_that_was_not_billed_gives_the_money_back(store: AnyStore) -> None:
    await admit(store, a_job(price=usd("0.04")))
    await end(store, SendState.FAILED, failure=failed(Billed.NO))
    assert await spent(store) == "0"


@pytest.mark.parametrize("billed", [Billed.YES, Billed.UNKNOWN])
async def test_a_failure_that_may_have_been_billed_keeps_it(store: AnyStore, billed: Billed) -> None:
    await admit(store, a_job(price=usd("0.04")))
    await end(store, *OUT, SendState.FAILED, failure=failed(billed))
    assert await spent(store) == "0.04"


async def test_unknown_keeps_the_money_reserved(store: AnyStore) -> None:
    await admit(store, a_job(price=usd("0.04")))
    await end(store, SendState.INTENT, SendState.UNKNOWN, failure=failed(Billed.UNKNOWN))
    assert await spent(store) == "0.04"


@pytest.mark.parametrize(("billed", "left"), [(Billed.NO, "0"), (Billed.YES, "0.04")])
async def test_an_unknown_send_that_a_person_resolves_is_settled_then(
    store: AnyStore, billed: Billed, left: str
) -> None:
    await admit(store, a_job(price=usd("0.04")))
    await end(store, SendState.INTENT, SendState.UNKNOWN, failure=failed(Billed.UNKNOWN))
    job = await store.any_job("red-car-4k7q")
    assert job is not None
    resolved = replace(job.sends[0], state=SendState.FAILED, failure=failed(billed))
    assert await store.save(resolved, now=START, release=True)
    assert await spent(store) == left


async def test_a_cancel_gives_back_what_was_not_sent(store: AnyStore) -> None:
    await admit(store, a_job(sends=2, price=usd("0.04")))
    first, _ = await claim_all(store, lease_until=LEASE)
    await store.save(replace(first.send, state=SendState.INTENT), now=START, release=False)
    await store.request_cancel("ann", "red-car-4k7q", now=START)
    assert await spent(store) == "0.04"


async def test_a_release_goes_back_to_the_day_that_it_was_taken_from(store: AnyStore) -> None:
    await admit(store, a_job(price=usd("0.04")))
    await store.request_cancel("ann", "red-car-4k7q", now=START + timedelta(days=1))
    assert await spent(store) == "0"
    assert await spent(store, day="2026-11-21") == "0"


async def test_the_days_cap_is_kept_to_the_last_billionth(store: AnyStore) -> None:
    caps = day_cap("0.12")
    for n in range(3):
        await admit(store, a_job(f"red-car-000{n}", price=usd("0.04")), caps=caps)
    with pytest.raises(BudgetExceeded):
        await admit(store, a_job("red-car-0009", price=usd("0.000000001")), caps=caps)
    assert await store.job("ann", "red-car-0009") is None
    other = a_job("red-car-000b", owner="bob", price=usd("0.04"))
    assert not (await admit(store, other, caps=caps)).joined


async def test_a_day_has_a_budget_of_its_own(store: AnyStore) -> None:
    caps, tomorrow = day_cap("0.04"), START + timedelta(days=1)
    await admit(store, a_job("red-car-0000"), caps=caps)
    await admit(store, a_job("red-car-0001", created_at=tomorrow), caps=caps, now=tomorrow)
    assert (await spent(store), await spent(store, day="2026-11-21")) == ("0.04", "0.04")


async def test_joining_an_earlier_job_reserves_nothing(store: AnyStore) -> None:
    await admit(store, a_job(fingerprint="same"), caps=day_cap("0.04"))
    twin = await admit(store, a_job("new-one-0000", fingerprint="same"), caps=day_cap("0.04"))
    assert twin.joined
    assert await spent(store) == "0.04"


async def test_an_unknown_price_is_reserved_as_nothing_and_settled_by_its_report(store: AnyStore) -> None:
    await admit(store, a_job(price=Price(amount=None, unit=Unit.USD)))
    assert await spent(store) == "0"
    cost = Cost(amount=Decimal("0.03"), unit=Unit.USD, basis=Basis.REPORTED)
    await end(store, *OUT, SendState.READY, SendState.COMPLETED, cost=cost)
    assert await spent(store) == "0.03"
