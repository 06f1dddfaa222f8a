"""Reading a request as vendors' frameworks do: JSON objects, forms with files, types, our own files by
address.

What this is: what several wires need, each mistake told as a RefusedError. What it is not: any vendor's
rules. Above: one file for each vendor. Below: `wire`, `state`, `files`, `pictures`.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import AsyncGenerator, Mapping
from typing import cast
from urllib.parse import urlsplit

import anyio.to_thread
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from kontext_server.simulator.pictures import measure
from kontext_server.simulator.wire import Call, JsonObject, RefusedError

_LOOPBACK = {"127.0.0.1", "localhost"}
_MEDIA_TYPES = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif"}


def json_object(body: bytes) -> JsonObject:
    """The body as a JSON object, or 422."""
    try:
        sent: object = json.loads(body)
    except ValueError as error:
        raise RefusedError(422, "JSON decode error") from error
    if not isinstance(sent, dict):
        raise RefusedError(422, "expected a JSON object")
    return cast("JsonObject", sent)


@contextlib.asynccontextmanager
async def form(call: Call) -> AsyncGenerator[FormData]:
    """The body as a multipart form, its files closed at the end, or 422."""
    if not call.request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise RefusedError(422, "expected multipart/form-data")
    try:
        read = await call.request.form()
    except HTTPException as error:
        raise RefusedError(422, error.detail) from error
    try:
        yield read
    finally:
        await read.close()


def check_types(given: JsonObject, types: Mapping[str, type], where: str = "") -> None:
    """Refuse (422) what is not among `types`, by name, or is of another type; `where` opens the name told."""
    for name, value in given.items():
        if name not in types:
            raise RefusedError(422, f"{where}{name}: unknown")
        if not _is(value, types[name]):
            raise RefusedError(422, f"{where}{name}: must be a {types[name].__name__}")


async def fetched(call: Call, address: str, where: str) -> bytes | None:
    """The bytes at an address: our own file's; `None` for an https one, which is believed, never fetched.

    Anything else, and a file of ours that has expired, is what no vendor could download: 422 about `where`.
    """
    try:
        url = urlsplit(address)
    except ValueError as error:
        raise RefusedError(422, f"{where}: not a valid URL") from error
    if url.scheme == "https" and url.hostname:
        return None
    if url.scheme == "http" and url.hostname in _LOOPBACK:
        file = call.state.files.get(url.path.removeprefix("/_files/"))
        if file is not None and address.endswith(file.url("")) and call.now < file.expires_at:
            return await anyio.to_thread.run_sync(file.read)
    raise RefusedError(422, f"{where}: the image could not be downloaded")


async def picture(
    call: Call, address: str, where: str, *, inline: bool = False
) -> tuple[bytes, tuple[int, int] | None]:
    """The picture at an address as `fetched`, or where `inline` in a `data:` URI; and its width and height.

    No bytes and no size for a picture that is believed; 422 about `where` for anything that is no picture.
    """
    try:
        if inline and address.startswith("data:"):
            content: bytes | None = base64.b64decode(address.partition(";base64,")[2], validate=True)
        else:
            content = await fetched(call, address, where)
        return content or b"", None if content is None else await anyio.to_thread.run_sync(measure, content)
    except ValueError as error:
        raise RefusedError(422, f"{where}: {error}") from error


def _is(value: object, kind: type) -> bool:
    """Whether a JSON value is of a kind: true is no integer, though Python's True is; 3 is a number, as 3.5 is."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def media_type_of(filename: str) -> str:
    """A picture's media type by the ending of its name; PNG's where that says nothing."""
    return _MEDIA_TYPES.get(filename.rpartition(".")[2].lower(), "image/png")
