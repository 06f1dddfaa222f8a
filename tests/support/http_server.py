"""A real server over Streamable HTTP, and real clients of it, for end-to-end tests."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from mcp.client import Client
from mcp.client.session import ElicitationFnT
from mcp.client.streamable_http import streamable_http_client

from kontext_tools.http import trusted
from support.forked import Popen
from support.stdio_server import environment

COMMAND: tuple[str, ...] = (sys.executable, "-m", "kontext_server", "serve", "--http", "--port", "0")
PATIENCE_S = 30
MODERN = "2026-07-28"
ACCEPT = {"Accept": "application/json, text/event-stream"}


@dataclass(frozen=True, slots=True)
class Served:
    """A server that listens.

    Attributes:
        url: of its `/mcp`.
        base: its root.
        process: it.
    """

    url: str
    process: subprocess.Popen[str]

    @property
    def base(self) -> str:
        return self.url.removesuffix("/mcp")

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Send it a signal; give its exit code and what it wrote to stderr since it listened."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, said


def a_free_port() -> int:
    """Give a port of loopback that is free at this moment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def served(folder: Path, settings: Mapping[str, str] | None = None, *arguments: str) -> Generator[Served]:
    """Start a server on a free port of loopback; it is killed at the end if it still lives."""
    env = environment(folder, settings)
    process = Popen([*COMMAND, *arguments], env=env, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process:
        try:
            said: list[str] = []
            for line in process.stderr:  # before it there may be lines of the log
                said.append(line)
                if line.startswith("kontext serves http://"):
                    break
            assert said and said[-1].startswith("kontext serves http://"), "".join(said)
            yield Served(url=said[-1].removeprefix("kontext serves ").strip(), process=process)
        finally:
            if "COVERAGE_PROCESS_START" in env:  # what was measured is written at its end
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(PATIENCE_S)
            process.kill()


@asynccontextmanager
async def connected(
    server: Served, *, era: str = "legacy", person: ElicitationFnT | None = None
) -> AsyncGenerator[Client]:
    """Give a client of a server."""
    async with Client(streamable_http_client(server.url), mode=era, elicitation_callback=person) as client:
        yield client


def envelope(method: str, params: dict[str, Any] | None = None, *, number: int = 1) -> dict[str, Any]:
    """Give a request of 2026-07-28 as JSON."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    told = params or {}
    return {
        "jsonrpc": "2.0",
        "id": number,
        "method": method,
        "params": {**told, "_meta": meta | told.get("_meta", {})},
    }


def headers(body: Mapping[str, Any]) -> dict[str, str]:
    """Give the headers that a request of 2026-07-28 must have."""
    name = body["params"].get("name") or body["params"].get("uri")
    named = {"Mcp-Name": str(name)} if name else {}
    return {**ACCEPT, "Mcp-Protocol-Version": MODERN, "Mcp-Method": body["method"], **named}


def client_of(server: Served) -> httpx2.AsyncClient:
    """Give a plain HTTP client of a server."""
    # Nothing here speaks TLS, and to read whom one trusts takes 40 ms a client.
    return httpx2.AsyncClient(base_url=server.base, timeout=PATIENCE_S, verify=trusted(plain=True))
