"""Replicate's files: sending one, asking for it, deleting it, and finding the picture that a create names.

What this is: `/files` as Replicate documents it, and the three ways to hand over an `input_image`. What it is
not: a download; a file's address tells of it and is good as an input. Above: `replicate`. Below: `reading`,
`giving`, `files`.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import replace

from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse, Response

from kontext_server.simulator.files import StoredFile, new_file
from kontext_server.simulator.giving import stamp
from kontext_server.simulator.reading import form, picture
from kontext_server.simulator.wire import Call, JsonObject, Operation, RefusedError

NAME = "replicate"
PREFIX = "/replicate/v1"
MAX_INLINE = 10_000_000
FILE_SECONDS = 86_400.0
_WHERE = "input.input_image"


async def send(call: Call) -> Response:
    """POST /files: a form with `content`, and with `filename`, `type` and `metadata` where they are given."""
    async with form(call) as sent:
        part = sent.get("content")
        if not isinstance(part, UploadFile):
            raise RefusedError(422, "content: a file is needed")
        content = await part.read()
        title = str(sent.get("filename") or part.filename or "content")
        media_type = str(sent.get("type") or part.content_type or "application/octet-stream")
        _check_metadata(str(sent.get("metadata") or "{}"))
    made = new_file(NAME, content, media_type, call.now + FILE_SECONDS)
    file = call.state.files.add(replace(made, name=secrets.token_hex(16), title=title))
    return JSONResponse(_told(call, file), 201)


async def get(call: Call) -> Response:
    """GET /files/{file}."""
    return JSONResponse(_told(call, _file(call, call.request.path_params["file"])))


async def delete(call: Call) -> Response:
    """DELETE /files/{file}."""
    call.state.files.remove(_file(call, call.request.path_params["file"]).name)
    return Response(status_code=204)


async def picture_of(call: Call, prefix: str, address: str) -> tuple[bytes, tuple[int, int] | None]:
    """The picture that an `input_image` names, as `reading.picture`: also a file sent here, and a `data:` URI."""
    if address.startswith("data:") and len(address) * 3 // 4 > MAX_INLINE:
        raise RefusedError(422, f"{_WHERE}: a data URI holds at most 10 MB")
    sent_here = f"{call.root}{PREFIX}/files/"
    if prefix == PREFIX and address.startswith(sent_here):
        try:
            address = _file(call, address.removeprefix(sent_here)).url(call.root)
        except RefusedError as error:
            raise RefusedError(422, f"{_WHERE}: no such file") from error
    return await picture(call, address, _WHERE, inline=True)


def _file(call: Call, name: str) -> StoredFile:
    file = call.state.files.get(name)
    if file is None or file.wire != NAME or not file.title or call.now >= file.expires_at:
        raise RefusedError(404, "The requested resource could not be found.")
    return file


def _told(call: Call, file: StoredFile) -> JsonObject:
    content = file.read()
    checksums = {"sha256": hashlib.sha256(content).hexdigest()}
    return {
        "id": file.name,
        "name": file.title,
        "content_type": file.media_type,
        "size": len(content),
        "etag": checksums["sha256"][:32],
        "checksums": checksums,
        "metadata": {},
        "created_at": stamp(file.expires_at - FILE_SECONDS),
        "expires_at": stamp(file.expires_at),
        "urls": {"get": f"{call.root}{PREFIX}/files/{file.name}"},
    }


def _check_metadata(sent: str) -> None:
    try:
        if not isinstance(json.loads(sent), dict):
            raise RefusedError(422, "metadata: must be an object")
    except ValueError as error:
        raise RefusedError(422, "metadata: must be JSON") from error


OPERATIONS = (
    Operation(on="upload", method="POST", path="/files", handler=send),
    Operation(on="upload", method="GET", path="/files/{file}", handler=get),
    Operation(on="upload", method="DELETE", path="/files/{file}", handler=delete),
)
