"""What a finished call says: text, structured content and one picture, each complete by itself.

What this is: the shapes of CONTRACT.md section 2, Answers. What it is not: failures (`failures`). Above: tools.
Below: studio, references.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, cast

from kontext_server.app import Places
from kontext_server.surface import plan_answers
from kontext_tools import doubts
from kontext_tools.budget import Spending, Unit, plain
from kontext_tools.errors import Failure
from kontext_tools.images import ImageFacts
from kontext_tools.jobs import Job, JobStatus, Output
from kontext_tools.quoting import cut, literal
from kontext_tools.references import Ref
from kontext_tools.views import Quote, View

_DONE = {"edit_image": "Edited", "generate_image": "Generated"}
_FIELDS: Mapping[str, str] = {
    "job_id": "string",
    "status": "string",
    "provider": "string",
    "images": "array",
    "cost": "object",
    "seconds": "number",
    "depth": "integer",
    "warnings": "array",
    "eta_seconds": "integer",
    "error": "object",
    "next": "string",
}
_EDIT_FIELDS = {"parent": "string", "change": "object"}
_STARTED_FIELDS = {"joined": "boolean", "dry_run": "boolean", "request": "object", "budget_left": "object"}
_PLAN_FIELDS = {"resumed_from": "string", "steps": "array"}
_PLACE_WORDS = {"path": "file", "url": "address"}
_FULL_FIELDS = {
    "prompt": "string",
    "sent_prompt": "string",
    "keep": "string",
    "label": "string",
    "request": "object",
    "plan": "string",
    "sha256": "object",
    "timeline": "array",
}

LONG_CHARS = 2000
"""A text that is told in full elsewhere is cut at so many characters."""


def fields_of(tool: str) -> Mapping[str, str]:
    """Give the top-level fields of a job tool's structured content, with their JSON types."""
    extra = {
        "edit_image": {**_EDIT_FIELDS, **_STARTED_FIELDS},
        "generate_image": _STARTED_FIELDS,
        "run_plan": {**_PLAN_FIELDS, **_STARTED_FIELDS},
        "get_status": {**_EDIT_FIELDS, **_PLAN_FIELDS, **_FULL_FIELDS},
        "cancel_job": {**_EDIT_FIELDS, **_PLAN_FIELDS, "outcome": "string"},
    }
    return {**_FIELDS, **extra[tool]}


def job_fields(view: View, places: Places, *, full: bool = False) -> dict[str, Any]:
    """Give the structured content of one job, `None`s left out."""
    job = view.job
    fields: dict[str, Any] = {
        "job_id": job.id,
        "status": job.status.value,
        "provider": job.provider,
        "images": [_image(holder, output, places) for holder, output in job.images],
        "cost": view.cost.to_dict(),
        "seconds": round(view.seconds, 1),
        "parent": None if job.source is None else job.source.parent,
        "depth": max([job.depth, *(holder.depth for holder, _ in job.images)]),
        "change": None if job.change is None else job.change.to_dict(),
        "warnings": list(view.warnings),
        "joined": view.joined or None,
        "resumed_from": None if job.plan is None else job.plan.resumed_from,
        "eta_seconds": view.eta_s,
        "error": None if (failure := failure_of(job)) is None else failure.to_dict(),
        "steps": None if job.plan is None else plan_answers.steps(job),
        **(_full(job) if full else {}),
        "next": next_call(view),
    }
    return {name: value for name, value in fields.items() if value is not None}


def failure_of(job: Job) -> Failure | None:
    """Give the failure that an answer tells: none where an image is here."""
    failure = doubts.told(job)
    if job.status is JobStatus.COMPLETED or failure is None or (job.plan is not None and not job.status.ended):
        return None
    return failure if failure.job_id else _with_id(failure, job.id)


def job_text(view: View, places: Places, *, full: bool = False) -> str:
    """Give one job as at most five lines, the first for people."""
    job = view.job
    if job.plan is not None:
        head, _, rest = plan_answers.text(view, partial(_image_words, places=places), next_call(view)).partition("\n")
        return f"{head} {_full_words(job)}.\n{rest}" if full else f"{head}\n{rest}"
    lines = [_headline(view)]
    if job.outputs:
        lines.append("; ".join(_image_words(job, output, places=places) for output in job.outputs))
    facts = [f"Job {job.id}, status {job.status.value}, depth {job.depth}"]
    if job.source is not None and job.source.parent:
        facts.append(f"parent {job.source.parent}")
    if job.change is not None:
        facts.append(_change_words(job))
    if full:
        facts += [f"prompt sent: {job.sent_prompt!r}", _full_words(job)]
    lines.append("; ".join(facts) + ".")
    if view.warnings:
        lines.append("Warnings: " + " ".join(view.warnings))
    lines.append(f"Next: {next_call(view)}")
    return "\n".join(lines)


def next_call(view: View) -> str:
    """Give one sentence that names the next call with its arguments filled in."""
    job = view.job
    if job.plan is not None and job.status.ended and view.missing:
        return plan_answers.next_call(job)
    if not job.settled:
        return f"Call get_status(job_id='{job.id}', wait_seconds=25)."
    if job.searched and not job.images:
        return f"It is still looked for: call get_status(job_id='{job.id}') in a minute."
    if job.images:
        holder, output = job.images[0] if job.plan is None else job.images[-1]
        return f"To go on from it, call edit_image(image='{holder.id}/{output.n}', prompt='…')."
    failure = doubts.told(job)
    return failure.fix if failure is not None else "Call edit_image or generate_image for a new one."


def quote_fields(quote: Quote) -> dict[str, Any]:
    """Give the structured content of a dry run."""
    return {
        "dry_run": True,
        "provider": quote.provider,
        "request": quote.request,
        "cost": quote.cost.to_dict(),
        "warnings": list(quote.warnings),
        "budget_left": _amounts(quote.budget_left),
        "next": "Call again with dry_run=false to do it.",
    }


def quote_text(quote: Quote) -> str:
    """Give a dry run as four lines."""
    left = ", ".join(f"{amount} {unit}" for unit, amount in _amounts(quote.budget_left).items()) or "no cap is set"
    warnings = f" Warnings: {' '.join(quote.warnings)}" if quote.warnings else ""
    return (
        f"Dry run: nothing was sent. {quote.provider} would serve it for {quote.cost}.\n"
        f"Budget left today: {left}.{warnings}\n"
        f"Request: {literal(quote.request)}\nNext: Call again with dry_run=false to do it."
    )


def usage_fields(spending: Sequence[Spending], left: Mapping[Unit, Decimal]) -> dict[str, Any]:
    """Give what was spent by day and provider, and what is left of today's budget; amounts are exact decimals."""
    return {
        "days": [
            {
                "day": row.day,
                "provider": row.provider,
                "amount": plain(row.amount),
                "unit": row.unit.value,
                "jobs": row.jobs,
            }
            for row in spending
        ],
        "budget_left": _amounts(left),
    }


def _headline(view: View) -> str:
    job = view.job
    spent = f"{job.provider}, {view.cost}, {view.seconds:.1f} s"
    joined = " (joined the earlier identical call; a new request_key makes a variant)" if view.joined else ""
    if job.status is JobStatus.COMPLETED:
        refs = ", ".join(f"{job.id}/{output.n}" for output in job.outputs)
        return f"{_DONE[job.tool]}: {refs} ({spent}){joined}"
    if not job.status.ended:
        return f"Still {job.status.value}: {job.id} ({spent}), about {view.eta_s or 1} s to go{joined}"
    failure = failure_of(job)
    return f"{job.status.value.capitalize()}: {failure.message if failure else job.id} ({spent})"


def image_fields(ref: Ref, facts: ImageFacts, place: Mapping[str, str], *, seed: int | None = None) -> dict[str, Any]:
    """Give one image as the structured content of every tool tells it, `None`s left out; its place by path or url."""
    told = {
        "ref": str(ref),
        "uri": ref.uri,
        "width": facts.width,
        "height": facts.height,
        "media_type": facts.media_type,
        "bytes": facts.size_bytes,
        "seed": seed,
        **place,
    }
    return {name: value for name, value in told.items() if value is not None}


def image_words(ref: Ref, facts: ImageFacts, place: Mapping[str, str], *, seed: int | None = None) -> str:
    """Give one image as text."""
    words = f"{ref}: {facts.width}x{facts.height} {facts.media_type}, {facts.size_bytes} bytes"
    if seed is not None:
        words += f", seed {seed}"
    told = [f"{_PLACE_WORDS[kind]} {where}" for kind, where in place.items()]
    return ", ".join([words, ref.uri, *told])


def _image(job: Job, output: Output, places: Places) -> dict[str, Any]:
    ref = Ref(job_id=job.id, n=output.n)
    return image_fields(ref, output.facts, places(job.owner, ref, output.blob), seed=output.seed)


def source_fields(job: Job, places: Places) -> list[dict[str, Any]]:
    """Give a job's source as it was sent, image 0, as an image is told; empty where there is none, or none is kept."""
    source = job.source
    if source is None or source.facts is None or source.blob is None:
        return []
    ref = Ref(job_id=job.id, n=0)
    return [image_fields(ref, source.facts, places(job.owner, ref, source.blob))]


def _image_words(job: Job, output: Output, *, places: Places) -> str:
    ref = Ref(job_id=job.id, n=output.n)
    return image_words(ref, output.facts, places(job.owner, ref, output.blob), seed=output.seed)


def _change_words(job: Job) -> str:
    assert job.change is not None
    change = job.change.to_dict()
    resized = f", resized {change['resized']}" if "resized" in change else ""
    return f"changed {change['percent']} % ({change['where']}), sharpness {change['sharpness']}{resized}"


def _full(job: Job) -> dict[str, Any]:
    hashes = {f"{holder.id}/{output.n}": output.facts.sha256 for holder, output in job.images}
    if job.source is not None and job.source.facts is not None:
        hashes[f"{job.id}/0"] = job.source.facts.sha256
    moments = [(job.created_at, "recorded")]
    for send in job.sends:
        moments += [(send.sent_at, f"send {send.n} sent")] if send.sent_at else []
        moments += [(send.ended_at, f"send {send.n} {send.state.value}")] if send.ended_at else []
    return {
        "prompt": job.edit.prompt,
        "sent_prompt": job.sent_prompt,
        "keep": job.edit.keep or None,
        "label": job.edit.label or None,
        "request": job.request,
        "plan": None if job.part is None else job.part.plan_id,
        "sha256": hashes,
        "timeline": [{"at": at.isoformat(timespec="milliseconds"), "what": what} for at, what in sorted(moments)],
    }


def _full_words(job: Job) -> str:
    """Give in one line of text what `detail=full` adds, but for the prompt as it was sent.

    That holds the prompt, keep and the request's prompt: where they are long, their beginnings do here.
    """
    told = {name: value for name, value in _full(job).items() if value is not None and name != "sent_prompt"}
    return f"In full: {literal(_begun(told))}"


def _begun(value: Any) -> Any:
    """Give a value of JSON with its long texts cut."""
    if isinstance(value, dict):
        return {name: _begun(item) for name, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_begun(item) for item in cast("list[Any]", value)]
    return cut(value, LONG_CHARS) if isinstance(value, str) else value


def _amounts(budget: Mapping[Unit, Any]) -> dict[str, str]:
    return {unit.value: plain(amount) for unit, amount in budget.items()}


def _with_id(failure: Failure, job_id: str) -> Failure:
    return Failure.from_dict({**failure.to_dict(), "job_id": job_id})
