"""The door of a server for many: a bearer token on each request, and what it must allow.

What this is: a layer around routes that know nothing of it. What is not open to all needs a token; whose it is stands
where the SDK looks for it, so that its sessions and its sealed states are bound to them. What it is not: the check of a
token (`jwts`, `tokens`), or of names by which we may be reached (`hosts`). Above: http. Below: surface.scopes, the SDK.

Challenges are those of RFC 6750, section 3, and of RFC 9728, section 5.1. A token is taken from the header alone: an
address is written into logs and histories.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import anyio.to_thread
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.authentication import AuthCredentials
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kontext_server.surface.asking import owner_of_token
from kontext_server.surface.scopes import CANCEL, EDIT, READ, needed
from kontext_server.surface.unread import MAX_MESSAGE_BYTES
from kontext_tools.errors import RateLimited

ALL = frozenset({READ, EDIT, CANCEL})
"""Whoever has these may ask all there is at `/mcp`: what they ask need not be read twice."""
IN_A_THREAD_BYTES = 65_536
SCHEME = "bearer"


class Bearer:
    """Lets in whoever brings a token that allows what they ask.

    Args:
        app: what is behind it.
        verifier: whose a token is.
        metadata_url: where a client learns how to sign in.
        open_to_all: beginnings of the paths that need no token.
        own_door: beginnings of the paths that look themselves at who brings no token.
        needs: beginnings of the paths that need one scope, and which; of others a message says what it needs.
        begins: called with whose session of the handshake era is about to begin; raises `RateLimited`.
        sessions_at: the path where they begin.
    """

    def __init__(
        self,
        app: ASGIApp,
        verifier: TokenVerifier,
        *,
        metadata_url: str,
        open_to_all: Sequence[str],
        own_door: Sequence[str],
        needs: Mapping[str, str],
        begins: Callable[[str], None],
        sessions_at: str,
    ) -> None:
        self._app = AuthContextMiddleware(app)
        self._verifier = verifier
        self._metadata_url = metadata_url
        self._open = tuple(open_to_all)
        self._own_door = tuple(own_door)
        self._needs = needs
        self._begins = begins
        self._sessions_at = sessions_at

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] != "http" or scope["path"].startswith(self._open):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        given = request.headers.getlist("authorization")
        if not given and scope["path"].startswith(self._own_door):
            await self._app(scope, receive, send)
            return
        if "access_token" in request.query_params or len(given) > 1:
            await self._challenge(400, error="invalid_request")(scope, receive, send)
            return
        token = _token(given)
        access = None if token is None else await self._verifier.verify_token(token)
        if access is None:
            error = {} if token is None else {"error": "invalid_token"}
            await self._challenge(401, **error)(scope, receive, send)
            return
        needed = next((needed for path, needed in self._needs.items() if scope["path"].startswith(path)), None)
        missing = None if needed in access.scopes else needed
        if needed is None and request.method == "POST" and not ALL.issubset(access.scopes):
            receive, body = await _read(receive)
            missing = await _missing(body, access)
        if missing is not None:
            await self._challenge(403, error="insufficient_scope", scope=missing)(scope, receive, send)
            return
        if scope["path"] == self._sessions_at and _begins_a_session(request):
            try:
                self._begins(owner_of_token(access))
            except RateLimited as limited:
                await too_often(limited)(scope, receive, send)
                return
        scope["user"], scope["auth"] = AuthenticatedUser(access), AuthCredentials(access.scopes)
        await self._app(scope, receive, send)

    def _challenge(self, status: int, **told: str) -> Response:
        fields = ", ".join(
            f'{name}="{value}"' for name, value in {**told, "resource_metadata": self._metadata_url}.items()
        )
        headers = {"WWW-Authenticate": f"Bearer {fields}", "Cache-Control": "no-store"}
        return PlainTextResponse(_WORDS[status], status_code=status, headers=headers)


_WORDS: Mapping[int, str] = {
    400: "Send one token, in the header Authorization and nowhere else.",
    401: "Sign in first: send a valid token in the header Authorization.",
    403: "The token does not allow this.",
}


def too_often(limited: RateLimited) -> Response:
    """Answer who asks too often."""
    headers = {"Retry-After": f"{limited.failure.retry_after_s:g}", "Cache-Control": "no-store"}
    return PlainTextResponse(f"{limited.failure.message} {limited.failure.fix}", status_code=429, headers=headers)


def _begins_a_session(request: Request) -> bool:
    """Whether the SDK makes a session for a request, before any handler sees it."""
    told = request.headers
    modern = told.get("mcp-protocol-version") in MODERN_PROTOCOL_VERSIONS
    return request.method == "POST" and "mcp-session-id" not in told and not modern


def _token(given: Sequence[str]) -> str | None:
    """Give the token of an Authorization header; `None` where there is none, or one of another scheme."""
    scheme, _, token = (given[0] if given else "").partition(" ")
    return token.strip() if scheme.lower() == SCHEME else None


async def _read(receive: Receive) -> tuple[Receive, bytes]:
    """Read a body, as far as one may be long; give it, and what hands it on to whoever reads it again."""
    taken: list[Message] = []
    chunks: list[bytes] = []
    size = 0
    while size <= MAX_MESSAGE_BYTES:
        message = await receive()
        taken.append(message)
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if not message.get("more_body", False):
            break
    left = iter(taken)

    async def again() -> Message:
        return next(left, None) or await receive()

    return again, b"".join(chunks)


async def _missing(body: bytes, access: AccessToken) -> str | None:
    """Give the scope that a token lacks for a message; `None` too where it cannot be read, which is told elsewhere."""
    try:
        told = json.loads(body) if len(body) < IN_A_THREAD_BYTES else await anyio.to_thread.run_sync(json.loads, body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    message = cast("dict[str, Any]", told)
    method, params = message.get("method"), message.get("params")
    if not isinstance(method, str) or method.startswith("notifications/"):
        return None
    scope = needed(method, cast("dict[str, Any]", params) if isinstance(params, dict) else None)
    return None if scope is None or scope in access.scopes else scope
