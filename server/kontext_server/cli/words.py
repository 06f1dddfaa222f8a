"""A job in words for a person: the tools' own text, with the next step as a command.

What this is: what `status` and `cancel` print, and how a call that made pictures ends. What it is not: the wording of
facts (`surface.answers`). Above: status, cancel, making. Below: talk, surface.answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kontext_server.cli import talk
from kontext_server.cli.exits import DONE
from kontext_server.surface import answers, plan_answers
from kontext_tools.jobs import JobStatus
from kontext_tools.views import View

OUTCOMES = {
    "cancelled": "Cancelled.",
    "cannot_cancel": "It cannot be cancelled: if it was sent, it goes on, is charged, and its result is kept.",
    "already_ended": "It had already ended.",
}


def tell_job(
    view: View, places: answers.Places, *, outcome: str | None = None, full: bool = False, as_json: bool = False
) -> int:
    """Print a job as it stands; give the exit code, which says that it was told."""
    if as_json:
        extra: dict[str, Any] = {} if outcome is None else {"outcome": outcome}
        talk.answer_json(answers.job_fields(view, places, full=full) | extra)
        return DONE
    # The last line is the next call of a model; a person gets a command.
    text, _, _ = answers.job_text(view, places, full=full).rpartition("\n")
    talk.answer(text if outcome is None else f"{OUTCOMES[outcome]}\n{text}")
    talk.say(next_step(view))
    return DONE


def ended(view: View, places: answers.Places) -> str:
    """Give how a call that made pictures ended: one line and its notes, a plan's with a line for each step."""
    head = answers.job_text(view, places).partition("\n")[0]
    if view.job.plan is None:
        return "\n".join([head, *(f"Note: {warning}" for warning in view.warnings)])
    return "\n".join([head, *(f"- {step_line(step)}" for step in plan_answers.steps(view.job))])


def step_line(step: Mapping[str, Any]) -> str:
    """Give a run of a plan's step in one line: its id, how it stands, its pictures, why it has none."""
    words = [f"{step['id']}:", step["status"], ", ".join(image["ref"] for image in step["images"])]
    if (error := step.get("error")) is not None:
        words.append(f"({error['message']} Fix: {error['fix']})")
    return " ".join(word for word in words if word)


def next_step(view: View) -> str:
    """Give the command that comes next."""
    job = view.job
    failure = answers.failure_of(job)
    if job.plan is not None and job.status.ended and view.missing:
        return f"Once the plan is mended, its finished steps are reused:  kontext plan FILE --resume {job.id}"
    if job.images and job.status is JobStatus.COMPLETED:
        holder, output = job.images[0] if job.plan is None else job.images[-1]
        return f'To go on from it:  kontext edit {holder.id}/{output.n} "…"'
    if failure is not None and not job.searched:
        return f"Fix: {failure.fix}"
    return f"To wait for it:  kontext status {job.id} --wait 50"
