"""By which names we may be reached: Host and Origin, checked before anything else sees a request.

What this is: the defence against a page of another site whose name was made to point at this machine (DNS rebinding),
for every route alike; the SDK's own check guards `/mcp` alone. What it is not: sign-in. Above: http. Below: the SDK's
check.
"""

from __future__ import annotations

import ipaddress
import re

from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


def is_loopback(host: str) -> bool:
    """Whether a host to listen on is this machine's own loopback, by an address or as `localhost`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def in_address(host: str) -> str:
    """Give a host as it stands in an address: `[::1]` for `::1`."""
    return f"[{host}]" if ":" in host else host


def loopback_only(host: str) -> TransportSecuritySettings:
    """Give the check for a server on a loopback host: the loopback's names, at any port.

    At any port, for a tunnel or a container's mapping changes it; no page of another site can have such a name.
    """
    names = dict.fromkeys((*LOOPBACK_NAMES, in_address(host)))
    hosts = [form for name in names for form in (name, f"{name}:*")]
    return TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=[f"http://{form}" for form in hosts])


_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+)(?::[0-9]{1,5})?")


def _malformed(request: Request) -> Response | None:
    """Refuse a Host or Origin whose port is none: the SDK takes whatever begins with an allowed name and a colon."""
    if not all(_HOST.fullmatch(host) for host in request.headers.getlist("host")):
        return PlainTextResponse("Invalid Host header", status_code=421)
    if not all(_HOST.fullmatch(origin.partition("://")[2] or origin) for origin in request.headers.getlist("origin")):
        return PlainTextResponse("Invalid Origin header", status_code=403)
    return None


class HostCheck:
    """Lets a request through whose Host (else 421) and Origin (else 403) are ours."""

    def __init__(self, app: ASGIApp, security: TransportSecuritySettings) -> None:
        self._app = app
        self._check = TransportSecurityMiddleware(security)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "http":
            request = Request(scope)
            refusal = _malformed(request) or await self._check.validate_request(request)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)
