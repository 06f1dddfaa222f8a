"""The part of the store's seam that plans need.

What this is: a plan recorded under the caps, claimed by one process at a time, and the fate of each of its runs. What
it is not: a step's job, which is recorded as any other (`Store.admit`) and takes its run's place in the same
transaction. Above: base, planner. Below: jobs, budget.

A lease only saves work here. What keeps a step from being sent twice is its place, which is taken once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from kontext_tools.budget import Caps, Price
from kontext_tools.errors import Failure
from kontext_tools.jobs import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What became of a call: its own job, or the earlier one that it joined."""

    job: Job
    joined: bool


class PlanStore(Protocol):
    """Where plans live."""

    async def admit_plan(
        self, job: Job, *, caps: Caps, prices: Sequence[Price], now: datetime, nonce: str | None = None
    ) -> Admission:
        """Record a plan with the runs that it takes over, or give the earlier one that it repeats.

        Nothing is reserved: each step reserves its own money when it starts.

        Args:
            job: with its plan; its runs are those that are taken over.
            caps: held against the whole.
            prices: of all that is to be sent, one for each unit.
            now: UTC.
            nonce: of a person's yes; burnt with the record.

        Raises:
            OutcomeUnknown, BudgetExceeded, ConfirmationNeeded, LookupError: as `Store.admit` says.
            NotFound: a run that it takes over was deleted meanwhile.
        """
        ...

    async def next_plan_due(self) -> datetime | None:
        """Give when the next plan is to be looked at; `None` where none runs."""
        ...

    async def claim_plans(
        self, process: str, *, now: datetime, lease_until: datetime, again_at: datetime, limit: int
    ) -> Sequence[str]:
        """Take plans that are due under a lease of this process; each is due again then, or when a step of it ends."""
        ...

    async def rest_plan(self, process: str, plan_id: str, *, now: datetime) -> bool:
        """Give a plan's lease back; end the plan where every run has come to its end. Whether it has ended."""
        ...

    async def leave_run(self, plan_id: str, step: str, run: int, *, failure: Failure | None) -> None:
        """Note that a run will not start: skipped, or refused; nothing where its place is taken."""
        ...
