"""Every tool's call is counted, by what became of it.

What this is: the wrapper around the handler of `tools/call` that tells a meter. What it is not: what is done with the
counts (`web.metrics`). Above: server. Below: kontext_tools.meters, failures' answers.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import mcp_types as types
from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError

from kontext_tools.clocks import Clock
from kontext_tools.meters import Meter

OK, QUESTION, TASK, REFUSED, LEFT = "ok", "question", "task", "protocol_error", "client_left"
OTHER = "other"
"""A name that no tool of ours has: what a client makes up is no label."""

Context = ServerRequestContext[Any, Any]
Handler = Callable[[Context, types.CallToolRequestParams], Awaitable[HandlerResult]]


def counted(meter: Meter, clock: Clock, names: Collection[str]) -> Callable[[Handler], Handler]:
    """Wrap the handler of `tools/call`, so that a meter is told of each call of one of these tools."""

    def wrap(handler: Handler) -> Handler:
        @functools.wraps(handler)
        async def wrapped(ctx: Context, params: types.CallToolRequestParams) -> HandlerResult:
            began, outcome = clock.monotonic(), LEFT
            try:
                result = await handler(ctx, params)
                outcome = _outcome(result)
                return result
            except MCPError:
                outcome = REFUSED
                raise
            finally:
                tool = params.name if params.name in names else OTHER
                meter.called(tool, outcome, clock.monotonic() - began)

        return wrapped

    return wrap


def _outcome(result: HandlerResult) -> str:
    if isinstance(result, types.CallToolResult):
        return code_of(result) or OK
    return QUESTION if isinstance(result, types.InputRequiredResult) else TASK


def code_of(result: HandlerResult) -> str | None:
    """Give the code of the failure that a tool's answer tells; `None` where it is a good one."""
    if not isinstance(result, types.CallToolResult) or not result.is_error:
        return None
    told: Any = result.structured_content
    return str(told["error"]["code"])
