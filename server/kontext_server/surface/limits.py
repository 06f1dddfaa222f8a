"""How often one owner may ask: so that nobody who floods takes from others, and nobody finds ids by guessing.

What this is: three buckets for each owner, in this process, and the gates that take from them before a handler is
reached. What it is not: money (`kontext_tools.budget`), or a provider's own limits (`kontext_tools.pacing`). Above:
server, web. Below: scopes, asking, failures, counting, kontext_tools.buckets.

They hold only where people sign in: whoever is alone on a machine floods nobody. Refused is `rate_limited` with the
seconds after which the same call passes; nothing was read and nothing sent. A refusal costs as much as an answer, so it
is not hurried: however many calls of one owner are refused at once, ten a second are told so.
"""

from __future__ import annotations

import functools
import math
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import mcp_types as types
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError

from kontext_server.surface.asking import whose
from kontext_server.surface.counting import code_of
from kontext_server.surface.failures import error_result
from kontext_server.surface.scopes import EDIT, needed
from kontext_tools.buckets import Bucket, Rate
from kontext_tools.clocks import Clock
from kontext_tools.errors import NotFound, RateLimited, UnknownRef

READ = Rate(burst=600, per_s=60)
"""All that is asked: an agent asks a few times a second, the studio's page for fifty thumbnails at once; so many a
second are a tenth of what one process answers."""
SPEND = Rate(burst=60, per_s=1)
"""Calls that may cost money: more than a person can look at, and fewer than a day's cap needs to be reached."""
MISS = Rate(burst=30, per_s=0.5)
"""Look-ups that found nothing: a model mistypes now and then; ten thousand guesses take more than five hours."""
BEGIN = Rate(burst=60, per_s=0.2)
"""Sessions of the handshake era: the SDK keeps 10,000 for half an hour, and one owner cannot begin a twentieth."""
MOST_OWNERS = 10_000
"""Owners who are remembered; who is forgotten, for others came since, has full buckets again."""

HELD_S = 0.1
LONGEST_HELD_S = 5.0
"""A refusal waits `HELD_S` for each of its owner's that wait, itself among them, and no longer than this."""

NOTHING_THERE = frozenset({NotFound.code, UnknownRef.code})
LEGACY_NOT_FOUND = -32002

Context = ServerRequestContext[Any, Any]
Handler = Callable[[Context, types.CallToolRequestParams], Awaitable[HandlerResult]]


class Limits:
    """The buckets of every owner of one process."""

    def __init__(self, clock: Clock, *, most_owners: int = MOST_OWNERS) -> None:
        self._clock = clock
        self._most_owners = most_owners
        self._owners: OrderedDict[str, dict[Rate, Bucket]] = OrderedDict()
        self._held = Counter[str]()

    def take(self, owner: str, rate: Rate) -> None:
        """Count one asking of an owner.

        Raises:
            RateLimited: they asked too often, or for too much that is not there; it is not counted.
        """
        guessed_s = self._bucket(owner, MISS).wait_s(self._clock.monotonic())
        if guessed_s:
            raise _refused("This asked for too much that does not exist", guessed_s)
        wait_s = self._bucket(owner, rate).take(self._clock.monotonic())
        if wait_s:
            raise _refused("This server is asked too often", wait_s)

    def missed(self, owner: str) -> None:
        """Count what an owner asked for and is not there."""
        bucket = self._bucket(owner, MISS)
        bucket.wait_s(self._clock.monotonic())
        bucket.left -= 1

    def calls(self, handler: Handler) -> Handler:
        """Wrap the handler of `tools/call`."""

        @functools.wraps(handler)
        async def limited(ctx: Context, params: types.CallToolRequestParams) -> HandlerResult:
            owner = whose()
            try:
                self.take(owner, _rate_of(ctx.method, {"name": params.name}))
            except RateLimited as limited:
                await self._hold(owner)
                return error_result(limited.failure)
            result = await handler(ctx, params)
            if code_of(result) in NOTHING_THERE:
                self.missed(owner)
            return result

        return limited

    async def gate(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Hold all other requests, as a part of the server's middleware."""
        if ctx.request_id is None or ctx.method == "tools/call":
            return await call_next(ctx)
        owner = whose()
        try:
            self.take(owner, _rate_of(ctx.method, ctx.params))
        except RateLimited as limited:
            await self._hold(owner)
            told = limited.failure
            data = {"code": told.code, "retry_after_s": told.retry_after_s}
            raise MCPError(types.INVALID_REQUEST, f"{told.message} {told.fix}", data) from None
        try:
            return await call_next(ctx)
        except MCPError as error:
            if error.error.code in (types.INVALID_PARAMS, LEGACY_NOT_FOUND):
                self.missed(owner)
            raise

    async def _hold(self, owner: str) -> None:
        self._held[owner] += 1
        try:
            await self._clock.wait(anyio.Event(), min(LONGEST_HELD_S, HELD_S * self._held[owner]))
        finally:
            self._held[owner] -= 1
            if not self._held[owner]:
                del self._held[owner]

    def _bucket(self, owner: str, rate: Rate) -> Bucket:
        buckets = self._owners.setdefault(owner, {})
        self._owners.move_to_end(owner)
        if len(self._owners) > self._most_owners:
            self._owners.popitem(last=False)
        return buckets.setdefault(rate, Bucket.full(rate, self._clock.monotonic()))


def _rate_of(method: str, params: Any) -> Rate:
    return SPEND if needed(method, params) == EDIT else READ


def _refused(why: str, wait_s: float) -> RateLimited:
    after_s = math.ceil(wait_s)
    return RateLimited(
        f"{why}; nothing was read and nothing sent.",
        fix=f"Wait {after_s} s, then make the same call again.",
        retry_after_s=after_s,
    )
