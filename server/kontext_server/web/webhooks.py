"""Where hosts call when a job changes: an address for each send, open to whoever knows it, and believed in nothing.

What this is: one route, and what it answers: 401 to what is not proven, 429 and 413 to what is too much, 503 where the
host shall call again, else 204. What it is not: the proof or what follows from it (`kontext_tools.callbacks`), the Host
check (`http`); nobody signs in here, for a host has no token of ours. Above: http. Below: callbacks.
"""

from __future__ import annotations

import logging

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from kontext_tools.callbacks import Callbacks
from kontext_tools.errors import KontextError
from kontext_tools.hooks import PATH
from kontext_tools.providers.base import FetchFailed

BEGINNING = f"{PATH}/"
AGAIN_S = 10
DRAINED_BYTES = 1_000_000

log = logging.getLogger(__name__)


def route(callbacks: Callbacks) -> Route:
    """Give the route."""

    async def called(request: Request) -> Response:
        told = request.path_params
        place = callbacks.place(told["provider"], told["job"], told["n"], told["proof"])
        if place is None:
            return _unproven()
        if not callbacks.lets(place):
            return _not_now(429, "Too many calls.")
        body = await _body(request, callbacks.most_bytes(place))
        if body is None:
            return PlainTextResponse("The call is too long.", status_code=413, headers={"Connection": "close"})
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            return Response(status_code=204) if await callbacks.take(place, headers, body) else _unproven()
        except FetchFailed as failed:
            code = failed.failure.code
        except KontextError as error:
            code = error.failure.code
        log.warning("a call of %s led to nothing: %s", place.provider, code)
        return _not_now(503, "Not now.")

    return Route(f"{PATH}/{{provider}}/{{job}}/{{n}}/{{proof}}", called, methods=["POST"])


async def _body(request: Request, most_bytes: int) -> bytes | None:
    """Read a body; `None` where it is longer than that, or its sender left.

    A little more than what is kept is read, for a sender that is answered amid its body may never see the answer.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size <= most_bytes:
                chunks.append(chunk)
            elif size > most_bytes + DRAINED_BYTES:
                return None
    except ClientDisconnect:
        return None
    return b"".join(chunks) if size <= most_bytes else None


def _unproven() -> Response:
    """Answer an address that is none of ours and a call that no host of ours made, all alike."""
    return PlainTextResponse("This call is not proven.", status_code=401)


def _not_now(status: int, said: str) -> Response:
    return PlainTextResponse(said, status_code=status, headers={"Retry-After": str(AGAIN_S)})
