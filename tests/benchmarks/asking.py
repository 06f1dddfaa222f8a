"""A client that costs little: requests made once, sent again and again over kept connections, in a closed loop.

What this is: the load of the rows over HTTP; beside a server of the SDK's a call of it costs a tenth. What it is not: a
check of answers, but that each is a 200 with a result. Above: over_http, soak. Below: rows.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from rows import percentile

MODERN = "2026-07-28"


@dataclass(slots=True)
class Answered:
    """What came of a load: how long it took, and how long each call waited, in seconds."""

    took_s: float = 0.0
    waited_s: list[float] = field(default_factory=list[float])

    @property
    def calls_a_second(self) -> float:
        """Give the rate of the whole."""
        return len(self.waited_s) / self.took_s

    def percentile_ms(self, share: float) -> float:
        """Give the wait that so large a share of the calls did not pass."""
        return percentile(self.waited_s, share) * 1000


def request(url: str, tool: str, arguments: dict[str, Any], *, token: str | None = None) -> bytes:
    """Give a call of a tool in the revision of 2026-07-28 as it goes over the wire."""
    place = urlsplit(url)
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "benchmark", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": tool, "arguments": arguments, "_meta": meta}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    lines = [
        f"POST {place.path} HTTP/1.1",
        f"Host: {place.netloc}",
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        f"Mcp-Protocol-Version: {MODERN}",
        "Mcp-Method: tools/call",
        f"Mcp-Name: {tool}",
        *([] if token is None else [f"Authorization: Bearer {token}"]),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def load(
    requests: Sequence[tuple[str, bytes]],
    *,
    clients: int,
    lasting_s: float,
    pause_s: float = 0.0,
    meanwhile: Callable[[], None] | None = None,
) -> Answered:
    """Ask with so many clients at once, each its next call when its last is answered; each asks once at least.

    Args:
        requests: each the server's address and a request; client `i` takes the one at `i`, round and round.
        clients: connections that are kept.
        lasting_s: no call begins after that.
        pause_s: between an answer and the next call of the same client.
        meanwhile: called every second.
    """
    return asyncio.run(_load(requests, clients, lasting_s, pause_s, meanwhile or (lambda: None)))


async def _load(
    requests: Sequence[tuple[str, bytes]],
    clients: int,
    lasting_s: float,
    pause_s: float,
    meanwhile: Callable[[], None],
) -> Answered:
    answered = Answered()
    began = time.perf_counter()
    looking = asyncio.create_task(_every_second(meanwhile))
    async with asyncio.TaskGroup() as tasks:
        for i in range(clients):
            tasks.create_task(_client(*requests[i % len(requests)], answered, began + lasting_s, pause_s))
    answered.took_s = time.perf_counter() - began
    looking.cancel()
    return answered


async def _every_second(look: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(1)
        look()


async def _client(url: str, asked: bytes, answered: Answered, until: float, pause_s: float) -> None:
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        while True:
            began = time.perf_counter()
            writer.write(asked)
            head = await reader.readuntil(b"\r\n\r\n")
            body = await _body(reader, head)
            assert head.startswith(b"HTTP/1.1 200") and b'"result"' in body, (head, body[:500])
            ended = time.perf_counter()
            answered.waited_s.append(ended - began)
            if ended >= until:
                return
            if pause_s:
                await asyncio.sleep(pause_s)
    finally:
        writer.close()


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """Read a body whose length is told, or one in chunks."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return await reader.readexactly(int(line.partition(b":")[2]))
    return await reader.readuntil(b"0\r\n\r\n")
