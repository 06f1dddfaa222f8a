"""By which names we may be reached: Host and Origin, checked before anything else sees a request.

What this is: the defence against a page of another site whose name was made to point at this machine (DNS rebinding),
for every route alike; the SDK's own check guards `/mcp` alone. What it is not: sign-in. Above: http. Below: the SDK's
check.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kontext_server.setting_values import is_loopback

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


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


def reached_by(host: str, public_url: str | None, allowed: Sequence[str]) -> TransportSecuritySettings:
    """Give the check for a server that listens on a host and is reached by others under further names.

    Args:
        host: where it listens; the loopback's names count only there.
        public_url: how it is reached, where others reach it.
        allowed: further names, each with a port where it shall be that one alone.
    """
    local = loopback_only(host) if is_loopback(host) else TransportSecuritySettings()
    names = [*([urlsplit(public_url).netloc.lower()] if public_url else []), *allowed]
    hosts = [form for name in names for form in ((name,) if _PORT.search(name) else (name, f"{name}:*"))]
    origins = [f"{scheme}://{form}" for form in hosts for scheme in ("https", "http")]
    return TransportSecuritySettings(
        allowed_hosts=[*local.allowed_hosts, *hosts], allowed_origins=[*local.allowed_origins, *origins]
    )


def others_reach(host: str, public_url: str | None, allowed: Sequence[str]) -> bool:
    """Whether anybody but this machine is meant to reach a server; arguments as for `reached_by`."""
    names = [f"//{in_address(host)}", public_url or "//localhost"]
    hosts = [urlsplit(name).hostname or "" for name in (*names, *(f"//{name}" for name in allowed))]
    return not all(map(is_loopback, hosts))


_PORT = re.compile(r":[0-9]{1,5}$")
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
