"""fal's wire: the queue of `fal-ai/flux-pro/kontext`, its `max`, and both without a picture.

What this is: the vendor's queue as its documentation and its own client describe it, as a server. What it is
not: complete: `multi` is not spoken, and storage is not (a `data:` URI is taken instead). That a wrong parameter is
refused when it is sent, and not as the request's result, is a guess.

How an end looks: `fail` is COMPLETED with `error` and `error_type` (the script's `error_code`, of FAILURES),
and a result of that error; `moderated`, and `fail` of any other `error_code`, are COMPLETED with nothing said,
and a result of 422 with that type; cancelled is COMPLETED with `client_cancelled`. Faults of its own: `nsfw` on
create or get marks the pictures; `cancel_ignored` on cancel says yes and lets the job go on.

Above: `app`. Below: `fal_calls`, `fal_family`, `giving`, `wire`, `state`, `pictures`.
"""

from __future__ import annotations

import functools
import uuid

import anyio.to_thread
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from kontext_server.simulator import calling, fal_calls, fal_family, giving
from kontext_server.simulator.files import StoredFile
from kontext_server.simulator.pictures import measure, size_for
from kontext_server.simulator.reading import json_object, picture
from kontext_server.simulator.state import MODERATED, Accepted, Job, Phase
from kontext_server.simulator.wire import Call, JsonObject, Operation, RefusedError, Wire

NAME = "fal"
APP = "/fal-ai/flux-pro"
FAILURES = {
    "request_timeout": 504,
    "startup_timeout": 504,
    "runner_scheduling_failure": 503,
    "runner_connection_timeout": 503,
    "runner_disconnected": 503,
    "runner_connection_refused": 503,
    "runner_connection_error": 503,
    "runner_incomplete_response": 502,
    "runner_server_error": 500,
    "client_disconnected": 499,
    "client_cancelled": 499,
    "bad_request": 400,
    "internal_error": 500,
}
"""The types of failures that are not the model's, and the HTTP status of the result."""

_CANCELLED = "client_cancelled"
_FLAGGED = "The content could not be processed because it contained material flagged by a content checker."


async def create(call: Call, *, endpoint: str, edits: bool) -> Response:
    """POST /fal-ai/flux-pro/kontext and its like: a place in the queue, told with addresses to ask at."""
    given = json_object(call.body)
    fal_family.check(given, fal_family.RATIOS, picture=edits)
    source, measured = await picture(call, given["image_url"], "image_url", inline=True) if edits else (b"", None)
    accepted = Accepted(
        wire=NAME,
        model=endpoint.removeprefix("/"),
        input=given,
        asked=dict(call.request.query_params),
        recipe=fal_family.recipe(given, size_for(given.get("aspect_ratio", ""), measured), source),
        id=str(uuid.uuid4()),
        images=given.get("num_images", 1),
    )
    job = call.state.accept(accepted, call.fault)
    job.inline = job.inline or given.get("sync_mode", False)
    if url := call.request.query_params.get("fal_webhook"):
        told = calling.Promise(url=url, tells=lambda: fal_calls.told(call, job), signs=fal_calls.signed)
        await calling.promise(call, job, told)
    return JSONResponse({"status": "IN_QUEUE", "queue_position": 0} | _addresses(call, job))


async def status(call: Call) -> Response:
    """GET …/requests/{id}/status: 202 until it has ended, however it ended."""
    job = _job(call)
    word = call.fault.status if call.fault.fault == "status" else job.word
    phase = job.phase(call.now)
    told = _addresses(call, job)
    if word:
        return JSONResponse({"status": word} | told, 202)
    if phase is Phase.WAITING:
        return JSONResponse({"status": "IN_QUEUE", "queue_position": 0} | told, 202)
    logs = [_log(job)] if call.request.query_params.get("logs") == "1" else None
    if phase is Phase.WORKING:
        return JSONResponse({"status": "IN_PROGRESS", "logs": logs} | told, 202)
    metrics = {"inference_time": max(0.0, job.ends_at - job.works_from)}
    return JSONResponse({"status": "COMPLETED", "logs": logs, "metrics": metrics} | told | _failure(job, phase))


async def result(call: Call) -> Response:
    """GET …/requests/{id}: the model's answer, or its refusal."""
    job = _job(call)
    phase = job.phase(call.now)
    if not phase.over or job.word:
        raise RefusedError(400, "Request is still in progress")
    failure = _failure(job, phase)
    if failure:
        kind = failure["error_type"]
        body = {"detail": failure["error"], "error_type": kind}
        return JSONResponse(body, FAILURES[kind], {"x-fal-error-type": kind})
    if phase is Phase.FAILED:
        words = _FLAGGED if job.error == MODERATED else job.error
        return _model_error("prompt", words or "", job.error_code or "content_policy_violation")
    told = await giving.outputs(call, job)
    files = (job.output, *job.more)
    return JSONResponse(
        {
            "images": [await _image(file, url) for file, url in zip(files, told, strict=True)],
            "timings": {"inference": job.ends_at - job.works_from},
            "seed": job.input.get("seed", uuid.UUID(job.id).int % 2**32),
            "has_nsfw_concepts": [job.fate == "nsfw"] * len(files),
            "prompt": job.input["prompt"],
        }
    )


async def cancel(call: Call) -> Response:
    """PUT …/requests/{id}/cancel."""
    job = call.state.jobs.get(call.request.path_params["job_id"])
    if job is None or job.wire != NAME:
        return JSONResponse({"status": "NOT_FOUND"}, 404)
    if call.fault.fault != "cancel_ignored" and not job.end(Phase.CANCELLED, call.now):
        return JSONResponse({"status": "ALREADY_COMPLETED"}, 400)
    return JSONResponse({"status": "CANCELLATION_REQUESTED"}, 202)


def _job(call: Call) -> Job:
    """The job that is asked about, after what a script has for it."""
    job = call.state.jobs.get(call.request.path_params["job_id"])
    if job is None or job.wire != NAME:
        raise RefusedError(404, "Request not found")
    if call.fault.fault != "status":
        job.suffer(call.fault, call.now)
    return job


def _addresses(call: Call, job: Job) -> JsonObject:
    """Where to ask about a job: below the application, whatever endpoint of it was called."""
    own = f"{call.root}{WIRE.prefix}{APP}/requests/{job.id}"
    return {"request_id": job.id, "response_url": own, "status_url": f"{own}/status", "cancel_url": f"{own}/cancel"}


def _failure(job: Job, phase: Phase) -> JsonObject:
    """What the status says about an end that is no answer of the model; nothing about any other."""
    if phase is Phase.CANCELLED:
        return {"error": "Request was cancelled", "error_type": _CANCELLED}
    kind = job.error_code or ("" if job.fate == "moderated" else "runner_server_error")
    if phase is Phase.FAILED and kind in FAILURES:
        return {"error": job.error, "error_type": kind}
    return {}


async def _image(file: StoredFile, url: str) -> JsonObject:
    content = await anyio.to_thread.run_sync(file.read)
    width, height = await anyio.to_thread.run_sync(measure, content)
    return {
        "url": url,
        "content_type": file.media_type,
        "file_name": file.name,
        "file_size": len(content),
        "width": width,
        "height": height,
    }


def _log(job: Job) -> JsonObject:
    return {"message": "Working", "level": "INFO", "source": "USER", "timestamp": giving.stamp(job.works_from)}


def _key(headers: Headers) -> str:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key if scheme.lower() == "key" else ""


def _model_error(field: str, words: str, kind: str) -> Response:
    loc = ["body", field] if field else ["body"]
    detail = {"loc": loc, "msg": words, "type": kind, "url": f"https://docs.fal.ai/errors#{kind}"}
    return JSONResponse({"detail": [detail]}, 422, {"x-fal-retryable": "false", "x-fal-error-type": kind})


def _refuse(status: int, text: str) -> Response:
    if status != 422:
        return JSONResponse({"detail": text}, status)
    field, _, words = text.rpartition(": ")
    return _model_error(field, words, "missing" if words == "Field required" else "value_error")


_ENDPOINTS = {
    f"{APP}/kontext": True,
    f"{APP}/kontext/max": True,
    f"{APP}/kontext/text-to-image": False,
    f"{APP}/kontext/max/text-to-image": False,
}

WIRE = Wire(
    name=NAME,
    prefix="/fal",
    base_variable="FAL_BASE_URL",
    key_variable="FAL_KEY",
    sample_key="fal:simulator",
    read_key=_key,
    takes_key=bool,
    refuse=_refuse,
    operations=(
        *(
            Operation(
                on="create",
                method="POST",
                path=path,
                handler=functools.partial(create, endpoint=path, edits=edits),
            )
            for path, edits in _ENDPOINTS.items()
        ),
        Operation(on="get", method="GET", path=f"{APP}/requests/{{job_id}}/status", handler=status),
        Operation(on="get", method="GET", path=f"{APP}/requests/{{job_id}}", handler=result),
        Operation(on="account", method="GET", path="/.well-known/jwks.json", handler=fal_calls.key_set, keyless=True),
        Operation(on="cancel", method="PUT", path=f"{APP}/requests/{{job_id}}/cancel", handler=cancel),
    ),
)
"""fal, as `app.WIRES` lists it."""
