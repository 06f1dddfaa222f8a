"""The gallery of whoever signed in, beside `/mcp`: its routes, and the door before them.

What this is: the gallery's own routes below `/gallery`, each behind a door that lets in who brings a token or a cookie
of ours, and the page that a link leads to. What it is not: links and cookies (`visits`), what is seen (`gallery`), or
the check of a token (`bearer`). Above: http. Below: visits, gallery, limits, leading, plain_page.

A link is used by a button's POST, not by being looked at: programs that show or check an address look at it as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from html import escape
from urllib.parse import parse_qs

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.transport_security import RequestBodyLimitMiddleware
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kontext_server.app import App
from kontext_server.surface.asking import owner_of_token
from kontext_server.surface.limits import READ, Limits
from kontext_server.surface.resources import Resources
from kontext_server.web.bearer import too_often
from kontext_server.web.gallery import Walls, routes
from kontext_server.web.leading import leading_to
from kontext_server.web.plain_page import AROUND, page
from kontext_server.web.visits import PATH, Visits
from kontext_tools.errors import KontextError, RateLimited

COOKIE = "kontext-gallery"
MAX_BODY_BYTES = 4096
NO_STORE: Mapping[str, str] = {"Cache-Control": "no-store"}
CLOSED = "This gallery is closed here: ask your assistant to find your images, and open the link of its answer."

_visitor: ContextVar[str] = ContextVar("visitor")
"""Whose pictures the request in whose context it is read may see."""

_BUTTON = """<p>It opens once, in this browser, and stays open for four hours.</p>
<form method="post" action="{path}/enter">
<input type="hidden" name="ticket" value="{ticket}">
<button autofocus>Open my pictures</button>
</form>"""


def visiting(app: App, visits: Visits, limits: Limits) -> list[Route]:
    """Give the routes, for who signed in."""
    around = [Middleware(Walls), Middleware(RequestBodyLimitMiddleware, max_body_size=MAX_BODY_BYTES)]
    inside = [*around, Middleware(_Door, visits=visits, limits=limits)]

    async def enter(request: Request) -> Response:
        if request.method != "POST":
            ticket = request.query_params.get("ticket", "")
            return _shown(ticket) if visits.is_good(ticket) else _closed()
        told = parse_qs((await request.body()).decode("latin-1")).get("ticket", [""])[0]
        try:
            cookie = await visits.entered(told, app.tasks)
        except KontextError:
            return HTMLResponse(page("Not now", "<p>Try again in a minute.</p>"), 503, headers=AROUND)
        if cookie is None:
            return _closed()
        answer = HTMLResponse(leading_to(f"{PATH}/"), headers=NO_STORE)
        # Without an age it ends with the browser; its own time stands in it.
        answer.set_cookie(COOKIE, cookie, path=PATH, httponly=True, samesite="strict", secure=visits.by_tls)
        return answer

    inner = routes(Resources(app, _visitor.get), at=PATH, middleware=inside)
    return [*inner, Route(f"{PATH}/enter", enter, methods=["GET", "POST"], middleware=around)]


class _Door:
    """Lets in who brings a token, which was looked at before, or a cookie; tells the routes whose pictures they are."""

    def __init__(self, app: ASGIApp, visits: Visits, limits: Limits) -> None:
        self._app = app
        self._visits = visits
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        request = Request(scope)
        token, cookie = get_access_token(), request.cookies.get(COOKIE)
        owner = owner_of_token(token) if token is not None else None if cookie is None else self._visits.owner(cookie)
        if owner is None:
            # The page, where it is still open, tells a 403 by its words.
            await _refused(request, 401 if cookie is None else 403)(scope, receive, send)
            return
        try:
            self._limits.take(owner, READ)
        except RateLimited as limited:
            await too_often(limited)(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 404:
                self._limits.missed(owner)
            await send(message)

        _visitor.set(owner)
        await self._app(scope, receive, counted)


def _refused(request: Request, status: int) -> Response:
    if request.url.path == f"{PATH}/read":
        return JSONResponse({"error": CLOSED}, status, headers=NO_STORE)
    return _closed(status)


def _closed(status: int = 401) -> Response:
    return HTMLResponse(page("This gallery is closed here", f"<p>{escape(CLOSED)}</p>"), status, headers=AROUND)


def _shown(ticket: str) -> Response:
    body = _BUTTON.format(path=PATH, ticket=escape(ticket))
    return HTMLResponse(page("Your pictures", body), headers=AROUND)
