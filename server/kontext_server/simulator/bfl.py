"""Black Forest Labs' own wire: a task is made, then asked for at the address that its reply names.

What this is: the two Kontext endpoints, `get_result` and `credits` as the vendor's OpenAPI document has them.
What it is not: complete where nothing is published: a task cancelled elsewhere is told as not found, an unknown
field is refused, a task whose script has it moderated is taken off the counter of charges as soon as the script
is read. There is no way to cancel. Above: `app`. Below: `bfl_input`,
`giving`, `wire`, `state`.
"""

from __future__ import annotations

import uuid
from typing import Literal

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from kontext_server.simulator import calling, giving
from kontext_server.simulator.bfl_input import BadInputError, Sent, Task, pictures_of, read_task
from kontext_server.simulator.pictures import Recipe, size_for
from kontext_server.simulator.state import Accepted, Job, Phase
from kontext_server.simulator.wire import Call, Handler, JsonObject, Operation, Wire

NAME = "bfl"
PREFIX = "/bfl"
PRICES = {"flux-kontext-pro": 4.0, "flux-kontext-max": 8.0}
CREDITS = 10_000.0
OUTPUT_SECONDS = 600.0
MODERATED = "Content Moderated"
NOT_FOUND = "Task not found"

_FIRST = {
    Phase.WAITING: "Pending",
    Phase.WORKING: "Pending",
    Phase.DONE: "Ready",
    Phase.FAILED: "Error",
    Phase.CANCELLED: NOT_FOUND,
}
_SECOND = _FIRST | {Phase.WAITING: "Queued", Phase.WORKING: "Processing", Phase.FAILED: "Failed"}
_FORMATS: dict[str, Literal["png", "jpg", "webp"]] = {"jpeg": "jpg", "png": "png", "webp": "webp"}
_WEBHOOK = {"webhook_url", "webhook_secret"}
_WORDS = {402: "Insufficient credits", 403: "Not authenticated"}


def create(model: str) -> Handler:
    """POST /v1/flux-kontext-pro or -max."""

    async def endpoint(call: Call) -> Response:
        try:
            task = read_task(call.body)
            sent = await pictures_of(call, task)
        except BadInputError as error:
            return JSONResponse({"detail": error.detail}, 422)
        return JSONResponse(await _accept(call, model, task, sent))

    return endpoint


async def get(call: Call) -> Response:
    """GET /v1/get_result?id=."""
    status = call.fault.code or 200
    task_id = call.request.query_params.get("id")
    if task_id is None:
        return JSONResponse({"detail": [{"loc": ["query", "id"], "msg": "Field required", "type": "missing"}]}, 422)
    job = call.state.jobs.get(task_id)
    if job is None or job.wire != NAME:
        return JSONResponse({"id": task_id, "status": NOT_FOUND, "result": None}, status)
    if call.fault.fault == "status":
        return JSONResponse(await _told(call, job, call.fault.status), status)
    job.suffer(call.fault, call.now)
    _settle(call, job)
    return JSONResponse(await _told(call, job, job.word), status)


async def credits_left(call: Call) -> Response:
    """GET /v1/credits."""
    spent = sum(PRICES[job.model] for job in call.state.jobs.values() if job.wire == NAME and job.billed)
    return JSONResponse({"credits": CREDITS - spent})


async def _accept(call: Call, model: str, task: Task, sent: Sent) -> JsonObject:
    size = size_for(task.aspect_ratio or "", task.proportions or sent.size)
    accepted = Accepted(
        wire=NAME,
        model=model,
        input=task.model_dump(exclude_unset=True, exclude=_WEBHOOK),
        asked=task.model_dump(exclude_unset=True, include=_WEBHOOK),
        recipe=Recipe(
            prompt=task.prompt,
            seed="" if task.seed is None else str(task.seed),
            size=size,
            source=sent.content,
            format=_FORMATS[task.output_format or "png"],
        ),
        id=str(uuid.uuid4()),
        output_seconds=OUTPUT_SECONDS,
    )
    job = call.state.accept(accepted, call.fault)
    _settle(call, job)
    told: JsonObject = {"id": job.id}
    if task.webhook_url is None:
        told["polling_url"] = f"{_polling_root(call)}/v1/get_result?id={job.id}"
    else:
        told |= {"status": "Pending", "webhook_url": task.webhook_url}
        await calling.promise(
            call,
            job,
            calling.Promise(
                url=task.webhook_url,
                tells=lambda: _told(call, job, job.word),
                signs=lambda letter: _signed(letter, task.webhook_secret or ""),
            ),
        )
    return told | {
        "cost": PRICES[model],
        "input_mp": _megapixels(sent.size) if sent.size else None,
        "output_mp": _megapixels(size),
    }


def _signed(letter: calling.Letter, secret: str) -> JsonObject:
    """Prove a call by the one of the two headers that the job's shape has; neither page of the vendor's names both."""
    if letter.job.shape == "second":
        return {"X-BFL-Signature": f"sha256={calling.hexadecimal(letter, secret)}"}
    return {"X-Webhook-Secret": secret}


def _settle(call: Call, job: Job) -> None:
    """What is moderated is not charged; a script says in which of the two words."""
    if job.fate == "moderated" and job.billed:
        call.state.refund(job)
        job.error_code = call.fault.status or MODERATED


def _polling_root(call: Call) -> str:
    host = call.fault.polling_host
    if not host:
        return call.root + PREFIX
    return host.rstrip("/") if "://" in host else f"https://{host}"


async def _told(call: Call, job: Job, word: str | None) -> JsonObject:
    """What is known of a task; with a scripted `word` for its status it has no result."""
    phase = job.phase(call.now)
    status = word or (_SECOND if job.shape == "second" else _FIRST)[phase]
    reply: JsonObject = {"id": job.id, "status": status, "result": None}
    if word is None and phase is Phase.WORKING:
        reply["progress"] = round((call.now - job.created_at) / (job.ends_at - job.created_at), 2)
    elif word is None and phase is Phase.DONE:
        reply |= {"result": await _result(call, job), "progress": 1.0}
    elif word is None and phase is Phase.FAILED:
        moderated = job.fate == "moderated"
        reply["status"] = job.error_code if moderated else status
        reply["details"] = {"Moderation Reasons": [job.error]} if moderated else {"error": job.error}
    if job.shape == "second":
        reply["state"] = reply.pop("status")
    return reply


async def _result(call: Call, job: Job) -> JsonObject:
    seed = job.input.get("seed")
    return {
        "sample": await giving.output(call, job),
        "prompt": job.input["prompt"],
        "seed": uuid.UUID(job.id).int % 2**32 if seed is None else seed,
        "start_time": job.works_from,
        "end_time": job.ends_at,
        "duration": job.ends_at - job.works_from,
    }


def _megapixels(size: tuple[int, int]) -> float:
    return round(size[0] * size[1] / 1_000_000, 2)


def _key(headers: Headers) -> str:
    return headers.get("x-key", "")


def _refuse(status: int, text: str) -> Response:
    """An error in FastAPI's dialect."""
    if status == 422:
        return JSONResponse({"detail": [{"loc": ["body"], "msg": text, "type": "value_error"}]}, status)
    return JSONResponse({"detail": text}, status)


WIRE = Wire(
    name=NAME,
    prefix=PREFIX,
    base_variable="BFL_BASE_URL",
    key_variable="BFL_API_KEY",
    sample_key="bfl_simulator",
    read_key=_key,
    takes_key=bool,
    refuse=_refuse,
    operations=(
        *(Operation(on="create", method="POST", path=f"/v1/{model}", handler=create(model)) for model in PRICES),
        Operation(on="get", method="GET", path="/v1/get_result", handler=get),
        Operation(on="account", method="GET", path="/v1/credits", handler=credits_left),
    ),
    no_key=403,
    words=_WORDS,
)
"""Black Forest Labs, as `app.WIRES` lists it."""
