"""A host on loopback that says what a test tells it to, for replies that no simulator of a vendor's gives."""

from __future__ import annotations

import json as jsonlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.abc import SocketAttribute, SocketStream


@dataclass(frozen=True, slots=True, kw_only=True)
class Says:
    """One answer: a JSON value, or bytes as they are. `after` holds it back until the test lets it go.

    With no status the connection ends without a word.
    """

    status: int | None = 200
    json: Any = None
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    after: anyio.Event | None = None

    def encoded(self) -> bytes:
        """Give it as HTTP/1.1 has it; the connection ends with it."""
        body = jsonlib.dumps(self.json).encode() if self.body is None else self.body
        lines = [f"HTTP/1.1 {self.status} Scripted", f"content-length: {len(body)}", "connection: close"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One request, whole. `path` has its query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body as JSON."""
        return jsonlib.loads(self.body)


@dataclass(slots=True)
class Host:
    """Where it is, and what it was asked, in order."""

    base_url: str
    says: list[Says]
    heard: list[Heard] = field(default_factory=list[Heard])
    asked: anyio.Event = field(default_factory=anyio.Event)

    def say(self, *answers: Says | Any) -> None:
        """Replace what it has yet to say; what is no `Says` is a JSON body."""
        self.says = [answer if isinstance(answer, Says) else Says(json=answer) for answer in answers]


@asynccontextmanager
async def scripted(*says: Says) -> AsyncGenerator[Host]:
    """Give a host that answers in this order, or as it is told to later; the last answer repeats for ever."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    host = Host(f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}", list(says))

    async def serve(stream: SocketStream) -> None:
        async with stream:
            try:
                host.heard.append(await _heard(stream))
                host.asked.set()
                answer = host.says.pop(0) if len(host.says) > 1 else host.says[0]
                if answer.after is not None:
                    await answer.after.wait()
                if answer.status is not None:
                    await stream.send(answer.encoded())
            except (anyio.BrokenResourceError, anyio.EndOfStream):
                return

    failed: Exception | None = None
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        try:
            yield host
        except Exception as error:  # noqa: BLE001  # raised below as it is: a task group would wrap it
            failed = error
        tasks.cancel_scope.cancel()
    if failed is not None:
        raise failed


async def _heard(stream: SocketStream) -> Heard:
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive()
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += await stream.receive()
    return Heard(method=method, path=path, headers=headers, body=body)
