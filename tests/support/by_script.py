"""A host on loopback that answers what a test says, in order, and keeps every request: for replies no wire gives."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it came; header names are lower-case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to answer; `None` as a status closes the connection without a word."""

    status: int | None = 200
    json: Any = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def bytes(self) -> bytes:
        """The answer on the wire."""
        body = self.body if self.json is None else json.dumps(self.json).encode()
        lines = [f"HTTP/1.1 {self.status} Said", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(slots=True, kw_only=True)
class ByScript:
    """The host: `answers` are used up in order, the last one repeats; `asked` is what came."""

    base_url: str
    answers: list[Answer] = field(default_factory=list["Answer"])
    asked: list[Asked] = field(default_factory=list["Asked"])

    def say(self, *answers: Answer | Any) -> None:
        """Replace the script; what is no `Answer` is a JSON body."""
        self.answers = [answer if isinstance(answer, Answer) else Answer(json=answer) for answer in answers]

    async def _serve(self, stream: anyio.abc.ByteStream) -> None:
        async with stream:
            try:
                self.asked.append(await _read(stream))
            except (anyio.BrokenResourceError, anyio.EndOfStream, anyio.IncompleteRead):
                return
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if answer.status is not None:
                await stream.send(answer.bytes())


async def _read(stream: anyio.abc.ByteStream) -> Asked:
    coming = BufferedByteReceiveStream(stream)
    head = (await coming.receive_until(b"\r\n\r\n", 65_536)).decode()
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await coming.receive_exactly(int(headers["content-length"])) if "content-length" in headers else b""
    return Asked(method=method, target=target, headers=headers, body=body)


@asynccontextmanager
async def by_script() -> AsyncGenerator[ByScript]:
    """Give a host that listens for as long as the block lasts."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    host = ByScript(base_url=f"http://127.0.0.1:{port}")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, host._serve)  # pyright: ignore[reportPrivateUsage]
        yield host
        tasks.cancel_scope.cancel()
