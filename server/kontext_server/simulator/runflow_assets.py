"""Runflow's asset uploads: a promise, the bytes, a confirmation that tells the asset's address.

What this is: the three calls that put a picture where a run can fetch it. What it is not: the runs (`runflow`),
or folders of assets. Above: `runflow`. Below: `reading`, `wire`, `files`.
"""

from __future__ import annotations

import uuid
from dataclasses import replace

from starlette.responses import JSONResponse, Response

from kontext_server.simulator.files import Ticket, new_file
from kontext_server.simulator.giving import stamp
from kontext_server.simulator.reading import check_types, json_object
from kontext_server.simulator.wire import Call, Operation, RefusedError

NAME = "runflow"
MAX_BYTES = 52_428_800
SECONDS = 3600.0


async def promise(call: Call) -> Response:
    """POST /asset-uploads: an asset's id, and where to PUT its bytes."""
    asked = json_object(call.body)
    check_types(asked, {"filename": str, "mime_type": str, "size_bytes": int})
    filename, media_type, size = asked.get("filename", ""), asked.get("mime_type", ""), asked.get("size_bytes", 0)
    if not filename or "/" in filename:
        raise RefusedError(422, "filename: needed, without a path")
    if not media_type.startswith("image/"):
        raise RefusedError(422, "mime_type: must be a picture's")
    if not 1 <= size <= MAX_BYTES:
        raise RefusedError(422, f"size_bytes: from 1 to {MAX_BYTES}")
    dies_at = call.now + SECONDS
    file = new_file(NAME, b"", media_type, dies_at)
    fields = {"filename": filename, "size_bytes": str(size)}
    ticket = call.state.promise(Ticket(file=file, fields=fields, expires_at=dies_at))
    base = str(call.request.url).partition("?")[0].removesuffix("/asset-uploads")
    return JSONResponse({"asset_id": str(uuid.UUID(ticket)), "upload_url": f"{base}/_uploads/{ticket}"}, 201)


async def put(call: Call) -> Response:
    """PUT to an upload address, as an object store takes it: the bytes, of the type and size that were signed."""
    ticket = call.state.tickets.get(call.request.path_params["ticket"])
    if ticket is None or call.now >= ticket.expires_at:
        raise RefusedError(403, "Request has expired")
    headers = call.request.headers
    if "authorization" in headers:
        raise RefusedError(400, "Only one auth mechanism allowed")
    if headers.get("content-type") != ticket.file.media_type or str(len(call.body)) != ticket.fields["size_bytes"]:
        raise RefusedError(403, "SignatureDoesNotMatch: the Content-Type and the size are those that were signed")
    call.state.files.add(replace(ticket.file, content=call.body))
    return Response(status_code=200)


async def confirm(call: Call) -> Response:
    """POST /asset-uploads/{asset_id}/confirmations: the asset, once its bytes have come."""
    check_types({name: value for name, value in _sent(call).items() if value is not None}, {"folder_id": str})
    asset_id = call.request.path_params["asset_id"]
    ticket = call.state.tickets.get(asset_id.replace("-", ""))
    if ticket is None:
        raise RefusedError(404, "Asset upload not found")
    if call.state.files.get(ticket.file.name) is None:
        raise RefusedError(409, "The asset's bytes have not come")
    return JSONResponse(
        {
            "id": asset_id,
            "name": ticket.fields["filename"],
            "url": ticket.file.url(call.root),
            "mime_type": ticket.file.media_type,
            "size_bytes": int(ticket.fields["size_bytes"]),
            "folder_id": None,
            "created_at": stamp(call.now),
        },
        201,
    )


def _sent(call: Call) -> dict[str, object]:
    return json_object(call.body) if call.body else {}


OPERATIONS = (
    Operation(on="upload", method="POST", path="/asset-uploads", handler=promise),
    Operation(on="upload", method="PUT", path="/_uploads/{ticket}", handler=put, keyless=True),
    Operation(on="upload", method="POST", path="/asset-uploads/{asset_id}/confirmations", handler=confirm),
)
"""All three, as `runflow` lists them."""
