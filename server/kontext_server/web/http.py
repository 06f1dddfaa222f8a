"""Streamable HTTP at `/mcp`, in both protocol eras, for the local user on loopback.

What this is: our server behind uvicorn: one app and one engine for the process, Host, Origin and body size checked for
every route, and a clean end at SIGTERM and SIGINT. What it is not: the server (`surface.server`), or sign-in, which
this version has not, so that it refuses to listen to other machines. Above: cli. Below: hosts, routes, addresses,
surface.server, app. Nothing here is imported by a server over stdio.

`json_response` is never set: it would drop progress and questions, and the SDK chooses by itself for each request.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from types import FrameType

from mcp.server.lowlevel.server import Server
from mcp.server.transport_security import RequestBodyLimitMiddleware
from starlette.middleware import Middleware
from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import HANDLED_SIGNALS
from uvicorn.server import Server as Uvicorn

from kontext_server import secret_key
from kontext_server.app import App, build
from kontext_server.settings import SettingError, Settings
from kontext_server.surface.server import KontextServer, make_server
from kontext_server.surface.unread import MAX_MESSAGE_BYTES
from kontext_server.web.addresses import Addresses
from kontext_server.web.hosts import HostCheck, in_address, is_loopback, loopback_only
from kontext_server.web.routes import routes
from kontext_tools.clocks import SystemClock

PATH = "/mcp"
GRACE_S = 2
"""So long what is under way at a signal may take to end; calls that wait answer within a second."""
HARD_STOP_S = 5.0


class PortTaken(Exception):
    """The port cannot be had; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """A port that is taken, and how we are reached there."""

    listener: socket.socket
    host: str

    @property
    def base(self) -> str:
        """Our root, such as `http://127.0.0.1:8765`."""
        return f"http://{in_address(self.host)}:{self.listener.getsockname()[1]}"


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


@contextlib.contextmanager
def listening(host: str, port: int) -> Generator[Listening]:
    """Take a port of loopback. Raises as `serve`."""
    if not is_loopback(host):
        raise SettingError(
            f"--host {host!r} would be reached from other machines, which needs sign-in (KONTEXT_AUTH_ISSUER, or "
            "KONTEXT_TOKENS_FILE), and this version has none yet: listen on 127.0.0.1 or ::1"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delay off only where the protocol is named; it would cost 40 ms a request.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(1024)
        except OSError as error:
            raise PortTaken(f"Port {port} of {host} cannot be taken ({error.strerror}).") from None
        yield Listening(listener=listener, host=host)


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

    config = Config(
        application(server, app, addresses, place.host),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    # What the imports made lives to the end: the collector need not walk it again and again.
    gc.freeze()
    _Uvicorn(config, announce=lambda: announce(place.base + PATH), ending=end).run([place.listener])


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


class _Uvicorn(Uvicorn):
    """Says that it listens only once a signal would end it well, and ends the process with 0 at one."""

    def __init__(self, config: Config, *, announce: Callable[[], None], ending: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce
        self._ending = ending
        self._loop: asyncio.AbstractEventLoop | None = None
        self._hard_stop = threading.Timer(HARD_STOP_S, os._exit, (0,))
        self._hard_stop.daemon = True

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve to the end."""
        # uvicorn raises a signal once more after its end, for whoever had its handler before: that is this one again,
        # so that a signal before, amid or after is one that ends it, and never this process's death.
        before = {number: signal.signal(number, self.handle_exit) for number in HANDLED_SIGNALS}
        try:
            super().run(sockets)
        finally:
            self._hard_stop.cancel()
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._announce()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end, at a signal."""
        if not self.should_exit:
            self._hard_stop.start()
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._ending)
        super().handle_exit(sig, frame)


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
