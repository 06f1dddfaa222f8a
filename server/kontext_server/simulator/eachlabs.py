"""Eachlabs' wire: the model with its request schema, predictions that must name its version, cancelling.

What this is: the vendor's published page for `flux-kontext-pro` and its API's description, as a server. What
it is not: complete where nothing is published: the words of errors, where a failure is told (here in `logs`)
and the refusal to cancel what has ended (400) are guesses, and webhooks are noted but never called. Pictures
come by address only; a `data:` URI is refused, as the vendor downloads what it is sent.

Options of its own, on `model` or `create`, from that request on until reset: `version`, which a create must
then name, and `requires_image`, with which the schema and a create demand a picture. A job of the second shape
tells its output as a list.

Above: `app`. Below: `reading`, `giving`, `wire`, `state`, `pictures`.
"""

from __future__ import annotations

import uuid

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from kontext_server.simulator import giving
from kontext_server.simulator.pictures import SIZES, Recipe, size_for
from kontext_server.simulator.reading import check_types, json_object, picture
from kontext_server.simulator.state import Accepted, Job, Phase
from kontext_server.simulator.wire import Call, JsonObject, Operation, RefusedError, Wire

NAME = "eachlabs"
SLUG = "flux-kontext-pro"
VERSION = "0.0.1"
PRICE = 0.04
MAX_SEED = 10**18
MAX_SAFETY_WITH_IMAGE = 2
RATIOS = ("match_input_image", *SIZES)

_TYPES: dict[str, type] = {
    "prompt": str,
    "input_image": str,
    "aspect_ratio": str,
    "seed": int,
    "safety_tolerance": int,
}
_ENVELOPE: dict[str, type] = {
    "model": str,
    "version": str,
    "input": dict,
    "webhook_url": str,
    "webhook_secret": str,
}
_STATUS = {
    Phase.WAITING: "starting",
    Phase.WORKING: "processing",
    Phase.DONE: "success",
    Phase.FAILED: "failed",
    Phase.CANCELLED: "cancelled",
}


async def model(call: Call) -> Response:
    """GET /v1/model?slug=: what can be asked of the model, and the version that a create must name."""
    version, requires_image = _offered(call)
    if call.request.query_params.get("slug") != SLUG:
        raise RefusedError(404, "Model not found")
    return JSONResponse(
        {
            "title": "Flux Kontext Pro",
            "slug": SLUG,
            "version": version,
            "output_type": "string",
            "request_schema": {
                "type": "object",
                "required": ["prompt", "input_image"] if requires_image else ["prompt"],
                "properties": {
                    "prompt": {"type": "string"},
                    "input_image": {"type": "string", "format": "uri"},
                    "aspect_ratio": {"type": "string", "enum": list(RATIOS), "default": RATIOS[0]},
                    "seed": {"type": "integer", "minimum": 1, "maximum": MAX_SEED},
                    "safety_tolerance": {"type": "integer", "minimum": 0, "maximum": 6, "default": 6},
                },
            },
        }
    )


async def create(call: Call) -> Response:
    """POST /v1/prediction; its `success` means that the job was accepted."""
    try:
        job = await _accepted(call)
    except RefusedError as refused:
        # What other vendors call unprocessable, this one calls a bad request.
        raise RefusedError(400 if refused.status == 422 else refused.status, refused.text) from refused
    return JSONResponse({"status": "success", "message": "Prediction created successfully", "predictionID": job.id})


async def get(call: Call) -> Response:
    """GET /v1/prediction/{id}."""
    job = _job(call)
    if call.fault.fault == "status":
        return JSONResponse(await _prediction(call, job, call.fault.status))
    job.suffer(call.fault, call.now)
    return JSONResponse(await _prediction(call, job, job.word))


async def cancel(call: Call) -> Response:
    """POST /v1/prediction/{id}/cancel."""
    job = _job(call)
    if not job.end(Phase.CANCELLED, call.now):
        raise RefusedError(400, f"Prediction has already ended: {_STATUS[job.phase(call.now)]}")
    return JSONResponse({"status": "cancelled", "message": "Prediction cancelled", "predictionID": job.id})


def _offered(call: Call) -> tuple[str, bool]:
    """The model's version and whether it needs a picture, as scripts have left them."""
    catalogue = call.state.catalogue
    if call.fault.version:
        catalogue["eachlabs.version"] = call.fault.version
    if call.fault.requires_image is not None:
        catalogue["eachlabs.requires_image"] = call.fault.requires_image
    return catalogue.get("eachlabs.version", VERSION), catalogue.get("eachlabs.requires_image", False)


async def _accepted(call: Call) -> Job:
    version, requires_image = _offered(call)
    asked = json_object(call.body)
    check_types(asked, _ENVELOPE)
    slug, named, given = asked.pop("model", ""), asked.get("version", ""), asked.pop("input", {})
    if slug != SLUG:
        raise RefusedError(404, f"Model not found: {slug}")
    if named != version:
        raise RefusedError(400, f"Version {named or 'missing'} of model {slug} not found")
    _check(given, requires_image=requires_image)
    source, measured = b"", None
    if "input_image" in given:
        source, measured = await picture(call, given["input_image"], "input.input_image")
    recipe = Recipe(
        prompt=given["prompt"],
        seed=str(given.get("seed", "")),
        size=size_for(given.get("aspect_ratio", RATIOS[0]), measured),
        source=source,
        format="png",
    )
    accepted = Accepted(wire=NAME, model=slug, input=given, asked=asked, recipe=recipe, id=str(uuid.uuid4()))
    return call.state.accept(accepted, call.fault)


def _check(given: JsonObject, *, requires_image: bool) -> None:
    check_types(given, _TYPES, "input.")
    if not given.get("prompt", "").strip():
        raise RefusedError(400, "input.prompt: required")
    if requires_image and "input_image" not in given:
        raise RefusedError(400, "input.input_image: required")
    if given.get("aspect_ratio", RATIOS[0]) not in RATIOS:
        raise RefusedError(400, f"input.aspect_ratio: one of {', '.join(RATIOS)}")
    if not 1 <= given.get("seed", 1) <= MAX_SEED:
        raise RefusedError(400, f"input.seed: from 1 to {MAX_SEED}")
    highest = MAX_SAFETY_WITH_IMAGE if "input_image" in given else 6
    if not 0 <= given.get("safety_tolerance", 0) <= highest:
        raise RefusedError(400, f"input.safety_tolerance: from 0 to {highest}")


def _job(call: Call) -> Job:
    job = call.state.jobs.get(call.request.path_params["job_id"])
    if job is None or job.wire != NAME:
        raise RefusedError(404, "Prediction not found")
    return job


async def _prediction(call: Call, job: Job, word: str | None) -> JsonObject:
    """The prediction; with a scripted `word` for its status it has no output."""
    phase = job.phase(call.now)
    urls = await giving.outputs(call, job) if phase is Phase.DONE and word is None else []
    address = f"{call.root}{WIRE.prefix}/v1/prediction/{job.id}"
    return {
        "id": job.id,
        "input": job.input,
        "status": word or _STATUS[phase],
        "output": (urls if job.shape == "second" else urls[0]) if urls else None,
        "logs": job.error if phase is Phase.FAILED and word is None else "",
        "metrics": {"predict_time": job.ends_at - job.works_from, "cost": PRICE} if urls else None,
        "urls": {"get": address, "cancel": f"{address}/cancel"},
    }


def _key(headers: Headers) -> str:
    return headers.get("x-api-key", "")


def _refuse(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status)


WIRE = Wire(
    name=NAME,
    prefix="/eachlabs",
    base_variable="EACHLABS_BASE_URL",
    key_variable="EACHLABS_API_KEY",
    sample_key="eachlabs_simulator",
    read_key=_key,
    takes_key=bool,
    refuse=_refuse,
    operations=(
        Operation(on="model", method="GET", path="/v1/model", handler=model),
        Operation(on="create", method="POST", path="/v1/prediction", handler=create),
        Operation(on="create", method="POST", path="/v1/prediction/", handler=create),
        Operation(on="get", method="GET", path="/v1/prediction/{job_id}", handler=get),
        Operation(on="cancel", method="POST", path="/v1/prediction/{job_id}/cancel", handler=cancel),
    ),
)
"""Eachlabs, as `app.WIRES` lists it."""
