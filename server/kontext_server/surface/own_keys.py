"""Asking the person for a provider key of their own: by an address that they open, never by a form or an argument.

What this is: the address that is handed out, the question around it in both eras, and the wait for what they do there.
What it is not: the page (`web.key_page`), which proves who opens it, or the question about money (`asking`). Above:
asking, server. Below: app, errors.

URL-mode elicitation, of 2025-11-25 and later: a client that declares it shows the person the whole address and opens it
where no model reads along. `accept` says that they agreed to open it, not that they did anything there, so the store is
looked at until a key came, `WAIT_S` at most: a call that is open longer is given up by clients. Then the call answers
`not_configured` and names the page; the address stays good for the rest of its ten minutes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

import anyio
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from kontext_server.app import App
from kontext_tools.errors import NotConfigured
from kontext_tools.keyring import Held

PURPOSE = "key"
"""Of the tickets that open the page."""
LASTS = timedelta(minutes=10)
WAIT_S = 50.0
LOOK_S = 1.0
KEY = "key"
"""The question's key among the input requests."""

T = TypeVar("T")


class OwnKeys:
    """Asks for keys of one app's users."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def address(self, owner: str, provider: str) -> str:
        """Give an address of the page that works once, for ten minutes; it is for this owner alone and proves nothing.

        Args:
            owner: who may enter a key there.
            provider: what for; empty leaves it to them.
        """
        words = await self._app.tickets.issue(owner, PURPOSE, lasts=LASTS, about=provider)
        return f"{self._app.keyring.page}/{words}"

    async def served(
        self,
        ctx: ServerRequestContext[Any, Any],
        params: types.CallToolRequestParams,
        owner: str,
        work: Callable[[], Awaitable[T]],
    ) -> T | types.InputRequiredResult:
        """Do a call's work; where a key of the caller's own is needed, ask for it once, and do it then.

        Raises:
            NotConfigured: their client opens no addresses, they would not, or no key came in time.
        """
        before = await self._held(owner)
        try:
            return await work()
        except NotConfigured as needed:
            if needed.key_for is None or not _opens_addresses(ctx):
                raise
            modern = ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
            answer = _returned(params) if modern else await self._asked(ctx, owner, needed.key_for)
            if modern and answer is None:
                return _question(await self.address(owner, needed.key_for))
            if answer is None or answer.action != "accept" or not await self._entered(owner, before):
                raise
        return await work()

    async def _asked(self, ctx: ServerRequestContext[Any, Any], owner: str, provider: str) -> types.ElicitResult | None:
        """Ask on the session; `None` where the client cannot, or answers nothing that can be read."""
        if not ctx.session.can_send_request:
            return None
        url = await self.address(owner, provider)
        with anyio.move_on_after(LASTS.total_seconds()):
            try:
                return await ctx.session.elicit_url(WORDS, url, _id_of(url), related_request_id=ctx.request_id)
            except (MCPError, ValidationError):
                return None
        return None

    async def _entered(self, owner: str, before: list[Held]) -> bool:
        # No progress is told meanwhile: the job's own begins at nothing, and a number may not be smaller than before.
        never, since_s = anyio.Event(), 0.0
        while since_s < WAIT_S:
            if await self._held(owner) != before:
                return True
            await self._app.clock.wait(never, LOOK_S)
            since_s += LOOK_S
        return False

    async def _held(self, owner: str) -> list[Held]:
        return await self._app.keyring.held(owner) if self._app.keyring.page else []


WORDS = (
    "To use this, enter a provider key of your own on this server's page. The page asks for your access token as well, "
    "so that nobody else can enter one for you; open it only if you asked for this yourself."
)


def _opens_addresses(ctx: ServerRequestContext[Any, Any]) -> bool:
    declared = ctx.session.client_capabilities
    elicitation = None if declared is None else declared.elicitation
    return elicitation is not None and elicitation.url is not None


def _question(url: str) -> types.InputRequiredResult:
    """Give the question as the end of this round; the boundary seals the state on its way out."""
    asked = types.ElicitRequest(params=types.ElicitRequestURLParams(message=WORDS, url=url))
    return types.InputRequiredResult(input_requests={KEY: asked}, request_state=json.dumps({KEY: True}))


def _returned(params: types.CallToolRequestParams) -> types.ElicitResult | None:
    """Give the answer that came back with this call under our seal; `None` where there is none."""
    answer = (params.input_responses or {}).get(KEY)
    sealed = params.request_state is not None and params.request_state == json.dumps({KEY: True})
    return answer if sealed and isinstance(answer, types.ElicitResult) else None


def _id_of(url: str) -> str:
    """Give the question's id: of 2025-11-25, opaque, and no part of the address."""
    return hashlib.sha256(url.encode()).hexdigest()[:32]
