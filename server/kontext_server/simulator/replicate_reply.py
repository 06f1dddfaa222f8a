"""What Replicate says: a prediction as it stands, and its errors, with kkiai's beside them.

What this is: replies, made from a job and the time. What it is not: what a request does (`replicate`). Above:
`replicate`. Below: `giving`, `state`, `wire`.
"""

from __future__ import annotations

import re

from starlette.responses import JSONResponse, Response

from kontext_server.simulator import giving
from kontext_server.simulator.giving import stamp
from kontext_server.simulator.state import MODERATED, Job, Phase
from kontext_server.simulator.wire import Call, JsonObject

WORDS = {
    401: "You did not pass a valid authentication token",
    402: "You have insufficient credit to run this model.",
    404: "The requested resource could not be found.",
    429: "Request was throttled. Expected available in 1 second.",
}
"""Its own words for an HTTP status."""

_TITLES = {401: "Unauthenticated", 402: "Insufficient credit", 404: "Not found", 422: "Input validation failed"}
_STATUSES = {
    Phase.WAITING: "starting",
    Phase.WORKING: "processing",
    Phase.DONE: "succeeded",
    Phase.FAILED: "failed",
    Phase.CANCELLED: "canceled",
}


async def prediction(
    call: Call, job: Job, links: str, *, word: str | None = None, phase: Phase | None = None, early: bool = False
) -> JsonObject:
    """The prediction, its `urls` below `links`.

    With a scripted `word` for its status it has no output; `early`, it works and has its output already. `phase`
    is told in place of the true one.
    """
    phase = phase or job.phase(call.now)
    early = early or (job.fate == "early_output" and phase in {Phase.WORKING, Phase.DONE})
    gone = phase is Phase.DONE and (job.fate == "data_removed" or call.now >= job.output.expires_at)
    status = "aborted" if phase is Phase.CANCELLED and job.fate == "aborted" else _STATUSES[phase]
    output: object = None
    if early:
        status, output = "processing", [await giving.data_uri(job.output)]
    elif phase is Phase.DONE and word is None and not gone:
        output = await giving.output(call, job)
        output = [output] if job.shape == "second" else output
    reply: JsonObject = {
        "id": job.id,
        "model": job.model,
        "version": "hidden",
        "input": job.input,
        "logs": "",
        "output": output,
        "data_removed": gone,
        "error": _error(job) if phase is Phase.FAILED and word is None else None,
        "status": word or status,
        "created_at": stamp(job.created_at),
        "urls": _urls(job, links),
    }
    return reply | ({} if word else _times(job, status, phase))


def refuse(status: int, text: str) -> Response:
    """An error in Replicate's dialect."""
    if status == 429:
        seconds = re.search(r"\d+", text)
        reset = {"ratelimit-remaining": "0"} | ({"ratelimit-reset": seconds[0]} if seconds else {})
        return JSONResponse({"detail": text}, status, reset)
    body: JsonObject = {"title": _TITLES.get(status, "Error"), "detail": text, "status": status}
    field, colon, words = text.partition(": ")
    if status == 422 and colon:
        body["invalid_fields"] = [{"type": "invalid", "field": field, "description": words}]
    return JSONResponse(body, status, media_type="application/problem+json")


def refuse_at_the_gate(status: int, text: str) -> Response:
    """An error of kkiai: its gateway's own about keys and quota, otherwise Replicate's."""
    if status in {404, 422}:
        return refuse(status, text)
    return JSONResponse({"error": {"message": text, "type": "one_api_error", "code": str(status)}}, status)


def _error(job: Job) -> str | None:
    return f"{MODERATED} ({job.id[:10]})" if job.error == MODERATED else job.error


def _times(job: Job, status: str, phase: Phase) -> JsonObject:
    """When it started and ended, as far as it has, and what it took."""
    told: JsonObject = {"deadline": job.asked["deadline"]} if "deadline" in job.asked else {}
    if phase is not Phase.WAITING and status != "aborted":
        told["started_at"] = stamp(min(job.works_from, job.ends_at))
    if phase.over and status != "processing":
        told["completed_at"] = stamp(job.ends_at)
    if status == "succeeded":
        worked, all_of_it = job.ends_at - job.works_from, job.ends_at - job.created_at
        told["metrics"] = {"image_count": 1, "predict_time": worked, "total_time": all_of_it}
    return told


def _urls(job: Job, links: str) -> dict[str, str]:
    address = f"{links}/predictions/{job.id}"
    return {
        "cancel": f"{address}/cancel",
        "get": address,
        "stream": f"https://stream.replicate.com/v1/files/bcwr-{job.id}",
        "web": f"https://replicate.com/p/{job.id}",
    }
