"""Which of the protocol's extensions a request's client has declared (SEP-2133).

It is said once in the handshake era, on each request since. Above: tasks, studio_app. Below: the SDK.
"""

from __future__ import annotations

from typing import Any

from mcp.server.context import ServerRequestContext


def declares(ctx: ServerRequestContext[Any, Any], identifier: str) -> bool:
    """Whether the client takes part in an extension, such as `io.modelcontextprotocol/ui`."""
    capabilities = ctx.session.client_capabilities
    return capabilities is not None and identifier in (capabilities.extensions or {})
