"""Ending a connection without an answer: the one thing that ASGI has no message for.

What this is: an HTTP/1.1 protocol for uvicorn that hands its transport to the application through the scope,
and the verbs that use it. What it is not: a server of its own. Above: `answers` (reset, hang, cut off),
`serve`. Below: uvicorn's h11 protocol.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from typing import Any, cast

from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

_EXTENSION = "kontext.simulator.transport"
_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class BreakableProtocol(H11Protocol):
    """uvicorn's h11 protocol, whose connections an application may break off."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        inner = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[_EXTENSION] = self.transport
            await inner(cast("Any", scope), cast("Any", receive), cast("Any", send))

        self.app = cast("Any", with_transport)

    def shutdown(self) -> None:
        """Drop the client at once: a hanging or endless answer must not keep a stopping simulator alive."""
        self.transport.abort()


async def reset(scope: Scope, receive: Receive) -> None:
    """Break the connection off with a TCP reset, and come back when it is gone; unsent bytes are lost.

    Without a socket (an in-process client) the nearest thing is done: ConnectionResetError is raised.
    """
    transport = _transport(scope)
    # A plain close would say FIN, which a client may take for an answer that ends with the connection.
    cast("socket.socket", transport.get_extra_info("socket")).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
    transport.abort()
    await client_left(receive)


async def cut(scope: Scope, receive: Receive) -> None:
    """Close the connection after the bytes already sent; otherwise as `reset`."""
    _transport(scope).close()
    await client_left(receive)


async def client_left(receive: Receive) -> None:
    """Wait until the client has gone away, for as long as that takes."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _transport(scope: Scope) -> asyncio.Transport:
    transport = scope.get("extensions", {}).get(_EXTENSION)
    if transport is None:
        raise ConnectionResetError("the simulator broke the connection off")
    return cast("asyncio.Transport", transport)
