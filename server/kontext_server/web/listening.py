"""A port, and uvicorn on it until a signal comes: what every server of ours over HTTP is run by.

What this is: the port taken before anything is announced, one configuration of uvicorn, and a clean end at SIGTERM and
SIGINT. What it is not: what is served there, or who may reach it. Above: http, gallery. Below: hosts, uvicorn.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from types import FrameType

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import HANDLED_SIGNALS
from uvicorn.server import Server as Uvicorn

from kontext_server.web.hosts import in_address

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
    def port(self) -> int:
        """Which one it is."""
        return int(self.listener.getsockname()[1])

    @property
    def base(self) -> str:
        """Our root, such as `http://127.0.0.1:8765`."""
        return f"http://{in_address(self.host)}:{self.port}"


@contextlib.contextmanager
def listening(host: str, port: int) -> Generator[Listening]:
    """Take a port. Who may be let to reach it is the caller's to know.

    Args:
        host: by an address or as `localhost`.
        port: 0 takes a free one.

    Raises:
        PortTaken: the port cannot be had.
    """
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


def serve_until_signal(
    served: ASGIApp, place: Listening, *, announce: Callable[[], None], ending: Callable[[], None]
) -> None:
    """Serve on a port until a signal comes.

    Args:
        served: its lifespan is entered once, around everything.
        place: where.
        announce: called once requests are served and a signal would end it well.
        ending: called at the signal, on the event loop: what waits shall answer now.
    """
    config = Config(
        served,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    _Uvicorn(config, announce=announce, ending=ending).run([place.listener])


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
