"""What Replicate's Kontext models take: the inputs of -pro, -max and -dev, and the headers of a create.

What this is: their published schemas as types, each mistake told as a RefusedError whose text begins with the
field. What it is not: a prediction (`replicate`). It refuses an unknown key, a null and a number for a text, as
the vendor's validator does. Above: `replicate`. Below: `wire`, `pictures`.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kontext_server.simulator.pictures import SIZES
from kontext_server.simulator.wire import JsonObject, RefusedError

MAX_SAFETY_WITH_IMAGE = 2
MAX_WAIT = 60
_RATIOS = ("match_input_image", *SIZES)
_CANCEL_AFTER = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")
_LEAST_CANCEL_AFTER = 5
_EVENTS = Literal["start", "output", "logs", "completed"]

Prompt = Annotated[str, Field(min_length=1, pattern=r"\S")]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Envelope(_Strict):
    """A create's body."""

    input: JsonObject
    webhook: Annotated[str, Field(pattern=r"^https?://")] = ""
    webhook_events_filter: list[_EVENTS] = []


class HostedInput(_Strict):
    """What -pro and -max take."""

    prompt: Prompt
    input_image: str = ""
    aspect_ratio: str = "match_input_image"
    output_format: Literal["jpg", "png"] = "png"
    safety_tolerance: Annotated[int, Field(ge=0, le=6)] = 2
    prompt_upsampling: bool = False
    seed: Seed = 0


class DevInput(_Strict):
    """What -dev takes: an image always, and its own dials."""

    prompt: Prompt
    input_image: Annotated[str, Field(min_length=1)]
    aspect_ratio: str = "match_input_image"
    output_format: Literal["jpg", "png", "webp"] = "webp"
    output_quality: Annotated[int, Field(ge=0, le=100)] = 80
    guidance: Annotated[float, Field(ge=0, le=10)] = 2.5
    num_inference_steps: Annotated[int, Field(ge=4, le=50)] = 28
    go_fast: bool = True
    seed: Seed = 0


MODELS: dict[str, type[HostedInput] | type[DevInput]] = {
    "black-forest-labs/flux-kontext-pro": HostedInput,
    "black-forest-labs/flux-kontext-max": HostedInput,
    "black-forest-labs/flux-kontext-dev": DevInput,
}


def envelope(body: JsonObject) -> Envelope:
    """A create's body, checked."""
    try:
        return Envelope.model_validate(body)
    except ValidationError as error:
        raise _refused(error, "") from error


def model_input(model: str, given: JsonObject) -> HostedInput | DevInput:
    """The input of a model, checked, its defaults filled in."""
    kind = MODELS.get(model)
    if kind is None:
        raise RefusedError(404, "The requested resource could not be found.")
    try:
        read = kind.model_validate(given)
    except ValidationError as error:
        raise _refused(error, "input.") from error
    if read.aspect_ratio not in _RATIOS:
        raise RefusedError(422, f"input.aspect_ratio: must be one of {', '.join(_RATIOS)}")
    if isinstance(read, HostedInput) and read.input_image and read.safety_tolerance > MAX_SAFETY_WITH_IMAGE:
        raise RefusedError(422, "input.safety_tolerance: must be at most 2 with an input image")
    return read


def wait_seconds(prefer: str) -> int | None:
    """The seconds of `Prefer: wait=N`, 60 where it names none; `None` without that preference."""
    name, _, value = prefer.replace(" ", "").partition("=")
    if name != "wait":
        return None
    if not value:
        return MAX_WAIT
    if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= MAX_WAIT:
        raise RefusedError(422, "Prefer: wait must be from 1 to 60 seconds")
    return int(value)


def cancel_after_seconds(header: str) -> float:
    """The seconds of `Cancel-After: 1h30m15s`; infinite without it."""
    if not header:
        return math.inf
    read = _CANCEL_AFTER.fullmatch(header)
    hours, minutes, seconds = (int(part or 0) for part in read.groups()) if read else (0, 0, 0)
    total = hours * 3600 + minutes * 60 + seconds
    if total < _LEAST_CANCEL_AFTER:
        raise RefusedError(422, "Cancel-After: must be a duration of at least 5 seconds, such as 90s or 1m30s")
    return total


def _refused(error: ValidationError, where: str) -> RefusedError:
    first = error.errors()[0]
    return RefusedError(422, f"{where}{'.'.join(map(str, first['loc']))}: {first['msg']}")
