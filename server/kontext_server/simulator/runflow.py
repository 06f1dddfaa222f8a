"""Runflow's wire: the asynchronous `runs` surface, the older synchronous `run` surface, and asset uploads.

What this is: the vendor's documented runs, the page of `black-forest-labs/flux-pro/kontext` as first published,
and the uploads as the vendor's own client makes them, as a server. What it is not: complete where nothing is
published: most codes of errors, and what a failed `run` answers, are guesses; callbacks are noted but never
called; there is no cancel, as there is none for customers. A `data:` URI is taken by `run` and not by `runs`.

Faults of its own: `surface_gone` on create answers `runs` with 404 or 405; `partial_succeeded` on create or get
loses the last of several pictures. A job of the second shape tells its output as `image_urls`.

Above: `app`. Below: `runflow_assets`, `fal_family`, `giving`, `wire`, `state`, `pictures`.
"""

from __future__ import annotations

import math
import secrets
import time
import uuid
from collections.abc import Collection
from decimal import Decimal

import anyio
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from kontext_server.simulator import answers, calling, connection, fal_family, giving, runflow_assets
from kontext_server.simulator.pictures import SIZES, size_for
from kontext_server.simulator.reading import check_types, json_object, picture
from kontext_server.simulator.state import MODERATED, Accepted, Job, Phase
from kontext_server.simulator.wire import Call, JsonObject, Operation, RefusedError, Wire

NAME = "runflow"
MODEL = "black-forest-labs/flux-pro/kontext"
PRICE = Decimal("0.04")
MAX_SIDE = 4096
NAMED_SIZES = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
"""Width and height in pixels of the six sizes of the `run` surface; `portrait_4_3` is 3:4."""

_ENVELOPE: dict[str, type] = {"input": dict, "callback_url": str, "metadata": dict, "client_ref": str}
_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    402: "INSUFFICIENT_CREDIT",
    403: "PERMISSION_DENIED",
    404: "RUN_NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT",
    413: "PAYLOAD_TOO_LARGE",
    422: "VALIDATION_ERROR",
    429: "RATE_LIMITED",
    503: "MODEL_UNAVAILABLE",
}
_WORDS = {
    Phase.WORKING: "running",
    Phase.DONE: "succeeded",
    Phase.FAILED: "failed",
    Phase.CANCELLED: "canceled",
}
_FLAGGED = "The content was blocked by the safety filter"
_TOO_LARGE = f"image dimensions exceed {MAX_SIDE}x{MAX_SIDE}"
# Starlette's own words for a path that is not there: what a surface that was taken away says, too.
_NO_SUCH_PATH = "Not Found"
CALLBACK_SECRET = "whsec_simulator"  # noqa: S105  # nobody's
"""What its calls are signed with, always."""


async def create(call: Call) -> Response:
    """POST /models/{model}/runs: a record at once, the work later."""
    if call.fault.fault == "surface_gone":
        gone = call.fault.code or 404
        raise RefusedError(gone, _NO_SUCH_PATH if gone == 404 else "Method Not Allowed")
    asked = json_object(call.body)
    check_types(asked, _ENVELOPE)
    given = asked.pop("input", {})
    fal_family.check(given, fal_family.RATIOS, picture=True, where="input.")
    job = await _accepted(call, given, asked, surface="runs", where="input.")
    if url := asked.get("callback_url"):
        await calling.promise(
            call,
            job,
            calling.Promise(
                url=url,
                tells=lambda: _told(call, job),
                signs=lambda letter: {"Runflow-Signature": calling.hexadecimal(letter, CALLBACK_SECRET)},
            ),
        )
    return JSONResponse(await _record(call, job, None, Phase.WAITING), 202)


async def run(call: Call) -> Response:
    """POST /run/{model}: the pictures, when they are made; at once under a clock that somebody turns."""
    given = json_object(call.body)
    fal_family.check(given, NAMED_SIZES, picture=True)
    job = await _accepted(call, given, {}, surface="run")
    if math.isinf(job.ends_at):
        return answers.Hang()
    if call.state.clock is time.time:
        with anyio.move_on_after(job.ends_at - call.now):
            await connection.client_left(call.request.receive)
    match job.ending:
        case Phase.DONE:
            return JSONResponse({"images": [{"url": url} for url in await _delivered(call, job)]})
        case Phase.CANCELLED:
            return _error(409, "RUN_CANCELED", "The run was canceled")
        case _:
            status = 422 if _code(job) in {"INPUT_VALIDATION_FAILED", "CONTENT_MODERATED"} else 500
            return _error(status, _code(job), _words(job))


async def get(call: Call) -> Response:
    """GET /runs/{run_id}."""
    job = call.state.jobs.get(call.request.path_params["run_id"])
    if job is None or job.wire != NAME or job.asked["surface"] != "runs":
        raise RefusedError(404, "Run not found")
    if call.fault.fault == "status":
        return JSONResponse(await _record(call, job, call.fault.status))
    job.suffer(call.fault, call.now)
    return JSONResponse(await _record(call, job, job.word))


async def _told(call: Call, job: Job) -> JsonObject:
    """What a call says of a run's end."""
    record = await _record(call, job, job.word)
    word = {"succeeded": "completed", "canceled": "cancelled"}.get(record["status_code"], record["status_code"])
    told = ("output", "duration_ms", "created_at", "completed_at", "metadata")
    ending = {"event": f"run.{word}", "run_id": job.id, "status": record["status_code"]}
    return ending | {name: record[name] for name in told}


async def _accepted(call: Call, given: JsonObject, asked: JsonObject, *, surface: str, where: str = "") -> Job:
    sizes: Collection[str] = SIZES if surface == "runs" else NAMED_SIZES
    content, measured = await picture(call, given["image_url"], f"{where}image_url", inline=surface == "run")
    ratio = given.get("aspect_ratio", "")
    size = NAMED_SIZES[ratio] if ratio in NAMED_SIZES and sizes is NAMED_SIZES else size_for(ratio, measured)
    accepted = Accepted(
        wire=NAME,
        model=MODEL,
        input=given,
        asked={"surface": surface} | asked,
        recipe=fal_family.recipe(given, size, content),
        id=_uuid7(call.now),
        images=given.get("num_images", 1),
    )
    job = call.state.accept(accepted, call.fault)
    job.inline = job.inline or given.get("sync_mode", False)
    if measured is not None and max(measured) > MAX_SIDE:
        job.ending, job.error, job.error_code = Phase.FAILED, _TOO_LARGE, "INPUT_VALIDATION_FAILED"
    return job


async def _delivered(call: Call, job: Job) -> list[str]:
    urls = await giving.outputs(call, job)
    return urls[: max(1, len(urls) - 1)] if job.fate == "partial_succeeded" else urls


async def _record(call: Call, job: Job, word: str | None, phase: Phase | None = None) -> JsonObject:
    """The run; with a scripted `word` for its status it has neither output nor failure."""
    phase = phase or job.phase(call.now)
    urls = await _delivered(call, job) if phase is Phase.DONE and word is None else []
    failed = phase is Phase.FAILED and word is None
    started = phase is not Phase.WAITING
    return {
        "id": job.id,
        "status_code": word or _status(call, job, phase),
        "source_code": "api",
        "input": job.input,
        "output": _output(job, urls) if urls else None,
        "duration_ms": round((job.ends_at - job.works_from) * 1000) if urls else None,
        "cost": str(PRICE * len(urls)) if urls else None,
        "cost_breakdown": None,
        "nodes_total": 1,
        "nodes_completed": int(phase is Phase.DONE),
        "batch_id": None,
        "client_ref": job.asked.get("client_ref"),
        "request_id": f"req_{job.id}",
        "created_at": giving.stamp(job.created_at),
        "started_at": giving.stamp(job.works_from) if started and job.works_from <= call.now else None,
        "completed_at": giving.stamp(job.ends_at) if phase.over else None,
        "callback_url": job.asked.get("callback_url"),
        "metadata": job.asked.get("metadata"),
        "has_logs": False,
        "links": {"self": f"/v1/runs/{job.id}"},
        "failure_code": _code(job) if failed else None,
        "failure_message": _words(job) if failed else None,
        "failure_stage_code": ("preprocess" if _code(job) == "INPUT_VALIDATION_FAILED" else "execute")
        if failed
        else None,
    }


def _status(call: Call, job: Job, phase: Phase) -> str:
    if phase is Phase.WAITING:
        half = (job.created_at + job.works_from) / 2
        return "dispatching" if job.created_at < call.now and call.now >= half else "queued"
    if phase is Phase.DONE and job.fate == "partial_succeeded":
        return "partial_succeeded"
    return _WORDS[phase]


def _output(job: Job, urls: list[str]) -> JsonObject:
    if job.shape == "second":
        return {"image_urls": urls}
    return {"outputs": [{"type": "image", "url": url} for url in urls]}


def _code(job: Job) -> str:
    """Why it failed, in the vendor's way."""
    return job.error_code or ("CONTENT_MODERATED" if job.fate == "moderated" else "EXECUTION_FAILED")


def _words(job: Job) -> str:
    return _FLAGGED if job.error == MODERATED else job.error or ""


def _uuid7(now: float) -> str:
    """An id that sorts by time, as RFC 9562 lays it out."""
    number = int(now * 1000) << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=number))


def _key(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _error(status: int, code: str, message: str, errors: list[JsonObject] | None = None) -> Response:
    return JSONResponse({"code": code, "message": message, "errors": errors}, status)


def _refuse(status: int, text: str) -> Response:
    code = "NOT_FOUND" if text == _NO_SUCH_PATH else _CODES.get(status, "INTERNAL_ERROR")
    if status != 422:
        return _error(status, code, text)
    field, _, words = text.rpartition(": ")
    return _error(status, code, text, [{"field": field, "message": words}])


WIRE = Wire(
    name=NAME,
    prefix="/runflow/v1",
    base_variable="RUNFLOW_BASE_URL",
    key_variable="RUNFLOW_API_KEY",
    sample_key="rf_live_simulator",
    read_key=_key,
    takes_key=lambda key: key.startswith("rf_live_"),
    refuse=_refuse,
    operations=(
        Operation(on="create", method="POST", path=f"/models/{MODEL}/runs", handler=create),
        Operation(on="create", method="POST", path=f"/run/{MODEL}", handler=run),
        Operation(on="get", method="GET", path="/runs/{run_id}", handler=get),
        *runflow_assets.OPERATIONS,
    ),
)
"""Runflow, as `app.WIRES` lists it."""
