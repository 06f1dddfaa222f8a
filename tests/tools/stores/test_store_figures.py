"""What an operator watches of a store: right, and of all owners together."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from kontext_tools.budget import Basis, Cost, Price, Unit
from kontext_tools.jobs import SendState
from kontext_tools.stores.figures import Figures, Spent
from support.fake_clock import START
from support.places import AnyStore
from support.rows import a_job, admit, claim_all, usd

pytestmark = pytest.mark.anyio

TODAY = "2026-11-20"
LEASE = START + timedelta(minutes=5)
CREDITS = Price(amount=Decimal(120), unit=Unit.CREDIT)


async def test_an_empty_store_has_no_figures(store: AnyStore) -> None:
    assert await store.figures(day=TODAY) == Figures(jobs={}, sends={}, leases=0, spent=())


async def test_jobs_sends_leases_and_money_are_those_of_all_owners(store: AnyStore) -> None:
    await admit(store, a_job("ended-0001", price=usd("0.04")))
    cost = Cost(amount=Decimal("0.05"), unit=Unit.USD, basis=Basis.REPORTED)
    for claim in await claim_all(store, lease_until=LEASE):
        for state in (SendState.INTENT, SendState.SUBMITTED, SendState.READY, SendState.COMPLETED):
            last = state is SendState.COMPLETED
            assert await store.save(replace(claim.send, state=state, cost=cost), now=START, release=last)
    await admit(store, a_job("lost-0001", owner="bob", price=usd("0.04")))
    for claim in await claim_all(store, lease_until=LEASE):
        for state in (SendState.INTENT, SendState.UNKNOWN):
            last = state is SendState.UNKNOWN
            assert await store.save(replace(claim.send, state=state), now=START, release=last)
    await admit(store, a_job("two-0001", sends=2, price=usd("0.04")))
    await claim_all(store, lease_until=LEASE)
    await admit(store, a_job("dear-0001", owner="cleo", price=CREDITS, provider="core.today"))
    await admit(store, a_job("old-0001", price=usd("0.04"), created_at=START - timedelta(days=1)))
    assert await store.figures(day=TODAY) == Figures(
        jobs={"pending": 3, "unknown": 1},
        sends={("fal", "queued"): 3, ("core.today", "queued"): 1, ("fal", "unknown"): 1},
        leases=2,
        spent=(
            Spent(provider="core.today", unit=Unit.CREDIT, reserved=Decimal(120), settled=Decimal(0)),
            Spent(provider="fal", unit=Unit.USD, reserved=Decimal("0.12"), settled=Decimal("0.05")),
        ),
    )
