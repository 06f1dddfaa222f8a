"""What BFL's Kontext endpoints take, refused as FastAPI refuses: a list of places, messages and types.

What this is: the published schema of a task as types, and the pictures that it carries, base64 without a prefix
or an address. What it is not: a task's life (`bfl`). It is as strict as a schema can be: no unknown field, and no
number in a text. Above: `bfl`. Below: `reading`, `pictures`.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from kontext_server.simulator.pictures import NotAPictureError, measure
from kontext_server.simulator.reading import picture
from kontext_server.simulator.wire import Call, JsonObject, RefusedError

MAX_BYTES = 20_000_000
MAX_PIXELS = 20_000_000
WIDEST = 21 / 9
_RATIO = re.compile(r"([1-9]\d{0,3}):([1-9]\d{0,3})")
_IMAGES = ("input_image", "input_image_2", "input_image_3", "input_image_4")


class BadInputError(Exception):
    """What FastAPI would refuse: the entries of its `detail`."""

    def __init__(self, *detail: JsonObject) -> None:
        super().__init__(str(detail))
        self.detail = list(detail)


class Task(BaseModel):
    """A task's body; the same for both endpoints."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: str
    input_image: str | None = None
    input_image_2: str | None = None
    input_image_3: str | None = None
    input_image_4: str | None = None
    seed: int | None = None
    aspect_ratio: str | None = None
    output_format: Literal["jpeg", "png", "webp"] | None = None
    webhook_url: Annotated[str, Field(min_length=1, max_length=2083)] | None = None
    webhook_secret: str | None = None
    prompt_upsampling: bool = False
    safety_tolerance: Annotated[int, Field(ge=0, le=6)] = 2

    @field_validator("aspect_ratio")
    @classmethod
    def _drawable(cls, sent: str | None) -> str | None:
        if sent is not None and not 1 / WIDEST <= _ratio(sent) <= WIDEST:
            raise ValueError("aspect ratio must be between 21:9 and 9:21")
        return sent

    @property
    def proportions(self) -> tuple[int, int] | None:
        """Width and height as asked; `None` where the picture's are to be kept."""
        return None if self.aspect_ratio is None else _sides(self.aspect_ratio)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The first picture of a task: its bytes, empty where there is none or it is believed, and its size."""

    content: bytes = b""
    size: tuple[int, int] | None = None


def read_task(body: bytes) -> Task:
    """A create's body, checked."""
    try:
        return Task.model_validate_json(body)
    except ValidationError as error:
        told = error.errors(include_url=False, include_input=False, include_context=False)
        raise BadInputError(
            *({"loc": ["body", *one["loc"]], "msg": one["msg"], "type": one["type"]} for one in told)
        ) from error


async def pictures_of(call: Call, task: Task) -> Sent:
    """The first picture of a task; all of them are checked."""
    sent = [await _picture(call, name, value) for name in _IMAGES if (value := getattr(task, name)) is not None]
    return sent[0] if sent else Sent()


async def _picture(call: Call, name: str, value: str) -> Sent:
    if re.match("https?://", value):
        try:
            content, size = await picture(call, value, name)
        except RefusedError as refused:
            raise _bad_picture(name, refused.text) from refused
        return Sent(content=content, size=size)
    try:
        content = base64.b64decode(value, validate=True)
        if len(content) > MAX_BYTES:
            raise _bad_picture(name, "image is larger than 20 MB")
        size = await anyio.to_thread.run_sync(measure, content)
    except NotAPictureError as error:
        raise _bad_picture(name, str(error)) from error
    except ValueError as error:
        raise _bad_picture(name, "must be base64 without a prefix, or a URL") from error
    if size[0] * size[1] > MAX_PIXELS:
        raise _bad_picture(name, "image is larger than 20 MP")
    return Sent(content=content, size=size)


def _bad_picture(name: str, words: str) -> BadInputError:
    detail: dict[str, Any] = {"loc": ["body", name], "msg": f"Value error, {words}", "type": "value_error"}
    return BadInputError(detail)


def _sides(ratio: str) -> tuple[int, int]:
    read = _RATIO.fullmatch(ratio)
    if read is None:
        raise ValueError("aspect ratio must be W:H")
    return int(read[1]), int(read[2])


def _ratio(sent: str) -> float:
    width, height = _sides(sent)
    return width / height
