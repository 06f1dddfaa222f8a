"""The web gallery: the studio's page on loopback, and what it reads.

What this is: two routes that only read, and the server of `kontext gallery` around them. What it is not: the page
(`surface.studio_page`), what is read (`surface.resources`) or who may come in (`hosts`, `door`): the routes know no
sign-in, so that they stand behind another as well (`visiting`). Above: cli, visiting. Below: these, listening, app.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kontext_server.app import App, build
from kontext_server.settings import Settings
from kontext_server.surface import studio_page
from kontext_server.surface.resources import Resources
from kontext_server.surface.uris import image_of
from kontext_server.web.door import Door
from kontext_server.web.hosts import HostCheck, loopback_only
from kontext_server.web.listening import listening, serve_until_signal
from kontext_server.web.routes import inline
from kontext_tools.errors import KontextError, NotFound, Refusal, ResultInvalid, UnknownRef

HOST = "127.0.0.1"
FOREVER = "private, max-age=31536000, immutable"
"""An image of one address never changes: its job is done, and its number is its own."""
AROUND: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""On every answer that does not say otherwise."""

STATUSES: tuple[tuple[type[KontextError], int], ...] = (
    (NotFound, 404),
    (UnknownRef, 404),
    (ResultInvalid, 409),
    (Refusal, 400),
)
"""The first that a failure is; any other is the store's, and told as 503."""


def serve(settings: Settings, *, port: int, announce: Callable[[str], None], entered: Callable[[], None]) -> None:
    """Serve the local user's images until a signal comes; nothing is sent to any provider meanwhile.

    Args:
        settings: already read.
        port: of 127.0.0.1; 0 takes a free one.
        announce: told the address that opens it, once requests are served and a signal would end it well.
        entered: called once that address was used.

    Raises:
        PortTaken: the port cannot be had.
    """
    with listening(HOST, port) as place:
        app = build(settings, any_file=True)
        door = Door(application(app), cookie=f"kontext-gallery-{place.port}", entered=entered)
        serve_until_signal(
            within_walls(door),
            place,
            announce=lambda: announce(place.base + door.address),
            ending=app.studio.stop_waiting,
        )


def application(app: App) -> Starlette:
    """Give the gallery of one app, whose store is open for as long as it is served; no job moves by that."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with app.reading():
            yield

    return Starlette(routes=routes(Resources(app)), lifespan=lifespan)


def routes(resources: Resources, *, at: str = "", middleware: Sequence[Middleware] = ()) -> list[Route]:
    """Give the page and what it reads, below a path; whoever mounts them sees to it who may ask."""
    page = studio_page.gallery()

    async def home(_: Request) -> Response:
        headers = {"Content-Security-Policy": page.policy, "Cache-Control": "no-store"}
        return HTMLResponse(page.html, headers=headers)

    async def read(request: Request) -> Response:
        uri = request.query_params.get("uri", "")
        try:
            tag = await resources.tag(uri)
            if tag is not None and _has(request, tag):
                return Response(status_code=304, headers=_kept(tag))
            content = await resources.content(uri)
        except KontextError as error:
            return _refused(error)
        if tag is None:
            return Response(content.data, media_type=content.media_type, headers={"Cache-Control": "no-store"})
        return Response(
            content.data, media_type=content.media_type, headers=_kept(tag) | _named(uri, content.media_type)
        )

    return [Route(f"{at}{path}", served, middleware=middleware) for path, served in (("/", home), ("/read", read))]


def within_walls(app: ASGIApp) -> ASGIApp:
    """Give an app behind the check of hosts, every answer with the headers that keep it to itself."""
    return Walls(HostCheck(app, loopback_only(HOST)))


class Walls:
    """Gives every answer the headers that keep it to itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in AROUND.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


def _has(request: Request, tag: str) -> bool:
    """Whether the browser has these bytes (RFC 9110, section 13.1.2: the comparison is weak)."""
    told = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    return f'"{tag}"' in told


def _kept(tag: str) -> dict[str, str]:
    return {"ETag": f'"{tag}"', "Cache-Control": FOREVER}


def _named(uri: str, media_type: str) -> dict[str, str]:
    """Name the file of an image as delivered, for whoever saves it."""
    image = image_of(uri)
    if image is None or image.form:
        return {}
    return {"Content-Disposition": inline(image.ref.job_id, str(image.ref.n), media_type)}


def _refused(error: KontextError) -> Response:
    """Answer a failure in one sentence."""
    status = next((status for kind, status in STATUSES if isinstance(error, kind)), 503)
    return JSONResponse({"error": error.failure.message}, status_code=status, headers={"Cache-Control": "no-store"})
