"""A host on loopback in a thread: a canary that nobody may call, or a provider that answers what a test says.

What this is: every request kept, whoever sent it, whatever happens to the event loop of the test. What it is not:
trusted; a server under test trusts it only where its address stands in a provider's `..._BASE_URL`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One request. Header names are lower-case; `path` is as it stood on the wire, with its query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One answer: a JSON value, or bytes as they are."""

    status: int = 200
    json: Any = None
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def content(self) -> bytes:
        """Give the body."""
        return json.dumps(self.json).encode() if self.body is None else self.body


Answer = Callable[[Hit], Told]


@dataclass(slots=True, kw_only=True)
class Canary:
    """Where it is, what it answers, and who came, in order."""

    base_url: str
    answer: Answer
    hits: list[Hit] = field(default_factory=list[Hit])

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.base_url.rpartition(":")[2])


def _quiet(_: Hit) -> Told:
    return Told(status=404, json={})


@contextmanager
def canary(answer: Answer = _quiet) -> Generator[Canary]:
    """Give a host that listens for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        """Keeps what comes and says what the test says."""

        def do_any(self) -> None:
            """Answer one request, of whatever method."""
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            hit = Hit(method=self.command, path=self.path, headers=headers, body=body)
            host.hits.append(hit)
            told = host.answer(hit)
            content = told.content()
            self.send_response(told.status)
            for name, value in {"content-length": str(len(content)), **told.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = do_CONNECT = do_any  # noqa: N815  # the library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    host = Canary(base_url=f"http://127.0.0.1:{server.server_port}", answer=answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="canary", daemon=True)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
