"""The journal: every request that reached the simulator, in order, as a ledger for tests and for curious
people.

What this is: the entries, kept within a bound, and the ASGI layer that writes them before anything is
answered. What it is not: the counter of charges (`state`). The control routes under `/_sim` are left out, or
reading the journal would lengthen it. Above: `app`, `state`. Below: nothing.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 64_000_000
"""Bytes of a request's body; beyond, 413 whatever the wire."""


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request: as it came, and the status that was answered.

    Attributes:
        method: upper case.
        path: as sent, still encoded, without the query.
        query: as sent.
        headers: by lower-case name; a repeated one's values are joined by a comma and a space.
        sha256: of the body's bytes, hex.
        size: of the body, in bytes.
        time: when it had arrived in full, in seconds of the simulator's clock.
        json: the parsed body, where it is JSON.
        status: the HTTP status answered; `None` while open, and for ever where nothing was answered.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    sha256: str
    size: int
    time: float
    json: Any = None
    status: int | None = None


class Journal:
    """The newest entries, within a number and a total size. May be read from any thread."""

    def __init__(self, *, most_entries: int, most_bytes: int) -> None:
        """Keep at most `most_entries` entries whose bodies have at most `most_bytes` bytes together."""
        self.dropped = 0
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self._bytes = 0
        self._entries: deque[Entry] = deque()
        self._lock = threading.Lock()

    def add(self, entry: Entry) -> None:
        """Append an entry; the oldest ones make room and are counted in `dropped`."""
        with self._lock:
            self._entries.append(entry)
            self._bytes += entry.size
            while len(self._entries) > self._most_entries or (
                self._bytes > self._most_bytes and len(self._entries) > 1
            ):
                self._bytes -= self._entries.popleft().size
                self.dropped += 1

    def entries(self) -> list[Entry]:
        """Those kept, oldest first."""
        with self._lock:
            return list(self._entries)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._bytes = self.dropped = 0


class Recorder:
    """The ASGI layer that reads a request whole, writes it down, and passes it on."""

    def __init__(self, app: ASGIApp, journal: Journal, clock: Callable[[], float], *, silent: str) -> None:
        """Record what goes to `app`, but for paths below `silent`; `clock` gives seconds."""
        self._app = app
        self._journal = journal
        self._clock = clock
        self._silent = silent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read, write down, pass on."""
        if scope["type"] != "http" or scope["path"].startswith(self._silent):
            await self._app(scope, receive, send)
            return
        body, whole = await _read(receive)
        entry = _entry(scope, body, self._clock())
        self._journal.add(entry)

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.status = message["status"]
            await send(message)

        if not whole:
            await PlainTextResponse("Request Entity Too Large", 413)(scope, receive, noting)
            return
        await self._app(scope, _replay(body, receive), noting)


async def _read(receive: Receive) -> tuple[bytes, bool]:
    """The body as far as MAX_BODY, and whether that was all of it."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            return b"".join(parts), False
        if not message.get("more_body", False):
            return b"".join(parts), True


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body once more, then whatever comes (that the client has left)."""
    waiting = [body]

    async def again() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return again


def _entry(scope: Scope, body: bytes, now: float) -> Entry:
    headers: dict[str, str] = {}
    for name, value in Headers(scope=scope).items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Entry(
        method=scope["method"],
        path=scope.get("raw_path", scope["path"].encode()).partition(b"?")[0].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        sha256=hashlib.sha256(body).hexdigest(),
        size=len(body),
        time=now,
        json=_parsed(headers.get("content-type", ""), body),
    )


def _parsed(content_type: str, body: bytes) -> Any:
    if content_type.partition(";")[0].strip().lower() != "application/json":
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None
