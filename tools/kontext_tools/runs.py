"""What a plan does next, and what a resumed one takes over; pure, from what became of its runs so far.

What this is: which runs may start, which are skipped, whether all is done. What it is not: the steps (`plans`) or the
doing (`planner`). Above: planner, planning. Below: jobs, plans.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from kontext_tools.data_uris import as_stored
from kontext_tools.errors import Failure
from kontext_tools.jobs import Job, JobStatus, Output, Run, unsent
from kontext_tools.plans import Plan, Step

LOST_FOR = timedelta(minutes=1)
"""So long a plan waits for the first looks for a lost create. Nobody may take them: its provider's key may be gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A run whose picture is there: start it, from that reference where it starts from another step."""

    step: Step
    run: int
    ref: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """A run that will never start: skipped, or dropped by a cancel."""

    step: Step
    run: int
    failure: Failure | None = None


def moves(job: Job, now: datetime) -> list[Start | Leave]:
    """Give what can be decided at this moment, UTC, each step after the one that it starts from."""
    assert job.plan is not None
    known = {(run.step, run.n): run for run in job.runs}
    decided: list[Start | Leave] = []
    for step, n in every_run(job.plan):
        if (step.id, n) in known:
            continue
        move = (
            Leave(step=step, run=n, failure=unsent()) if job.cancel_requested else _move(job.plan, step, n, known, now)
        )
        if move is None:
            continue
        decided.append(move)
        if isinstance(move, Leave):
            known[step.id, n] = Run(step=step.id, n=n, refused=move.failure)
    return decided


def done(job: Job, now: datetime) -> bool:
    """Whether every run has come to its end: nothing more happens by itself, or may not for long."""
    assert job.plan is not None
    expected = sum(job.plan.runs_of.values())
    return len(job.runs) == expected and all(run.job is None or _over(run.job, now) for run in job.runs)


def carried(plan: Plan, earlier: Job) -> tuple[Run, ...]:
    """Give the runs that a new plan takes over from the ended one that it resumes.

    A run that made its pictures is taken over where its step reads the same and its source is the same. One that ended
    `unknown` is taken over wherever its step reads the same: it may have been charged, and is not sent again. So is one
    that was unknown and runs by now, for its create was found.
    """
    assert earlier.plan is not None
    before = {(run.step, run.n): run for run in earlier.runs}
    taken: dict[tuple[str, int], Run] = {}
    for step, n in every_run(plan):
        old, run = earlier.plan.by_id.get(step.id), before.get((step.id, n))
        if old is None or run is None or run.job is None or _text(step) != _text(old):
            continue
        sent = run.job.status is JobStatus.UNKNOWN or not run.job.status.ended
        if sent or (run.job.status is JobStatus.COMPLETED and _same_source(plan, step, n, old, taken)):
            taken[step.id, n] = Run(step=step.id, n=n, job=run.job, carried=True)
    return tuple(taken.values())


def every_run(plan: Plan) -> Iterator[tuple[Step, int]]:
    """Give every run of a plan, each step after the one that it starts from."""
    for step in plan.in_order:
        for n in range(1, plan.runs_of[step.id] + 1):
            yield step, n


def to_send(plan: Plan, taken: tuple[Run, ...]) -> dict[str, int]:
    """Give how many runs of each step are yet to be sent: none that was taken over, or waits for an unknown one."""
    known = {(run.step, run.n): run for run in taken}
    doomed = {
        place
        for place, run in known.items()
        if run.job is None or (run.job.status.ended and run.job.status is not JobStatus.COMPLETED)
    }
    counts: dict[str, int] = {}
    for step, n in every_run(plan):
        origin = plan.origin(step, n)
        if (step.id, n) in known:
            continue
        if origin is not None and origin[:2] in doomed:
            doomed.add((step.id, n))
            continue
        counts[step.id] = counts.get(step.id, 0) + 1
    return counts


def shown(job: Job) -> list[Output]:
    """Give the pictures that stand for a job: its own, or those of a plan that nothing went on from."""
    if job.plan is None:
        return list(job.outputs)
    gone_on = {job.plan.origin(step, n) for step, n in every_run(job.plan)}
    return [
        output
        for run in job.runs
        if run.job is not None
        for output in run.job.outputs
        if (run.step, run.n, output.n) not in gone_on
    ]


def same_words(plan: Plan, other: Plan) -> bool:
    """Whether two plans ask for the same, step by step, by the words of the call."""
    ours, theirs = ([(step.id, _text(step)) for step in each.steps] for each in (plan, other))
    return ours == theirs


def identity(plan: Plan) -> list[list[str]]:
    """Give what makes two calls of run_plan identical: every step's words and picture, and what they go on from."""
    return [[plan.resumed_from or ""], *([step.id, repr(_words(step)), _start(step)] for step in plan.steps)]


def _over(job: Job, now: datetime) -> bool:
    """Whether a plan waits for a step's job no more. Clocks are set: what lies far ahead is past as well."""
    return job.status.ended and not any(
        send.likely and send.ended_at is not None and abs(now - send.ended_at) <= LOST_FOR for send in job.sends
    )


def _move(plan: Plan, step: Step, n: int, known: dict[tuple[str, int], Run], now: datetime) -> Start | Leave | None:
    origin = plan.origin(step, n)
    if origin is None:
        return Start(step=step, run=n)
    before = known.get(origin[:2])
    if before is None:
        return None
    if before.job is not None and any(output.n == origin[2] for output in before.job.outputs):
        return Start(step=step, run=n, ref=f"{before.job.id}/{origin[2]}")
    if before.job is not None and not _over(before.job, now):
        return None
    return Leave(step=step, run=n)


def _same_source(plan: Plan, step: Step, n: int, old: Step, taken: dict[tuple[str, int], Run]) -> bool:
    origin = plan.origin(step, n)
    if origin is None:
        return _source(step) == _source(old)
    before = taken.get(origin[:2])
    return before is not None and before.job is not None and before.job.status is JobStatus.COMPLETED


def _text(step: Step) -> tuple[object, ...]:
    return (as_stored(step.edit.image), *_words(step))


def _words(step: Step) -> list[tuple[str, str]]:
    return sorted((name, str(value)) for name, value in step.edit.parameters().items())


def _start(step: Step) -> str:
    """Give what a step starts from, however its own picture was named."""
    return (step.edit.image or "") if step.link is not None else _source(step) or ""


def _source(step: Step) -> str | None:
    source = step.source
    return None if source is None else source.url or (source.facts and source.facts.sha256) or ""
