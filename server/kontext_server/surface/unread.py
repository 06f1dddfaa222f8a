"""Requests that came too long or broken to be read: refused by name, never carried out.

What this is: the mark that a transport sets on a request of which it has the id and the method alone, and its refusal.
What it is not: the reading of lines (`lines`). Above: lines, server. Below: failures.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import mcp_types as types
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError

from kontext_server.surface.failures import error_result
from kontext_tools.errors import InvalidArgument, KontextError, SourceTooLarge

Handler = Callable[[ServerRequestContext[Any, Any], types.CallToolRequestParams], Awaitable[HandlerResult]]

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Of a line and of an HTTP body (CONTRACT.md section 1): a data: URI of 10 MB is 13.4 MB of base64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """Why a request could not be read; stands where a transport tells of itself (`ctx.request`)."""

    refusal: KontextError


TOO_LONG = Unread(
    refusal=SourceTooLarge(
        "The message is over 16 MiB, and only a picture makes one so long; it was not read, and nothing was sent.",
        fix="Pass the picture as an absolute path or an https address; as a data: URI it may have 10 MB.",
    )
)
UNREADABLE = Unread(
    refusal=InvalidArgument(
        "The message could not be read: half of a character, bytes that are not UTF-8, a number of thousands of "
        "digits, or lists in lists without end; nothing was sent.",
        fix="Call again with whole characters, plain numbers, and lists no deeper than the schema shows.",
    )
)


async def refuse_unread(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Refuse, as a middleware, what was not read; a tool's call goes on to its handler, for its model to be told.

    Raises:
        MCPError: of any other method: invalid params, with the refusal's sentence.
    """
    if isinstance(ctx.request, Unread) and ctx.method != "tools/call":
        raise MCPError(types.INVALID_PARAMS, ctx.request.refusal.failure.message)
    return await call_next(ctx)


def if_read(handler: Handler) -> Handler:
    """Wrap the handler of `tools/call`: a call that was not read is refused in the answer, whatever stands in it."""

    @functools.wraps(handler)
    async def wrapped(ctx: ServerRequestContext[Any, Any], params: types.CallToolRequestParams) -> HandlerResult:
        if isinstance(ctx.request, Unread):
            return error_result(ctx.request.refusal.failure)
        return await handler(ctx, params)

    return wrapped
