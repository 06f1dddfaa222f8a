"""What a call gives and what it wants: a job as one answer tells it, a dry run's quote, how to be served.

Above: studio, surface, cli. Below: costs, jobs, budget.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from kontext_tools.budget import Cost, Unit
from kontext_tools.costs import cost_of
from kontext_tools.errors import Cancelled, Failure
from kontext_tools.jobs import Job, JobStatus, Run
from kontext_tools.questions import Yes
from kontext_tools.runs import every_run


def eta_s(job: Job, typical_s: Mapping[str, float], now: datetime) -> int | None:
    """Give the seconds that a running job may still take; `None` where nobody here knows its provider.

    Args:
        job: as it stands; a plan takes a provider's time for each level of steps that is not done.
        typical_s: seconds that a job takes, by provider.
        now: UTC.
    """
    if job.plan is None:
        if job.provider not in typical_s:
            return None
        return max(1, round(typical_s[job.provider] - (now - job.created_at).total_seconds()))
    done = {(run.step, run.n) for run in job.runs if run.job is None or run.job.settled}
    levels = {job.plan.level_of[step.id] for step, n in every_run(job.plan) if (step.id, n) not in done}
    return max(
        1,
        round(
            len(levels) * max((typical_s[name] for name in job.provider.split(", ") if name in typical_s), default=0.0)
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A job as one answer tells it.

    Attributes:
        job: as it stands.
        joined: whether this call joined an earlier one.
        eta_s: seconds that it may still take, while it runs.
        at: the moment this was seen, UTC.
    """

    job: Job
    joined: bool = False
    eta_s: int | None = None
    at: datetime

    @property
    def seconds(self) -> float:
        """Seconds from the call to the end, or to now."""
        return max(0.0, ((self.job.ended_at or self.at) - self.job.created_at).total_seconds())

    @property
    def cost(self) -> Cost:
        """What the job cost, or will: what was released is not counted."""
        return cost_of(self.job)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is told beside the job: what was noted, and a provider's word for it that we do not know."""
        odd = [
            f"{send.provider} calls it {send.odd_word}, a status that is not known here; it counts as still running."
            for job in (self.job, *(run.job for run in self.job.runs if run.job is not None))
            for send in job.sends
            if send.odd_word and not send.state.ended
        ]
        told = [warning for run in self.job.runs if run.job is not None for warning in run.job.warnings]
        return (*self.job.warnings, *dict.fromkeys(odd), *dict.fromkeys(told), *self.missing)

    @property
    def missing(self) -> tuple[str, ...]:
        """What a plan did not bring, run by run."""
        return tuple(_missing(run) for run in self.job.runs if run.skipped or run.failure is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a dry run tells: everything was checked and nothing sent."""

    provider: str
    request: dict[str, Any]
    cost: Cost
    warnings: tuple[str, ...]
    budget_left: Mapping[Unit, Decimal]


OnNews = Callable[[View], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """How one call wants to be served.

    Attributes:
        owner: who calls.
        wait_s: seconds to wait for the end, 0 to answer at once.
        dry_run: whether to check everything and send nothing.
        request_key: the caller's own key, or empty.
        on_news: told while waiting, at least once a second.
        yes: what a person said yes to, from whoever has asked them; never from an argument.
    """

    owner: str
    wait_s: float = 0.0
    dry_run: bool = False
    request_key: str = ""
    on_news: OnNews | None = None
    yes: Yes | None = None


def _missing(run: Run) -> str:
    """Tell a run of a plan that made no picture, or not all of them."""
    if run.failure is None:
        return f"{run.step} was skipped: what it starts from is not there."
    return f"{run.step} {_fate(run.job, run.failure)}: {run.failure.message}"


def _fate(job: Job | None, failure: Failure) -> str:
    if job is not None and not job.status.ended:
        return "goes on"
    if job is not None and job.status is JobStatus.COMPLETED:
        return "brought not all of its pictures"
    if job is not None and job.status is JobStatus.UNKNOWN:
        return "ended unknown"
    return "was cancelled" if failure.code == Cancelled.code else "failed"
