"""A job and its sends: what was asked, and its fate; pure, times come in as arguments.

What this is: one asked edit. State, intent, lease and reservation belong to the send (one create at a provider); a job
has one or more. A plan is a job too, of runs. What it is not: the table of moves (`states`), persistence (`stores`) or
driving (`engine`, `planner`). Above: stores, engine, studio. Below: sends, states, plans, pictures, edits, budget.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from kontext_tools.budget import Price, Unit
from kontext_tools.changes import Change
from kontext_tools.edits import Edit
from kontext_tools.errors import Billed, Cancelled, Failure
from kontext_tools.pictures import Output as Output
from kontext_tools.pictures import Source as Source
from kontext_tools.pictures import SourceKind as SourceKind
from kontext_tools.plans import Part, Plan
from kontext_tools.sends import Send as Send
from kontext_tools.states import JobStatus as JobStatus
from kontext_tools.states import SendState as SendState
from kontext_tools.states import Sought as Sought
from kontext_tools.states import may_move as may_move


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One asked edit or generation, and its fate.

    Attributes:
        id: `red-car-4k7q`.
        owner: whose it is; every look-up takes it.
        tool: the verb that made it.
        edit: what was asked.
        source: what it started from; `None` for a generation.
        sent_prompt: with `keep` composed in.
        request: the provider request with secrets removed, for people.
        provider: who serves; of several sends that went to different ones, the last that was asked.
        model: the provider's model.
        created_at: UTC.
        ended_at: UTC, once it has ended.
        depth: edits from the source, 1 for the first.
        fingerprint: what makes two calls identical.
        request_key: the caller's own key.
        key_digest: of the arguments as given with that key.
        delivered: whether a final answer was written to a call that was still open.
        cancel_requested: whether cancel_job was called; what is not sent yet is dropped.
        sends: one or more.
        outputs: what is kept so far, by number.
        change: what the first output changed.
        warnings: told with every answer.
        agreed: the price that a person said yes to, where one was asked; the next provider may not cost more.
        part: its place in the plan that it is a step of.
        plan: its steps, where it is a plan; then it has runs in place of sends.
        runs: what became of them so far.
    """

    id: str
    owner: str
    tool: str
    edit: Edit
    source: Source | None = None
    sent_prompt: str
    request: dict[str, Any]
    provider: str
    model: str
    created_at: datetime
    ended_at: datetime | None = None
    depth: int = 0
    fingerprint: str
    request_key: str = ""
    key_digest: str = ""
    delivered: bool = False
    cancel_requested: bool = False
    sends: tuple[Send, ...] = ()
    outputs: tuple[Output, ...] = ()
    change: Change | None = None
    warnings: tuple[str, ...] = ()
    agreed: Price | None = None
    part: Part | None = None
    plan: Plan | None = None
    runs: tuple[Run, ...] = ()

    @property
    def status(self) -> JobStatus:
        """What a caller is told, derived from the sends; a plan's from its runs."""
        return status_of(self.sends) if self.plan is None else _status_of_plan(self)

    @property
    def searched(self) -> bool:
        """Whether a send of it is unknown and still looked for: then even an `unknown` job may go on by itself."""
        return any(send.searched for send in self.sends) or any(run.job.searched for run in self.runs if run.job)

    @property
    def settled(self) -> bool:
        """Whether nothing more is to be waited for: it has ended, and no send of it may be found any moment."""
        return self.status.ended and not any(send.likely for send in self.sends)

    @property
    def images(self) -> list[tuple[Job, Output]]:
        """Its kept images with the jobs that they are named after: its own, or those of a plan's steps."""
        holders = [self] if self.plan is None else [run.job for run in self.runs if run.job is not None]
        return [(holder, output) for holder in holders for output in holder.outputs]

    @property
    def failure(self) -> Failure | None:
        """Why the job has no image: the telling failure of its sends, most serious first."""
        failures = [part.failure for part in (*self.sends, *self.runs) if part.failure is not None]
        return min(failures, key=_seriousness, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a plan's step, and what became of it: a job, or why there is none.

    Attributes:
        step: its step's id.
        n: 1, or which of the fan-out's runs it is.
        job: that was made for it, or taken over from the plan that this one resumes.
        carried: whether it was taken over: it costs nothing here.
        refused: why no job could be made; `None` with no job either: skipped, for what it starts from is not there.
    """

    step: str
    n: int
    job: Job | None = None
    carried: bool = False
    refused: Failure | None = None

    @property
    def failure(self) -> Failure | None:
        """Why it has no picture; none where it was skipped."""
        return self.refused if self.job is None else self.job.failure

    @property
    def skipped(self) -> bool:
        """Whether nothing was tried."""
        return self.job is None and self.refused is None


def dropped(send: Send, now: datetime) -> Send:
    """End a send that never went out."""
    return replace(send, state=SendState.CANCELLED, ended_at=now, failure=unsent())


def _seriousness(failure: Failure) -> tuple[bool, int, bool]:
    """Order failures: what may have been charged, what was, what was not; what was only dropped last."""
    return failure.code != "outcome_unknown", _DEAREST_FIRST.index(failure.billed), failure.code == Cancelled.code


_DEAREST_FIRST = (Billed.UNKNOWN, Billed.YES, Billed.NO)


def unsent() -> Failure:
    """Give why what was cancelled in time has no picture."""
    return Cancelled("Cancelled before it was sent; nothing was charged.", fix="Nothing is left to do.").failure


def priced(sends: Iterable[Send], unit: Unit) -> Price:
    """Give what sends were reserved at in one unit, those that were not charged aside; unknown where one is."""
    amounts = [
        send.price.amount
        for send in sends
        if send.price.unit is unit
        and not (send.state.ended and send.failure is not None and send.failure.billed is Billed.NO)
    ]
    known = [amount for amount in amounts if amount is not None]
    return Price(amount=sum(known, Decimal(0)) if len(known) == len(amounts) else None, unit=unit)


def status_of(sends: Iterable[Send]) -> JobStatus:
    """Derive a job's status: running while a send is, then the best of its fates."""
    all_sends = list(sends)
    active = [send for send in all_sends if not send.state.ended]
    if active:
        begun = any(
            send.state is SendState.READY or (send.state is SendState.SUBMITTED and send.working) for send in active
        )
        partly = len(active) < len(all_sends)
        return JobStatus.PROCESSING if begun or partly else JobStatus.PENDING
    states = {send.state for send in all_sends}
    for state, status in _BEST_FIRST:
        if state in states:
            return status
    return JobStatus.FAILED


_BEST_FIRST = (
    (SendState.COMPLETED, JobStatus.COMPLETED),
    (SendState.UNKNOWN, JobStatus.UNKNOWN),
    (SendState.FAILED, JobStatus.FAILED),
    (SendState.CANCELLED, JobStatus.CANCELLED),
)


def _status_of_plan(plan: Job) -> JobStatus:
    """Derive a plan's status: while it runs, whether a step has begun; then the best of its steps' fates.

    One that ended `unknown` runs again while a step of it does, whose lost create was found.
    """
    states = {run.job.status for run in plan.runs if run.job is not None}
    found = JobStatus.COMPLETED not in states and not all(status.ended for status in states)
    if found or plan.ended_at is None:
        return JobStatus.PROCESSING if states - {JobStatus.PENDING} else JobStatus.PENDING
    refused = any(run.refused is not None and run.refused.code != Cancelled.code for run in plan.runs)
    for status in (JobStatus.COMPLETED, JobStatus.UNKNOWN, JobStatus.FAILED):
        if status in states or (status is JobStatus.FAILED and refused):
            return status
    return JobStatus.CANCELLED
