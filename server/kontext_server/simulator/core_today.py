"""core.today's wire: predictions with a JSON body or with attached files, presigned uploads, two reply
shapes.

What this is: the vendor's published page for `black-forest-labs/flux-kontext-pro`, its upload page and the
second reply shape of its API reference, as a server. What it is not: complete where nothing is published: the
bodies of errors, the reply of DELETE (here 200 with the prediction, 409 once it has ended), of an unknown
field, and a call's body (here the prediction, unsigned) are guesses. Above: `app`. Below: `calling`, `giving`,
`wire`, `state`, `pictures`.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import anyio.to_thread
from starlette.datastructures import Headers, UploadFile
from starlette.responses import JSONResponse, Response

from kontext_server.simulator import calling, giving
from kontext_server.simulator.files import Ticket, new_file
from kontext_server.simulator.pictures import SIZES, NotAPictureError, Recipe, measure, size_for
from kontext_server.simulator.reading import check_types, fetched, form, json_object, media_type_of
from kontext_server.simulator.state import Accepted, Job, Phase
from kontext_server.simulator.wire import Call, JsonObject, Operation, RefusedError, Wire

NAME = "core.today"
MODELS = {"black-forest-labs/flux-kontext-pro"}
MAX_FILE = 10_000_000
UPLOAD_SECONDS = 3600.0
MAX_METADATA = 10_000
MAX_SAFETY_WITH_IMAGE = 2

_TYPES: dict[str, type] = {
    "prompt": str,
    "input_image": str,
    "aspect_ratio": str,
    "output_format": str,
    "safety_tolerance": int,
    "prompt_upsampling": bool,
    "seed": int,
}
_ENVELOPE: dict[str, type] = {
    "model": str,
    "input": dict,
    "output_folder": str,
    "webhook_url": str,
    "is_public": bool,
    "webhook": str,
    "webhook_events": list,
}
_ASPECT_RATIOS = {"match_input_image", *SIZES}
_FIRST = {
    Phase.WAITING: "pending",
    Phase.WORKING: "processing",
    Phase.DONE: "completed",
    Phase.FAILED: "failed",
    Phase.CANCELLED: "cancelled",
}
_SECOND = _FIRST | {Phase.DONE: "succeeded"}


async def create(call: Call) -> Response:
    """POST /predictions."""
    return await _accept(call, json_object(call.body))


async def create_with_files(call: Call) -> Response:
    """POST /predictions/upload: a `file:<key>` part's address goes to `input[<key>]`, several as a list."""
    async with form(call) as sent:
        fields: JsonObject = {}
        attached: dict[str, list[str]] = {}
        for name, value in sent.multi_items():
            if isinstance(value, str):
                fields[name] = value
            elif name.startswith("file:"):
                attached.setdefault(name.removeprefix("file:"), []).append(await _attach(call, value))
            else:
                raise RefusedError(422, f"{name}: a file's part is named file:<input key>")
    if "is_public" in fields:
        fields["is_public"] = {"true": True, "false": False}.get(fields["is_public"], fields["is_public"])
    fields["input"] = json_object(str(fields.get("input", "{}")).encode())
    for key, urls in attached.items():
        fields["input"][key] = urls[0] if len(urls) == 1 else urls
    return await _accept(call, fields)


async def get(call: Call) -> Response:
    """GET /predictions/{job_id}."""
    job = _job(call)
    if call.fault.fault == "status":
        return JSONResponse(await _reply(call, job, call.fault.status))
    job.suffer(call.fault, call.now)
    return JSONResponse(await _reply(call, job, job.word))


async def cancel(call: Call) -> Response:
    """DELETE /predictions/{job_id}."""
    job = _job(call)
    if not job.end(Phase.CANCELLED, call.now):
        raise RefusedError(409, f"Prediction has already ended: {_FIRST[job.phase(call.now)]}")
    return JSONResponse(await _reply(call, job, job.word))


async def promise_upload(call: Call) -> Response:
    """POST /files/upload-url: where to POST a file, and the address that it will have."""
    asked = json_object(call.body)
    check_types(asked, {"filename": str, "folder": str, "metadata": dict})
    filename, folder = str(asked.get("filename", "")), str(asked.get("folder", "uploads"))
    if not filename or "/" in filename or ".." in folder:
        raise RefusedError(422, "filename: needed, without a path; folder: without '..'")
    if len(json.dumps(asked.get("metadata", {}))) > MAX_METADATA:
        raise RefusedError(422, "metadata: at most 10 KB")
    media_type = media_type_of(filename)
    object_key = f"{folder}/{secrets.token_hex(16)}/{filename}"
    fields = {"key": object_key, "Content-Type": media_type, "policy": secrets.token_urlsafe(48)}
    dies_at = call.now + UPLOAD_SECONDS
    file = new_file(NAME, b"", media_type, dies_at)
    ticket = call.state.promise(Ticket(file=file, fields=fields, expires_at=dies_at))
    return JSONResponse(
        {
            "upload_url": f"{call.root}{WIRE.prefix}/_uploads/{ticket}",
            "upload_fields": fields,
            "file_url": file.url(call.root),
            "object_key": object_key,
            "folder": folder,
        }
    )


async def upload(call: Call) -> Response:
    """POST to an upload address, as an object store takes it: every promised field, then the file."""
    ticket = call.state.tickets.get(call.request.path_params["ticket"])
    if ticket is None or call.now >= ticket.expires_at:
        raise RefusedError(403, "Invalid according to Policy: Policy expired")
    if "authorization" in call.request.headers:
        raise RefusedError(400, "Only one auth mechanism allowed")
    async with form(call) as sent:
        items = sent.multi_items()
        if not items or items[-1][0] != "file" or not isinstance(items[-1][1], UploadFile):
            raise RefusedError(400, "POST requires exactly one file upload per request, as the last field")
        if dict(items[:-1]) != ticket.fields:
            raise RefusedError(403, "Invalid according to Policy: the fields are not those that were signed")
        content = await items[-1][1].read()
    call.state.files.add(replace(ticket.file, content=content))
    return Response(status_code=204)


async def _accept(call: Call, asked: JsonObject) -> Response:
    check_types(asked, _ENVELOPE)
    if asked.get("model") not in MODELS:
        raise RefusedError(404, f"Model not found: {asked.get('model')}")
    folder = asked.get("output_folder", "")
    if ".." in folder or len(folder) > 256:
        raise RefusedError(422, "output_folder: at most 256 characters, '..' not allowed")
    given = cast("JsonObject", asked.get("input", {}))
    _check_input(given)
    source = await fetched(call, given["input_image"], "input.input_image") if "input_image" in given else None
    try:
        size = await anyio.to_thread.run_sync(measure, source) if source is not None else None
    except NotAPictureError as error:
        raise RefusedError(422, f"input.input_image: {error}") from error
    recipe = Recipe(
        prompt=given["prompt"],
        seed=str(given.get("seed", "")),
        size=size_for(given.get("aspect_ratio", "match_input_image"), size),
        source=source or b"",
        format=given.get("output_format", "png"),
    )
    accepted = Accepted(
        wire=NAME,
        model=asked["model"],
        input=given,
        asked={name: value for name, value in asked.items() if name not in {"model", "input"}},
        recipe=recipe,
        public=asked.get("is_public", False),
        id_prefix="pred_" if call.fault.shape == "second" else "",
    )
    job = call.state.accept(accepted, call.fault)
    if url := asked.get("webhook_url") or asked.get("webhook"):
        await calling.promise(call, job, calling.Promise(url=url, tells=lambda: _reply(call, job, job.word)))
    # However quick the job is, the reply of a create has never been seen to say more than this.
    return JSONResponse(await _reply(call, job, None, Phase.WAITING))


def _check_input(given: JsonObject) -> None:
    check_types(given, _TYPES, "input.")
    if not given.get("prompt", "").strip():
        raise RefusedError(422, "input.prompt: needed, and not empty")
    if given.get("aspect_ratio", "1:1") not in _ASPECT_RATIOS:
        raise RefusedError(422, f"input.aspect_ratio: one of {', '.join(sorted(_ASPECT_RATIOS))}")
    if given.get("output_format", "png") not in {"png", "jpg"}:
        raise RefusedError(422, "input.output_format: one of jpg, png")
    highest = MAX_SAFETY_WITH_IMAGE if "input_image" in given else 6
    if not 0 <= given.get("safety_tolerance", 2) <= highest:
        raise RefusedError(422, f"input.safety_tolerance: from 0 to {highest}")


async def _attach(call: Call, part: UploadFile) -> str:
    content = await part.read()
    if len(content) > MAX_FILE:
        raise RefusedError(413, "File too large: at most 10 MB")
    file = new_file(NAME, content, part.content_type or "", call.now + UPLOAD_SECONDS)
    return call.state.files.add(file).url(call.root)


def _job(call: Call) -> Job:
    job = call.state.jobs.get(call.request.path_params["job_id"])
    if job is None or job.wire != NAME:
        raise RefusedError(404, "Prediction not found")
    return job


async def _reply(call: Call, job: Job, word: str | None, phase: Phase | None = None) -> JsonObject:
    """The prediction in the shape that it speaks; with a scripted `word` for its status it has no result."""
    phase = phase or job.phase(call.now)
    result = await giving.output(call, job) if phase is Phase.DONE and word is None else None
    error = job.error if phase is Phase.FAILED and word is None else None
    if job.shape == "second":
        return {
            "id": job.id,
            "status": word or _SECOND[phase],
            "output": [result] if result else None,
            "error": error,
            "metrics": _metrics(job) if result else None,
        }
    public = job.public.url(call.root) if job.public and result else None
    return {
        "job_id": job.id,
        "status": word or _FIRST[phase],
        "provider": "replicate",
        "model": job.model,
        "created_at": _stamp(job.created_at),
        "result": result,
        "error": error,
        "public_url": public,
    }


def _metrics(job: Job) -> JsonObject:
    queued, worked = job.works_from - job.created_at, job.ends_at - job.works_from
    return {"total_time": queued + worked, "queue_time": queued, "run_time": worked}


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _key(headers: Headers) -> str:
    """`X-API-Key`, else the bearer token."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return headers.get("x-api-key", "") or (token if scheme.lower() == "bearer" else "")


def _refuse(status: int, text: str) -> Response:
    return JSONResponse({"detail": text}, status)


WIRE = Wire(
    name=NAME,
    prefix="/core.today/v1",
    base_variable="CORE_TODAY_BASE_URL",
    key_variable="CORE_TODAY_API_KEY",
    sample_key="cdt_simulator",
    read_key=_key,
    takes_key=lambda key: key.startswith("cdt_"),
    refuse=_refuse,
    operations=(
        Operation(on="create", method="POST", path="/predictions", handler=create),
        Operation(on="create", method="POST", path="/predictions/upload", handler=create_with_files),
        Operation(on="get", method="GET", path="/predictions/{job_id}", handler=get),
        Operation(on="cancel", method="DELETE", path="/predictions/{job_id}", handler=cancel),
        Operation(on="upload", method="POST", path="/files/upload-url", handler=promise_upload),
        Operation(on="upload", method="POST", path="/_uploads/{ticket}", handler=upload, keyless=True),
    ),
)
"""core.today, as `app.WIRES` lists it."""
