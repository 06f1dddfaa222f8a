"""The door of a server for one person: an address that opens once, and a cookie from then on.

What this is: a layer around routes that know nothing of it, so that they can stand behind another sign-in as well.
What it is not: the check of names by which we may be reached (`hosts`). Above: gallery. Below: leading, Starlette.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kontext_server.web.leading import leading_to

RANDOM_BYTES = 32

_CLOSED = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>kontext gallery</title>
<h1>This gallery is closed here</h1>
<p>Open the address that <code>kontext gallery</code> printed. It opens once, in one browser: for another, end that
command and start it again.</p>
</html>
"""


class Door:
    """Lets in whoever brings the token, once, and from then on the browser that did.

    Args:
        app: what is behind it.
        cookie: its name; of its own for each port, for a browser shares cookies between ports.
        entered: called when the token was used.
    """

    def __init__(self, app: ASGIApp, *, cookie: str, entered: Callable[[], None] = lambda: None) -> None:
        self._app = app
        self._cookie = cookie
        self._entered = entered
        self._key = secrets.token_urlsafe(RANDOM_BYTES)
        self._left: str | None = secrets.token_urlsafe(RANDOM_BYTES)
        self.address = f"/?token={self._left}"
        """Path and query that open it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        answer = None if scope["type"] == "lifespan" else self._answer(Request(scope))
        await (answer or self._app)(scope, receive, send)

    def _answer(self, request: Request) -> Response | None:
        """Give what is answered at the door; `None` for whoever may pass."""
        known = _same(request.cookies.get(self._cookie, ""), self._key)
        # Only GET: what looks at an address before a person does, a preview or a checker, asks by HEAD.
        token = request.query_params.get("token") if (request.method, request.url.path) == ("GET", "/") else None
        if known:
            return None if token is None else _opened()
        if token is None or self._left is None or not _same(token, self._left):
            return HTMLResponse(_CLOSED, status_code=401, headers={"Cache-Control": "no-store"})
        self._left = None
        self._entered()
        answer = _opened()
        answer.set_cookie(self._cookie, self._key, path="/", httponly=True, samesite="strict")
        return answer


def _opened() -> Response:
    # No redirect: one that another site began, a page in a file as well, is followed without a cookie of
    # SameSite=Strict. What a page of ours asks for next is of our own site.
    return HTMLResponse(leading_to("/"), headers={"Cache-Control": "no-store"})


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode())
