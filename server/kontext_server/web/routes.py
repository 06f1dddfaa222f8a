"""What is served beside `/mcp`: whether we live, whether the store and the storage
answer, and our pictures by signed addresses.

What this is: small routes that tell nothing but what they are for. What it is not: their Host check and body limit
(`http`). Above: http, gallery. Below: app, addresses.
"""

from __future__ import annotations

import anyio
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from kontext_server.app import App
from kontext_server.web.addresses import Addresses
from kontext_tools.errors import KontextError, StorageBusy
from kontext_tools.images import EXTENSIONS

READY_S = 5.0
"""So long the store and the storage have to answer, for one who asks whether we are ready."""


def routes(app: App, addresses: Addresses, around: Middleware) -> list[Route]:
    """Give the routes, each with a middleware around it."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(_: Request) -> Response:
        try:
            with anyio.fail_after(READY_S):
                await app.check()
        except (KontextError, TimeoutError):
            return PlainTextResponse("not ok", status_code=503)
        return PlainTextResponse("ok")

    async def image(request: Request) -> Response:
        job, n = request.path_params["job"], request.path_params["n"]
        owner = addresses.owner(job, n, request.query_params)
        if owner is None:
            return _no_such_image()
        try:
            data, media_type = await app.studio.image(owner, f"{job}/{n}")
        except StorageBusy:
            return PlainTextResponse("Not now: try again in a minute.", status_code=503)
        except KontextError:
            return _no_such_image()
        headers = {
            "Cache-Control": f"private, max-age={addresses.left_s(request.query_params)}, immutable",
            "Content-Disposition": inline(job, n, media_type),
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(data, media_type=media_type, headers=headers)

    served = {"/healthz": healthz, "/readyz": readyz, "/images/{job}/{n}": image}
    return [Route(path, endpoint, methods=["GET"], middleware=[around]) for path, endpoint in served.items()]


def inline(job: str, n: str, media_type: str) -> str:
    """Give the `Content-Disposition` of an image as delivered: shown, and saved under a good name."""
    return f'inline; filename="{job}-{n}.{EXTENSIONS[media_type]}"'


def _no_such_image() -> Response:
    """Answer a wrong address, an old one, and one of a picture that is gone, all alike."""
    return PlainTextResponse("There is no image of that address.", status_code=404)
