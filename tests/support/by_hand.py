"""A server that is spoken to by hand, so that no client dies with it when it is killed."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from support.forked import Popen
from support.stdio_server import COMMAND, environment

INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "clientInfo": {"name": "by hand", "version": "0"},
}


class ByHand:
    """One server process in the handshake era; requests one at a time.

    Attributes:
        questions: what the server asked of its client; each was answered with `answer`.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        capabilities: Mapping[str, Any] | None = None,
        answer: Mapping[str, Any] | None = None,
    ) -> None:
        self.process = process
        self.questions: list[dict[str, Any]] = []
        self._answer = dict(answer or {})
        self._id = 0
        self.ask("initialize", {**INITIALIZE, "capabilities": dict(capabilities or {})})
        self.say({"method": "notifications/initialized"})

    def say(self, message: Mapping[str, Any]) -> None:
        """Write one message."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def hear(self) -> dict[str, Any]:
        """Read one message."""
        assert self.process.stdout is not None
        message: dict[str, Any] = json.loads(self.process.stdout.readline())
        return message

    def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and give its result; notifications in between are passed over."""
        self._id += 1
        self.say({"id": self._id, "method": method, "params": params})
        while True:
            message = self.hear()
            if "method" in message and "id" in message:
                self.questions.append(message)
                self.say({"id": message["id"], "result": self._answer})
            elif message.get("id") == self._id:
                result: dict[str, Any] = message["result"]
                return result

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool and give its structured content."""
        fields: dict[str, Any] = self.ask("tools/call", {"name": tool, "arguments": arguments})["structuredContent"]
        return fields


@contextlib.contextmanager
def by_hand(
    folder: Path,
    settings: Mapping[str, str],
    *,
    under: Sequence[str] = (),
    capabilities: Mapping[str, Any] | None = None,
    answer: Mapping[str, Any] | None = None,
) -> Generator[ByHand]:
    """Start a server and shake hands; its pipes are closed at the end, and it is killed if it still lives.

    `under` is the command that it runs under, such as strace; `answer` is given to whatever the server asks.
    """
    with Popen(
        [*under, *COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(folder, settings), bufsize=0
    ) as process:
        try:
            yield ByHand(process, capabilities, answer)
        finally:
            if process.stdin is not None and not process.stdin.closed:
                process.stdin.close()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
