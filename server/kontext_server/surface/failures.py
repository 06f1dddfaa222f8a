"""Our errors become what a model reads: the only place that knows both.

What this is: one failure as text and structured content, and the wrapper that every handler passes at registration.
What it is not: the errors themselves (`kontext_tools.errors`) or their words (`wording`). Above: tools, resources,
server. Below: wording, errors.

An uncaught exception would go to a client of the handshake era with its text, and a pydantic error anywhere inside a
handler would read "invalid params" (measured, DESIGN.md section 5): hence the wrapper.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

import mcp_types as types
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from kontext_server.surface.wording import told
from kontext_tools.errors import Failure, KontextError

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)
BROKE = "The server failed; the person finds the cause in its log."


def error_result(failure: Failure, fields: dict[str, Any] | None = None) -> types.CallToolResult:
    """Give a tool's failed answer, beside the job's fields where there is a job."""
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=told(failure))],
        structured_content={**(fields or {}), "error": failure.to_dict()},
        is_error=True,
    )


def guarded(handler: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Wrap a handler at registration: nothing but a protocol error of our own words leaves it."""

    @functools.wraps(handler)
    async def guard(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await handler(*args, **kwargs)
        except MCPError:
            raise
        except KontextError as error:
            raise MCPError(types.INVALID_PARAMS, told(error.failure).partition("\n")[0]) from None
        except Exception:
            log.exception("a handler broke")
            raise MCPError(types.INTERNAL_ERROR, BROKE) from None

    return guard


async def contain(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Let nothing out, as the outermost middleware, that a handler's guard does not see: the SDK's own failures.

    The handshake era is told the text of an uncaught exception, and both eras the name of a method that there is not,
    however long.
    """
    try:
        return await call_next(ctx)
    except MCPError as error:
        if ctx.request_id is None:  # a notification of a request's name: nobody waits to be told
            return None
        if error.error.code == types.METHOD_NOT_FOUND:
            raise MCPError(types.METHOD_NOT_FOUND, "Method not found") from None
        raise
    except ValidationError:
        raise
    except Exception:
        log.exception("a request broke outside of its handler")
        raise MCPError(types.INTERNAL_ERROR, BROKE) from None
