"""Our own stdio main: claims the wire before imports, ends cleanly at end of input, SIGTERM and SIGINT.

What this is: the recipe of research/lowlevel-server.md section 9, measured there: the SDK's own main dies at SIGTERM
without clean-up, hangs at SIGINT until stdin closes, and leaves a line that it cannot read unanswered. What it is not:
the server (`surface.server`), or what a line holds (`lines`). Above: cli. Below: lines, surface.server.

Import this module first and call `claim` before anything else is imported: a print during an import breaks the wire.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anyio.lowlevel import EventLoopToken
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.shared.message import SessionMessage

    from kontext_server.settings import Settings

HARD_STOP_S = 2.0
"""A client that ends a server waits about two seconds and kills it then; the store copes with that as well."""
CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Wire:
    """The real stdin and stdout, kept from everything that prints."""

    read: int
    write: int


def claim() -> Wire:
    """Take file descriptors 0 and 1 for the wire; reads of stdin get nothing, prints go to stderr from now on.

    The collector rests until `serve` has imported all: an eighth of the start was its walking what never dies.
    """
    gc.disable()
    wire = Wire(os.dup(0), os.dup(1))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return wire


def serve(wire: Wire, settings: Settings, *, system: str = sys.platform) -> None:
    """Serve MCP until the input ends or a signal comes.

    Args:
        wire: from `claim`.
        settings: already read, so that a wrong one ended the program before.
        system: as `sys.platform` names it.
    """
    import anyio

    # Ctrl-C where no signal is received: on Windows, and before the first one could be.
    with contextlib.suppress(KeyboardInterrupt):
        anyio.run(_serve, wire, settings, system)
    sys.stderr.flush()


async def _serve(wire: Wire, settings: Settings, system: str) -> None:
    import anyio
    from mcp.shared.message import SessionMessage

    from kontext_server.app import build
    from kontext_server.surface.server import make_server

    read, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, written = anyio.create_memory_object_stream[SessionMessage](0)
    threading.Thread(
        target=_read_lines, args=(wire.read, read, outgoing, anyio.lowlevel.current_token()), daemon=True
    ).start()
    server = make_server(build(settings))
    # What the imports made lives to the end: the collector need not walk it again and again.
    gc.freeze()
    gc.enable()
    async with anyio.create_task_group() as tasks:
        if system != "win32":  # whose event loop receives no signals
            tasks.start_soon(_stop_at_signal, tasks.cancel_scope)
        async with anyio.create_task_group() as writing:
            writing.start_soon(_write_lines, wire.write, written)
            await server.run(incoming, outgoing, server.create_initialization_options())
        tasks.cancel_scope.cancel()


async def _stop_at_signal(scope: object) -> None:
    import signal

    import anyio

    assert isinstance(scope, anyio.CancelScope)
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            stop = threading.Timer(HARD_STOP_S, os._exit, (0,))
            stop.daemon = True
            stop.start()
            scope.cancel()
            return


def _read_lines(
    descriptor: int,
    messages: MemoryObjectSendStream[SessionMessage | Exception],
    answers: MemoryObjectSendStream[SessionMessage],
    token: EventLoopToken,
) -> None:
    """Read stdin in a thread that may be left behind: no read of a pipe can be cancelled.

    What asks for nothing but an error gets it at once, past the server.
    """
    import anyio.from_thread

    from kontext_server.lines import Lines, Refused, message_of

    lines = Lines()
    try:
        while chunk := os.read(descriptor, CHUNK_BYTES):
            for line in lines.feed(chunk):
                message = message_of(line)
                if isinstance(message, Refused):
                    anyio.from_thread.run(answers.send, message.answer, token=token)
                elif message is not None:
                    anyio.from_thread.run(messages.send, message, token=token)
        anyio.from_thread.run_sync(messages.close, token=token)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.RunFinishedError, OSError):
        return


async def _write_lines(descriptor: int, messages: MemoryObjectReceiveStream[SessionMessage]) -> None:
    """Write each message as a line, at once."""
    import anyio.to_thread

    from kontext_server.lines import line_of

    with os.fdopen(descriptor, "wb") as stdout:

        def put(line: bytes) -> None:
            stdout.write(line)
            stdout.flush()

        async with messages:
            async for message in messages:
                await anyio.to_thread.run_sync(put, line_of(message))
