"""A server that people sign in to, over real HTTP; with it who issues their tokens, and the provider that is paid.

Where jobs and pictures are kept is a parameter: this machine's data folder, or a database and a bucket of many.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import anyio
import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from kontext_server.simulator.serve import Running, running
from kontext_tools.http import trusted
from support.bucket import made
from support.http_server import PATIENCE_S, Served, a_free_port, client_of, envelope, headers, served
from support.issuer import Issuer, issuing
from support.looking_in import DataFolder
from support.places import PostgresPlace
from support.postgres import Server
from support.stdio_server import ERAS

STATIC = "a-token-of-the-team"


class Kept(Protocol):
    """Where a server keeps its jobs and pictures."""

    @property
    def settings(self) -> Mapping[str, str]:
        """What a server's environment names it by."""
        ...

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Execute a statement behind the server's back; give its rows."""
        ...


@dataclass(frozen=True, slots=True)
class OneMachine:
    """The data folder of a server, below a folder of the test's own."""

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict[str, str])

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask its database, which is sound."""
        data = DataFolder(self.folder / "data")
        assert data.is_sound()
        return data.rows(sql)


class ManyMachines:
    """PostgreSQL and S3-compatible storage."""

    def __init__(self, server: Server, storage_url: str) -> None:
        self._place = PostgresPlace(server, server.new_schema())
        self.held = made(storage_url)
        self.settings: Mapping[str, str] = {**self.held.settings, "KONTEXT_DATABASE_URL": self._place.url}

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the database."""
        return self._place.rows(sql)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosted:
    """A server that people sign in to, who issues their tokens, and the provider that its operator pays."""

    server: Served
    issuer: Issuer
    simulator: Running
    folder: Path
    ahead_s: list[float]

    @property
    def metadata(self) -> str:
        """Where a client learns how to sign in."""
        return f"{self.server.base}/.well-known/oauth-protected-resource/mcp"

    @asynccontextmanager
    async def client(self, subject: str, *, era: str = ERAS[1], **more: Any) -> AsyncGenerator[Client]:
        """Give a client of somebody who signed in."""
        told = self.bearer(subject)
        with anyio.fail_after(PATIENCE_S):
            async with (
                httpx2.AsyncClient(headers=told, timeout=PATIENCE_S, verify=trusted(plain=True)) as http,
                Client(streamable_http_client(self.server.url, http_client=http), mode=era, **more) as client,
            ):
                yield client

    @contextmanager
    def slow(self, seconds: float = 60.0) -> Generator[None]:
        """Let jobs that begin in the block take so long at the provider."""
        self.simulator.state.job_seconds = seconds
        try:
            yield
        finally:
            self.simulator.state.job_seconds = 0.0

    def let_pass(self, seconds: float) -> None:
        """Let time pass at the provider."""
        self.ahead_s[0] += seconds

    def bearer(self, subject: str, **claims: Any) -> dict[str, str]:
        """Give the header of somebody who signed in."""
        return {"Authorization": f"Bearer {self.issuer.token(subject, **claims)}"}

    async def post(self, body: Mapping[str, Any], token: str | None) -> httpx2.Response:
        """Send a request of 2026-07-28 as it stands on the wire."""
        bearer = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with client_of(self.server) as http:
            return await http.post("/mcp", json=body, headers=headers(body) | bearer)


@contextmanager
def hosting(
    folder: Path, kept: Kept | None = None, more: Mapping[str, str] | None = None, *, called: bool = False
) -> Generator[Hosted]:
    """Give a hosted server for as long as the block lasts; its operator shares the provider's key.

    `called`: whether its provider is asked to call it when a job ends.
    """
    tokens = folder / "tokens"
    tokens.write_text(f"{hashlib.sha256(STATIC.encode()).hexdigest()} alice images:read,images:edit,jobs:cancel\n")
    tokens.chmod(0o600)
    ahead_s = [0.0]
    with (
        running(job_seconds=0.0, clock=lambda: time.time() + ahead_s[0]) as simulator,
        issuing() as issuer,
    ):
        where: Mapping[str, str] = {} if kept is None else kept.settings
        settings = {**simulator.settings, **issuer.settings, **where, **(more or {})}
        settings |= {"KONTEXT_SHARE_KEYS": "true", "KONTEXT_TOKENS_FILE": str(tokens)}
        port = "0"
        if called:
            port = str(a_free_port())
            settings |= {"KONTEXT_PUBLIC_URL": f"http://127.0.0.1:{port}"}
        with served(folder, settings, "--port", port) as server:
            yield Hosted(server=server, issuer=issuer, simulator=simulator, folder=folder, ahead_s=ahead_s)


def a_call(name: str, **arguments: Any) -> dict[str, Any]:
    """Give a call of a tool as JSON."""
    return envelope("tools/call", {"name": name, "arguments": arguments})
