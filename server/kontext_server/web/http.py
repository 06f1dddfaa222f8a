"""Streamable HTTP at `/mcp`, in both protocol eras, for the local user on loopback.

What this is: our server behind uvicorn: one app and one engine for the process, Host, Origin and body size checked for
every route. What it is not: the server (`surface.server`), how a port is listened on and its end (`listening`), or
sign-in, which this version has not, so that it refuses to listen to other machines. Above: cli. Below: listening,
hosts, routes, addresses, surface.server, app. Nothing here is imported by a server over stdio.

`json_response` is never set: it would drop progress and questions, and the SDK chooses by itself for each request.
"""

from __future__ import annotations

import gc
from collections.abc import Callable

from mcp.server.lowlevel.server import Server
from mcp.server.transport_security import RequestBodyLimitMiddleware
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from kontext_server import secret_key
from kontext_server.app import App, build
from kontext_server.setting_sources import SettingError
from kontext_server.settings import Settings
from kontext_server.surface.server import KontextServer, make_server
from kontext_server.surface.unread import MAX_MESSAGE_BYTES
from kontext_server.web.addresses import Addresses
from kontext_server.web.hosts import HostCheck, loopback_only
from kontext_server.web.listening import Listening, listening, serve_until_signal
from kontext_server.web.routes import routes
from kontext_tools.clocks import SystemClock

PATH = "/mcp"


def serve(settings: Settings, *, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until a signal comes.

    Args:
        settings: already read, so that a wrong one ended the program before.
        host: loopback, by an address or as `localhost`.
        port: 0 takes a free one.
        announce: told the address once requests are served and a signal would end it well.

    Raises:
        SettingError: another host than loopback.
        PortTaken: the port cannot be had.
    """
    with listening(host, port) as place:
        addresses = Addresses(place.base, _secret(settings), SystemClock())
        app = build(settings, address_of=addresses.address)
        run(make_server(app), app, addresses, place, announce=announce)


def run(
    server: KontextServer, app: App, addresses: Addresses, place: Listening, *, announce: Callable[[str], None]
) -> None:
    """Serve one server on a port until a signal comes.

    Args:
        server: of this app; its lifespan, entered once for the process, starts and stops the app.
        app: what the routes beside `/mcp` look into.
        addresses: what proves a picture's address.
        place: where.
        announce: as for `serve`.
    """

    def end() -> None:
        # Calls that wait answer, and streams of notices end on purpose, so that nothing holds the end.
        app.studio.stop_waiting()
        server.notices.close()

    # What the imports made lives to the end: the collector need not walk it again and again.
    gc.freeze()
    gc.enable()
    served = application(server, app, addresses, place.host)
    serve_until_signal(served, place, announce=lambda: announce(place.base + PATH), ending=end)


def application(server: Server[App], app: App, addresses: Addresses, host: str) -> ASGIApp:
    """Give the whole of what is served, as ASGI."""
    security = loopback_only(host)
    limit = Middleware(RequestBodyLimitMiddleware, max_body_size=MAX_MESSAGE_BYTES)
    served = server.streamable_http_app(
        streamable_http_path=PATH,
        max_request_body_size=MAX_MESSAGE_BYTES,
        transport_security=security,
        custom_starlette_routes=routes(app, addresses, limit),
    )
    return HostCheck(served, security)


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
