"""What an answer says of a plan: its steps, one by one.

What this is: the parts of an answer that only a plan has. What it is not: an answer's frame (`answers`). Above:
answers. Below: runs, views.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from kontext_tools.budget import Cost, Price
from kontext_tools.costs import cost_of
from kontext_tools.errors import Cancelled, Failure
from kontext_tools.jobs import Job, JobStatus, Output, Run
from kontext_tools.plans import Plan
from kontext_tools.references import Ref
from kontext_tools.runs import every_run
from kontext_tools.views import View

ImageWords = Callable[[Job, Output], str]


def steps(job: Job) -> list[dict[str, Any]]:
    """Give each run of a plan's steps: a step that fans out has one entry for each of its runs, under its one id."""
    return [_step(step_id, run) for step_id, run in _runs(job)]


def text(view: View, image_words: ImageWords, next_sentence: str) -> str:
    """Give a plan as one line for each run and two more."""
    job, plan = view.job, view.job.plan
    assert plan is not None
    finished = sum(run is not None and run.job is not None and bool(run.job.outputs) for _, run in _runs(job))
    total = sum(plan.runs_of.values())
    joined = " (joined the earlier identical call)" if view.joined else ""
    resumed = f", resumed from {plan.resumed_from}" if plan.resumed_from else ""
    noted = [warning for warning in view.warnings if warning not in view.missing]
    head = (
        f"Plan {job.status.value}: {finished} of {total} steps have pictures; job {job.id}{resumed} "
        f"({job.provider}, {view.cost}, {view.seconds:.1f} s).{joined}"
    )
    head = " ".join([head, *noted])
    lines = [f"- {step_id}: {_line(run, image_words)}" for step_id, run in _runs(job)]
    return "\n".join([head, *lines, f"Next: {next_sentence}"])


def next_call(job: Job) -> str:
    """Give what to do after a plan that did not bring everything."""
    unknown = any(run.job is not None and run.job.status is JobStatus.UNKNOWN for run in job.runs)
    mend = (
        "the prompt of the step that is unknown changed, once the person has looked"
        if unknown
        else "what failed mended"
    )
    return (
        f"To go on, call run_plan with all its steps, {mend}, and resume_job_id='{job.id}': finished steps are reused "
        "and cost nothing."
    )


def progress(job: Job) -> str:
    """Give how far a plan is in a few words."""
    runs = [run for _, run in _runs(job)]
    ended = sum(run is not None and (run.job is None or run.job.settled) for run in runs)
    return f"{ended} of {len(runs)} steps done, {len(job.images)} pictures made"


def _runs(job: Job) -> list[tuple[str, Run | None]]:
    plan: Plan | None = job.plan
    assert plan is not None
    known = {(run.step, run.n): run for run in job.runs}
    order = {step.id: i for i, step in enumerate(plan.steps)}
    every = sorted(every_run(plan), key=lambda pair: (order[pair[0].id], pair[1]))
    return [(step.id, known.get((step.id, n))) for step, n in every]


def _step(step_id: str, run: Run | None) -> dict[str, Any]:
    job = None if run is None else run.job
    failure = _failure(run)
    fields: dict[str, Any] = {
        "id": step_id,
        "job_id": None if job is None else job.id,
        "status": _status(run),
        "images": [] if job is None else [_reference(job, output) for output in job.outputs],
        "cost": None if run is None or job is None else _cost(run, job).to_dict(),
        "reused": True if run is not None and run.carried and job is not None and job.outputs else None,
        "error": None if failure is None else failure.to_dict(),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _cost(run: Run, job: Job) -> Cost:
    """Give what a run cost its plan: nothing, where it was taken over."""
    cost = cost_of(job)
    return Cost.listed(Price(amount=Decimal(0), unit=cost.unit)) if run.carried else cost


def _reference(job: Job, output: Output) -> dict[str, str]:
    ref = Ref(job_id=job.id, n=output.n)
    return {"ref": str(ref), "uri": ref.uri}


def _status(run: Run | None) -> str:
    if run is None:
        return JobStatus.PENDING.value
    if run.job is not None:
        return run.job.status.value
    if run.refused is None:
        return "skipped"
    return (JobStatus.CANCELLED if run.refused.code == Cancelled.code else JobStatus.FAILED).value


def _failure(run: Run | None) -> Failure | None:
    if run is None or (run.job is not None and run.job.status is JobStatus.COMPLETED):
        return None
    return run.failure


def _line(run: Run | None, image_words: ImageWords) -> str:
    status, failure = _status(run), _failure(run)
    if run is None or run.skipped:
        return "waits for the step before" if run is None else "skipped, for what it starts from is not there"
    if failure is not None:
        return f"{status}: {failure.message} Fix: {failure.fix}"
    assert run.job is not None
    pictures = "; ".join(image_words(run.job, output) for output in run.job.outputs)
    reused = ", reused from the earlier plan at no cost" if run.carried else f", {cost_of(run.job)}"
    return f"{status} {pictures or run.job.id}{reused}"
