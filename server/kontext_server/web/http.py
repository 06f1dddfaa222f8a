"""Streamable HTTP at `/mcp`, in both protocol eras, for the local user on loopback or for whoever signs in.

What this is: our server behind uvicorn: one app and one engine for the process, Host, Origin, body size and token
checked for every route. What it is not: the server (`surface.server`), how a port is listened on and its end
(`listening`), or who may sign in (`sign_in`). Above: cli. Below: listening, hosts, sign_in, bearer, routes, addresses,
metrics, visiting, surface.server, app. Nothing here is imported by a server over stdio.

`json_response` is never set: it would drop progress and questions, and the SDK chooses by itself for each request.
"""

from __future__ import annotations

import gc
import hashlib
import hmac
from collections.abc import Callable, Sequence

from mcp.server.lowlevel.server import Server
from mcp.server.transport_security import RequestBodyLimitMiddleware, TransportSecuritySettings
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import ASGIApp

from kontext_server.adapters import calling_at
from kontext_server.app import App, build
from kontext_server.setting_sources import SettingError
from kontext_server.settings import Settings
from kontext_server.settings import secret as secret_of
from kontext_server.surface.limits import Limits
from kontext_server.surface.server import KontextServer, make_server
from kontext_server.surface.unread import MAX_MESSAGE_BYTES
from kontext_server.web import key_page, metrics, sign_in, uploads, webhooks
from kontext_server.web.addresses import Addresses
from kontext_server.web.bearer import Bearer
from kontext_server.web.hosts import HostCheck, loopback_only, others_reach, reached_by
from kontext_server.web.listening import Listening, listening, serve_until_signal
from kontext_server.web.routes import routes
from kontext_server.web.sign_in import SignIn
from kontext_server.web.visiting import visiting
from kontext_server.web.visits import Visits
from kontext_tools.clocks import SystemClock
from kontext_tools.hooks import Hooks

PATH = "/mcp"
SEAL = b"kontext: sealed questions, 1"
"""What the key of questions' states is derived for."""
LIMIT = Middleware(RequestBodyLimitMiddleware, max_body_size=MAX_MESSAGE_BYTES)
"""Around each route beside `/mcp`."""


def serve(settings: Settings, *, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until a signal comes.

    Args:
        settings: already read.
        host: where to listen, by an address or as `localhost`.
        port: 0 takes a free one.
        announce: told the address once requests are served and a signal would end it well.

    Raises:
        SettingError: others would reach it, and nobody signs in or it is not told how they reach it; or sign-in is
            configured by half.
        PortTaken: the port cannot be had.
    """
    signs_in = sign_in.is_configured(settings)
    _check_reach(host, settings, signs_in=signs_in)
    secret, clock = secret_of(settings), SystemClock()
    with listening(host, port) as place:
        base = settings.kontext_public_url or place.base
        addresses = Addresses(base, secret, clock)
        counts, visits = metrics.Metrics(), Visits(base, secret, clock)
        public = settings.kontext_public_url
        app = build(
            settings,
            address_of=addresses.address,
            guests=signs_in,
            key_page=base + key_page.PATH,
            upload_place=base + uploads.PATH,
            link_of=visits.link if signs_in else None,
            hooks=None if public is None else Hooks(public, secret, calling_at(public, settings)),
            meter=counts,
        )
        limits = Limits(clock) if signs_in else None
        server = make_server(app, seal=hmac.digest(secret, SEAL, hashlib.sha256), meter=counts, limits=limits)
        run(
            server,
            app,
            addresses,
            place,
            announce=announce,
            security=reached_by(host, settings.kontext_public_url, settings.kontext_allowed_hosts),
            signing_in=None if limits is None else sign_in.made(settings, base, PATH, clock, limits),
            more=[
                metrics.route(counts, app, lambda: server.notices.listeners, LIMIT),
                *([] if limits is None else visiting(app, visits, limits)),
            ],
        )


def _check_reach(host: str, settings: Settings, *, signs_in: bool) -> None:
    """Refuse to be reached by others where nobody signs in, or under a name that is not told.

    Raises:
        SettingError: so.
    """
    if not others_reach(host, settings.kontext_public_url, settings.kontext_allowed_hosts):
        return
    if not signs_in:
        raise SettingError(
            f"--host {host!r}, KONTEXT_PUBLIC_URL or KONTEXT_ALLOWED_HOSTS lets other machines reach the server, which "
            "needs sign-in: KONTEXT_AUTH_ISSUER with KONTEXT_AUTH_JWKS_URL, or KONTEXT_TOKENS_FILE; without it, listen "
            "on 127.0.0.1 or ::1 and leave these two unset"
        )
    if settings.kontext_public_url is None:
        raise SettingError(
            "KONTEXT_PUBLIC_URL must say how others reach the server: tokens are issued for that address, and pictures "
            "are told by it"
        )


def run(
    server: KontextServer,
    app: App,
    addresses: Addresses,
    place: Listening,
    *,
    announce: Callable[[str], None],
    security: TransportSecuritySettings | None = None,
    signing_in: SignIn | None = None,
    more: Sequence[Route] = (),
) -> None:
    """Serve one server on a port until a signal comes.

    Args:
        server: of this app; its lifespan, entered once for the process, starts and stops the app.
        app: what the routes beside `/mcp` look into.
        addresses: what proves a picture's address.
        place: where.
        announce: as for `serve`.
        security: by which names it may be reached; the loopback's alone where that is not told.
        signing_in: how people sign in; without it, all is the local user's.
        more: further routes.
    """

    def end() -> None:
        # Calls that wait answer, and streams of notices end on purpose, so that nothing holds the end.
        app.studio.stop_waiting()
        server.notices.close()

    # What the imports made lives to the end: the collector need not walk it again and again.
    gc.freeze()
    gc.enable()
    served = application(server, app, addresses, security or loopback_only(place.host), signing_in, more)
    serve_until_signal(served, place, announce=lambda: announce(place.base + PATH), ending=end)


def application(
    server: Server[App],
    app: App,
    addresses: Addresses,
    security: TransportSecuritySettings,
    signing_in: SignIn | None = None,
    more: Sequence[Route] = (),
) -> ASGIApp:
    """Give the whole of what is served, as ASGI."""
    served: ASGIApp = server.streamable_http_app(
        streamable_http_path=PATH,
        max_request_body_size=MAX_MESSAGE_BYTES,
        transport_security=security,
        custom_starlette_routes=[
            *routes(app, addresses, LIMIT),
            *uploads.routes(app),
            *([] if app.callbacks is None else [webhooks.route(app.callbacks)]),
            *more,
            *([] if signing_in is None else [*signing_in.routes, *key_page.routes(app, signing_in.verifier)]),
        ],
    )
    if signing_in is not None:
        served = Bearer(
            served,
            signing_in.verifier,
            metadata_url=signing_in.metadata_url,
            open_to_all=sign_in.OPEN_TO_ALL,
            own_door=sign_in.OWN_DOOR,
            needs=sign_in.NEEDS,
            begins=signing_in.begins,
            sessions_at=PATH,
        )
    return HostCheck(served, security)
