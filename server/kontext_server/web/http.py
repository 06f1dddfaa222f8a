"""Streamable HTTP at `/mcp`, in both protocol eras, for the local user on loopback or for whoever signs in.

What this is: our server behind uvicorn: one app and one engine for the process, Host, Origin, body size and token
checked for every route. What it is not: the server (`surface.server`), how a port is listened on and its end
(`listening`), or who may sign in (`sign_in`). Above: cli. Below: listening, hosts, sign_in, bearer, routes, addresses,
surface.server, app. Nothing here is imported by a server over stdio.

`json_response` is never set: it would drop progress and questions, and the SDK chooses by itself for each request.
"""

from __future__ import annotations

import gc
import hashlib
import hmac
from collections.abc import Callable

from mcp.server.lowlevel.server import Server
from mcp.server.transport_security import RequestBodyLimitMiddleware, TransportSecuritySettings
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from kontext_server import secret_key
from kontext_server.adapters import calling_at
from kontext_server.app import App, build
from kontext_server.setting_sources import SettingError
from kontext_server.settings import Settings
from kontext_server.surface.server import KontextServer, make_server
from kontext_server.surface.unread import MAX_MESSAGE_BYTES
from kontext_server.web import sign_in, webhooks
from kontext_server.web.addresses import Addresses
from kontext_server.web.bearer import Bearer
from kontext_server.web.hosts import HostCheck, loopback_only, others_reach, reached_by
from kontext_server.web.listening import Listening, listening, serve_until_signal
from kontext_server.web.routes import routes
from kontext_server.web.sign_in import SignIn
from kontext_tools.clocks import SystemClock
from kontext_tools.hooks import Hooks

PATH = "/mcp"
SEAL = b"kontext: sealed questions, 1"
"""What the key of questions' states is derived for."""


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
    secret, clock = _secret(settings), SystemClock()
    with listening(host, port) as place:
        base = settings.kontext_public_url or place.base
        addresses = Addresses(base, secret, clock)
        app = build(
            settings,
            address_of=addresses.address,
            guests=signs_in,
            hooks=None if (public := settings.kontext_public_url) is None else _hooks(public, secret, settings),
        )
        run(
            make_server(app, seal=hmac.digest(secret, SEAL, hashlib.sha256)),
            app,
            addresses,
            place,
            announce=announce,
            security=reached_by(host, settings.kontext_public_url, settings.kontext_allowed_hosts),
            signing_in=sign_in.made(settings, base, PATH, clock) if signs_in else None,
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
    """

    def end() -> None:
        # Calls that wait answer, and streams of notices end on purpose, so that nothing holds the end.
        app.studio.stop_waiting()
        server.notices.close()

    # What the imports made lives to the end: the collector need not walk it again and again.
    gc.freeze()
    gc.enable()
    served = application(server, app, addresses, security or loopback_only(place.host), signing_in)
    serve_until_signal(served, place, announce=lambda: announce(place.base + PATH), ending=end)


def application(
    server: Server[App],
    app: App,
    addresses: Addresses,
    security: TransportSecuritySettings,
    signing_in: SignIn | None = None,
) -> ASGIApp:
    """Give the whole of what is served, as ASGI."""
    limit = Middleware(RequestBodyLimitMiddleware, max_body_size=MAX_MESSAGE_BYTES)
    served: ASGIApp = server.streamable_http_app(
        streamable_http_path=PATH,
        max_request_body_size=MAX_MESSAGE_BYTES,
        transport_security=security,
        custom_starlette_routes=[
            *routes(app, addresses, limit),
            *([] if app.hearing is None else [webhooks.route(app.hearing)]),
            *([] if signing_in is None else signing_in.routes),
        ],
    )
    if signing_in is not None:
        served = Bearer(
            served,
            signing_in.verifier,
            metadata_url=signing_in.metadata_url,
            open_to_all=sign_in.OPEN_TO_ALL,
        )
    return HostCheck(served, security)


def _hooks(public_url: str, secret: bytes, settings: Settings) -> Hooks:
    """Give where hosts are asked to call: no server over stdio is called, so none of them asks."""
    return Hooks(public_url, secret, calling_at(public_url, settings))


def _secret(settings: Settings) -> bytes:
    """Give the secret key, set or kept in the data folder."""
    if settings.kontext_secret_key is not None:
        secret = secret_key.decoded(settings.kontext_secret_key.get_secret_value())
        assert secret is not None, "settings let no other through"
        return secret
    try:
        secret = secret_key.kept_in(settings.kontext_data_dir)
    except OSError as error:
        raise SettingError(f"KONTEXT_DATA_DIR: its {secret_key.FILE} cannot be read ({error.strerror})") from None
    if secret is None:
        raise SettingError(
            f"KONTEXT_SECRET_KEY: {secret_key.FILE} in the data folder holds no key; remove that file, or set the key"
        )
    return secret
