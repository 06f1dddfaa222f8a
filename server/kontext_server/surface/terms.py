"""How long somebody may listen, and on how many streams: as long as their token says, and no more than is fair.

What this is: the terms of those who listen to one server. What it is not: what they are told (`notices`). Above:
notices. Below: the SDK's token of a request.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
import mcp_types as types
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.shared.exceptions import MCPError

from kontext_server.app import LOCAL_OWNER
from kontext_tools.clocks import Clock

MOST_STREAMS = 32
"""Of one owner who signed in: the SDK serves 1,024 of all together."""


@dataclass(slots=True, eq=False)
class _Term:
    """Until a time in seconds since 1970, or as long as they want."""

    until: float | None
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)


class Terms:
    """The terms of everybody who listens."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._terms: dict[object, _Term] = {}
        self._streams: dict[str, int] = {}

    @contextmanager
    def last(self, key: object) -> Generator[None]:
        """Let a block last no longer than the token of the request in whose context it is; then it is left quietly."""
        token = get_access_token()
        term = self._terms[key] = _Term(None if token is None else token.expires_at)
        try:
            with term.scope:
                yield
        finally:
            del self._terms[key]

    def prolong(self, key: object) -> None:
        """Note that whoever listens under a key has shown the token of the request in whose context it is."""
        term, token = self._terms.get(key), get_access_token()
        if term is not None and token is not None:
            term.until = None if token.expires_at is None else max(term.until or 0, token.expires_at)

    def end_those_over(self) -> None:
        """Leave the blocks of those whose time is over."""
        now_s = self._clock.now().timestamp()
        for term in self._terms.values():
            if term.until is not None and now_s >= term.until:
                term.scope.cancel()

    @contextmanager
    def one_stream(self, owner: str) -> Generator[None]:
        """Count an owner's stream for as long as the block lasts.

        Raises:
            MCPError: they have too many.
        """
        count = self._streams.get(owner, 0)
        if count >= MOST_STREAMS and owner != LOCAL_OWNER:
            raise MCPError(types.INVALID_REQUEST, f"At most {MOST_STREAMS} streams at once: end one of them first.")
        self._streams[owner] = count + 1
        try:
            yield
        finally:
            self._streams[owner] -= 1
            if not self._streams[owner]:
                del self._streams[owner]
