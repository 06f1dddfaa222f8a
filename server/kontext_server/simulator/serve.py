"""The simulator on a loopback port: for the command line, and beside a test in a thread of its own.

What this is: uvicorn around `app`, with connections that can be broken off. What it is not: reachable from
another machine; it binds 127.0.0.1 and nothing else. Above: `kontext simulate`, tests. Below: `app`,
`connection`.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass

import click
from uvicorn.config import Config
from uvicorn.server import Server

from kontext_server.simulator.app import build, new_state, settings
from kontext_server.simulator.connection import BreakableProtocol
from kontext_server.simulator.state import State

HOST = "127.0.0.1"


class _Announcing(Server):
    """Says that it listens only once a signal would end it well: a reader of that line may send one at once."""

    def __init__(self, config: Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        self._announce()


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A simulator that listens.

    Attributes:
        base_url: its root, `http://127.0.0.1:9876`; wires and controls are below.
        port: where it listens.
        state: what it knows.
        settings: the environment that points a server at core.today's wire.
    """

    base_url: str
    port: int
    state: State
    settings: dict[str, str]

    def settings_of(self, *wires: str) -> dict[str, str]:
        """The environment that points a server at the wires of these names; at all of them without one."""
        return settings(self.base_url, *wires)


def serve(port: int, *, job_seconds: float = 2.0, output_seconds: float = 3600.0) -> None:
    """Serve on a loopback port (0: a free one) until a signal; print the settings, for `eval`.

    OSError where the port is taken. Ends with KeyboardInterrupt on SIGINT, and by SIGTERM on SIGTERM.
    """
    with _listening(port) as listener:
        running = _running(listener, new_state(job_seconds=job_seconds, output_seconds=output_seconds))

        def announce() -> None:
            click.echo(f"# The simulator listens on {running.base_url} and charges nothing. Settings to export:")
            for name, value in running.settings_of().items():
                click.echo(f"export {name}={value}")
            click.echo(f"# What it saw: {running.base_url}/_sim/counter and {running.base_url}/_sim/journal")

        server = _server(running.state, announce)
        server.run(sockets=[listener])


@contextlib.contextmanager
def running(
    port: int = 0,
    *,
    clock: Callable[[], float] = time.time,
    job_seconds: float = 2.0,
    output_seconds: float = 3600.0,
) -> Generator[Running]:
    """A simulator in a thread for as long as the context lasts, on a free port unless one is given.

    `clock` gives seconds since the epoch; jobs take `job_seconds` of it, outputs live `output_seconds` after.
    Clients that still wait when the context ends are dropped.
    """
    with _listening(port) as listener:
        facts = _running(listener, new_state(clock=clock, job_seconds=job_seconds, output_seconds=output_seconds))
        server = _server(facts.state)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="simulator", daemon=True)
        thread.start()
        try:
            # The socket listens already: whoever connects before the loop turns is served when it does.
            yield facts
        finally:
            server.should_exit = True
            thread.join()


@contextlib.contextmanager
def _listening(port: int) -> Generator[socket.socket]:
    # asyncio turns Nagle's delay off only where the protocol is named; it would cost 40 ms a request.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(1024)
        yield listener


def _running(listener: socket.socket, state: State) -> Running:
    port = int(listener.getsockname()[1])
    root = f"http://{HOST}:{port}"
    return Running(base_url=root, port=port, state=state, settings=settings(root, "core.today"))


def _server(state: State, announce: Callable[[], None] = lambda: None) -> Server:
    return _Announcing(
        Config(
            build(state),
            http=BreakableProtocol,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
        ),
        announce,
    )
