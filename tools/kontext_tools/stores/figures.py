"""What an operator watches of a store, of all owners together: counts and sums, no job's own facts.

What this is: the value and the verb of the seam. What it is not: what one owner has spent (`Store.usage`). Above:
stores.base, whoever tells an operator. Below: budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from kontext_tools.budget import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """A day's money at one provider in one unit: set aside for sends that have not ended, and settled."""

    provider: str
    unit: Unit
    reserved: Decimal
    settled: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How a store stands at one moment.

    Attributes:
        jobs: those that have not ended for good, by status; a plan is one.
        sends: those that have not ended for good, by provider and state.
        leases: sends that some process holds.
        spent: what was reserved and settled on the day that was asked for.
    """

    jobs: Mapping[str, int]
    sends: Mapping[tuple[str, str], int]
    leases: int
    spent: Sequence[Spent]


class FigureStore(Protocol):
    """Where figures come from."""

    async def figures(self, *, day: str) -> Figures:
        """Give the figures, and those of money for a UTC day, `2026-11-20`; each by an index, however old the store."""
        ...
