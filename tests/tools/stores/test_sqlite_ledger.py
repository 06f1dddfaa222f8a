"""Sums of the ledger in a file of SQLite, for any prices."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kontext_tools.budget import Price, Unit
from kontext_tools.stores.sqlite import SqliteStore
from support.rows import a_job, admit

pytestmark = pytest.mark.anyio


@given(amounts=st.lists(st.integers(0, 10**15), min_size=1, max_size=8))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_sums_are_exact_whatever_the_prices(tmp_path_factory: pytest.TempPathFactory, amounts: list[int]) -> None:
    store = SqliteStore(tmp_path_factory.mktemp("ledger") / "kontext.db")
    prices = [Decimal(amount).scaleb(-9) for amount in amounts]
    for n, price in enumerate(prices):
        await admit(store, a_job(f"red-car-00{n:02}", price=Price(amount=price, unit=Unit.USD)))
    assert await store.spent("ann", day="2026-11-20", unit=Unit.USD) == sum(prices)
    await store.close()
