"""What a token allows: scopes, and which one a request needs.

What this is: one table from a method and a tool to a scope, and the last gate before a handler. What it is not: who the
caller is (`asking.whose`), or the answer over HTTP to what lacks a scope (`web.bearer`), which comes before: this gate
holds whatever a body was taken for on the way here. Above: server, web. Below: the SDK's token of a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mcp_types as types
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError

READ, EDIT, CANCEL, BUDGET = "images:read", "images:edit", "jobs:cancel", "admin:budget"
SCOPES = (READ, EDIT, CANCEL, BUDGET)

_OF_TOOLS: Mapping[str, str] = {
    "edit_image": EDIT,
    "generate_image": EDIT,
    "run_plan": EDIT,
    "cancel_job": CANCEL,
}
_OF_METHODS: Mapping[str, str] = {
    "resources/list": READ,
    "resources/read": READ,
    "resources/subscribe": READ,
    "resources/unsubscribe": READ,
    "subscriptions/listen": READ,
    "completion/complete": READ,
    "notifications/initialized": READ,
    "tasks/get": READ,
    "tasks/update": EDIT,
    "tasks/cancel": CANCEL,
}
"""What is not here tells nothing that is anybody's own. A session that is initialized hears of its owner's jobs."""


def needed(method: str, params: Mapping[str, Any] | None) -> str | None:
    """Give the one scope that a request needs; `None` for what any caller who signed in may ask."""
    if method == "tools/call":
        name = (params or {}).get("name")
        return _OF_TOOLS.get(name, READ) if isinstance(name, str) else READ
    return _OF_METHODS.get(method)


async def gate(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Refuse a request whose token lacks its scope; without sign-in there is no token, and all is allowed."""
    token, scope = get_access_token(), needed(ctx.method, ctx.params)
    if token is None or scope is None or scope in token.scopes:
        return await call_next(ctx)
    if ctx.request_id is None:  # a notification: nobody waits to be told
        return None
    raise MCPError(types.INVALID_REQUEST, f"The token lacks the scope {scope}")
