"""How a scripted fault looks on the wire: the refusal, the reset, the hang, the body that never ends.

What this is: the answers given instead of, or made out of, the right one. What it is not: which request gets
which (`faults`, `wire`). Above: `wire`. Below: `connection`.
"""

from __future__ import annotations

import email.utils
from collections.abc import AsyncIterator, Callable, Mapping

import anyio
import anyio.lowlevel
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from kontext_server.simulator import connection
from kontext_server.simulator.faults import Fault

_PAGE = "<!doctype html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
_WORDS = {
    401: "Invalid or missing API key",
    402: "Insufficient credits",
    403: "Forbidden",
    404: "Not found",
    422: "Unprocessable input",
    429: "Rate limit exceeded",
    500: "Internal server error",
    502: "Bad gateway",
    503: "Service unavailable",
}
_EXPIRED = '<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>'
_CHUNK = bytes(65_536)


class Reset(Response):
    """No answer: the connection is reset."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - never sent
        """Break off."""
        await connection.reset(scope, receive)


class Hang(Response):
    """No answer, for as long as the client can bear it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - never sent
        """Wait until the client has left."""
        await connection.client_left(receive)


class CutOff(Response):
    """An answer that declares all of its bytes, sends half of them, and closes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send half, then close."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await connection.cut(scope, receive)


def instead(
    fault: Fault, *, refuse: Callable[[int, str], Response], words: Mapping[int, str], key: str, now: float
) -> Response:
    """The answer of a fault that replaces one.

    `refuse` makes an error in the vendor's dialect, `words` are its own for a status, `key` is the one that was
    sent, `now` is in seconds.
    """
    if fault.http_status is not None:
        return _status(fault, fault.http_status, refuse, words, now)
    match fault.fault:
        case "hang":
            return Hang()
        case "garbage":
            return HTMLResponse(_PAGE.format("Welcome to the guest network"))
        case "empty":
            return Response(media_type="application/json")
        case "no_content":
            return Response(status_code=204)
        case "error_echoes_key":
            return refuse(401, f"Invalid API key: {key}")
        case "redirect":
            return Response(status_code=fault.code or 302, headers={"location": fault.url})
        case "expired":
            return expired()
        case "wrong_type":
            return Response(_PAGE.format("Not a picture"), media_type="image/png")
        case _:
            return Reset()


def altered(fault: Fault, answer: Response) -> Response:
    """The right answer as a fault disturbs it; itself where it does not."""
    match fault.fault:
        case "slow_body":
            return StreamingResponse(_slowly(bytes(answer.body), fault.interval), answer.status_code, answer.headers)
        case "oversize":
            return StreamingResponse(_endless(bytes(answer.body)), media_type=answer.headers.get("content-type"))
        case "truncated" if fault.content_length == "right":
            return CutOff(answer.body, answer.status_code, media_type=answer.headers.get("content-type"))
        case "truncated":
            half = bytes(answer.body)[: len(answer.body) // 2]
            return Response(half, answer.status_code, media_type=answer.headers.get("content-type"))
        case _:
            return answer


def expired() -> Response:
    """What a store of files says to an address whose time is over."""
    return Response(_EXPIRED, 403, media_type="application/xml")


def _status(
    fault: Fault, status: int, refuse: Callable[[int, str], Response], own: Mapping[int, str], now: float
) -> Response:
    words = fault.text or own.get(status) or _WORDS.get(status, "Error")
    body = fault.body or ("html" if status == 502 else "json")
    if body == "html":
        answer: Response = HTMLResponse(_PAGE.format(words), status)
    elif body == "empty":
        answer = Response(status_code=status)
    else:
        answer = refuse(status, words)
    if fault.retry_after is not None:
        answer.headers["retry-after"] = fault.retry_after
    elif fault.retry_after_date is not None:
        answer.headers["retry-after"] = email.utils.formatdate(now + fault.retry_after_date, usegmt=True)
    return answer


async def _slowly(body: bytes, interval: float) -> AsyncIterator[bytes]:
    for at in range(len(body)):
        yield body[at : at + 1]
        await anyio.sleep(interval)


async def _endless(start: bytes) -> AsyncIterator[bytes]:
    yield start
    while True:
        yield _CHUNK
        # Sending to a client that has left does not wait: without this nobody else would ever run again.
        await anyio.lowlevel.checkpoint()
