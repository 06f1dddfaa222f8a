"""People who sign in to a real server and enter provider keys of their own on its page, as a browser would."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx2
import mcp_types as types
from mcp.client import Client
from mcp.client.session import ClientRequestContext
from mcp.client.streamable_http import streamable_http_client

from kontext_server.simulator.serve import Running
from support.http_server import PATIENCE_S, Served
from support.issuer import Issuer

OPERATORS = "cdt_the-operators-own-key-0000"


def key_of(name: str, provider: str = "replicate") -> str:
    """Give a key that is somebody's alone, with a mark to look for."""
    return f"{'r8_' if provider == 'replicate' else 'k_'}MARKKEY{name}xyz{provider.replace('.', '')}9{name[:3]:0>3}"


def keys_seen(simulator: Running, wire: str) -> set[str]:
    """Give every key that came with a request to a wire."""
    told = [entry.headers for entry in simulator.state.journal.entries() if entry.path.startswith(f"/{wire}/")]
    names = ("authorization", "x-api-key", "x-key", "x-auth-token")
    return {header.rpartition(" ")[2] for headers in told for name in names if (header := headers.get(name))}


@dataclass(slots=True, kw_only=True)
class Town:
    """A server that people sign in to, and the providers' wires behind it."""

    server: Served
    issuer: Issuer
    simulator: Running
    pages: list[str] = field(default_factory=list[str])
    """All that its page for keys answered."""

    @asynccontextmanager
    async def client(self, subject: str, *, era: str, person: Any = None, **more: Any) -> AsyncGenerator[Client]:
        """Give somebody's client; with a person it opens addresses."""
        told = {"Authorization": f"Bearer {self.issuer.token(subject)}"}
        with anyio.fail_after(PATIENCE_S):
            async with (
                httpx2.AsyncClient(headers=told, timeout=PATIENCE_S) as http,
                Client(
                    streamable_http_client(self.server.url, http_client=http),
                    mode=era,
                    elicitation_callback=person,
                    **more,
                ) as client,
            ):
                yield client

    async def send(
        self, url: str, form: Mapping[str, str] | None = None, *, origin: str | None = ""
    ) -> httpx2.Response:
        """Open an address of the page, or post a form to it, from its own origin unless another is said."""
        async with httpx2.AsyncClient(base_url=self.server.base, timeout=PATIENCE_S) as http:
            if form is None:
                answer = await http.get(url)
            else:
                said = {} if origin is None else {"Origin": origin or self.server.base}
                answer = await http.post(url, data=dict(form), headers=said)
        self.pages.append(answer.text)
        return answer

    async def a_way_in(self, subject: str) -> str:
        """Give an address that takes a key of somebody's, once."""
        shown = await self.send("/keys", {"token": self.issuer.token(subject), "do": "show"})
        found = re.search(r'href="(/keys/[^"]+)"', shown.text)
        assert shown.status_code == 200 and found is not None, shown.text
        return found[1]

    async def enter(self, subject: str, provider: str, key: str, *, way: str = "", **more: Any) -> httpx2.Response:
        """Enter somebody's key, by an address that was given or by one of their own asking."""
        form = {"token": self.issuer.token(subject), "provider": provider, "key": key}
        return await self.send(way or await self.a_way_in(subject), form, **more)

    async def remove(self, subject: str, provider: str) -> httpx2.Response:
        """Remove somebody's key."""
        form = {"token": self.issuer.token(subject), "provider": provider, "do": "remove"}
        return await self.send("/keys", form)

    def person(self, subject: str, provider: str, key: str, *, action: Any = "accept", asked: list[str]) -> Any:
        """Give somebody who is asked by their client: opens the address and enters a key, or will not."""

        async def opens(_: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
            assert isinstance(params, types.ElicitRequestURLParams)
            asked.append(params.url)
            if action == "accept":
                page = await self.send(params.url)
                assert page.status_code == 200 and f"<option selected>{provider}</option>" in page.text
                kept = await self.enter(subject, provider, key, way=params.url)
                assert kept.status_code == 200, kept.text
            return types.ElicitResult(action=action)

        return opens
