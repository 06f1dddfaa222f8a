"""A server that is spoken to by hand, so that no client dies with it when it is killed."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from support.stdio_server import COMMAND, environment

INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "by hand", "version": "0"},
}


class ByHand:
    """One server process in the handshake era; requests one at a time."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._id = 0
        self.ask("initialize", INITIALIZE)
        self.say({"method": "notifications/initialized"})

    def say(self, message: Mapping[str, Any]) -> None:
        """Write one message."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and give its result; notifications in between are passed over."""
        assert self.process.stdout is not None
        self._id += 1
        self.say({"id": self._id, "method": method, "params": params})
        while True:
            message: dict[str, Any] = json.loads(self.process.stdout.readline())
            if message.get("id") == self._id:
                result: dict[str, Any] = message["result"]
                return result

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool and give its structured content."""
        fields: dict[str, Any] = self.ask("tools/call", {"name": tool, "arguments": arguments})["structuredContent"]
        return fields


@contextlib.contextmanager
def by_hand(folder: Path, settings: Mapping[str, str], *, under: Sequence[str] = ()) -> Generator[ByHand]:
    """Start a server and shake hands; its pipes are closed at the end, and it is killed if it still lives.

    `under` is the command that it runs under, such as strace.
    """
    with subprocess.Popen(
        [*under, *COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(folder, settings), bufsize=0
    ) as process:
        try:
            yield ByHand(process)
        finally:
            if process.stdin is not None and not process.stdin.closed:
                process.stdin.close()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
