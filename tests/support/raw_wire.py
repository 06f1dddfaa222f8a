"""A server that is spoken to in bytes, in either era, and every line that it says is held to the rules.

What this is: a real process; a thread hears it, so that neither side waits for the other. What it is not: a client
(`stdio_server`), or one that minds what it says (`by_hand`).
"""

from __future__ import annotations

import contextlib
import json
import queue
import re
import subprocess
import threading
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import mcp_types as types

from support.by_hand import INITIALIZE
from support.forked import Popen
from support.stdio_server import COMMAND, environment

ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "bytes", "version": "0"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
MARKER = "ECHO-MARKER-9d41"
"""Stands in what is sent; a refusal may not repeat it."""
_OF_THE_INSIDE = re.compile(
    r"Traceback|site-packages|\.py\b|\b[A-Z]\w+(?:Error|Exception)\b|pydantic|input_value|<class "
)


class RawWire:
    """One server process.

    Attributes:
        process: it.
        heard: every line that it said, as JSON, in order.
    """

    def __init__(self, process: subprocess.Popen[bytes], era: str) -> None:
        self.process = process
        self.heard: list[dict[str, Any]] = []
        self._era = era
        self._id = 0
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._hearing = threading.Thread(target=self._hear, daemon=True)
        self._hearing.start()
        if era == "legacy":
            self.ask("initialize", {**INITIALIZE, "capabilities": {}})
            self.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
        else:
            self.ask("server/discover", {})

    def enveloped(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Give a request's params as the era wants them."""
        return dict(params) if self._era == "legacy" else {**params, "_meta": ENVELOPE}

    def write(self, line: bytes) -> None:
        """Write one line, whatever it holds."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")

    def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Send a good request and give its answer."""
        self._id += 1
        asked = f"mine-{self._id}"
        message = {"jsonrpc": "2.0", "id": asked, "method": method, "params": self.enveloped(params)}
        self.write(json.dumps(message).encode())
        return self.answer(asked)

    def answer(self, asked: str | int) -> dict[str, Any]:
        """Wait for the answer under an id."""
        while True:
            told = self._next()
            if told is None:
                raise AssertionError(f"the server ended before it answered {asked}")
            if told.get("id") == asked:
                return told

    def sent(self, text: str, asked: str | int) -> dict[str, Any]:
        """Write a line and give the answer under its id."""
        self.write(text.encode("utf-8", "surrogatepass"))
        return self.answer(asked)

    def call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Make a good call and give its result."""
        result: dict[str, Any] = self.ask("tools/call", {"name": tool, "arguments": arguments})["result"]
        return result

    def end(self) -> int:
        """Close its input, hear it out, and give its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        while self._next() is not None:
            pass
        return self.process.wait(timeout=30)

    def peak_mb(self) -> float:
        """Give the most memory that it ever held, in MB of 10^6 bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024 / 1e6

    def _hear(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def _next(self) -> dict[str, Any] | None:
        line = self._lines.get(timeout=60)
        if not line:
            return None
        types.jsonrpc_message_adapter.validate_json(line, by_name=False)
        told: dict[str, Any] = json.loads(line)
        self.heard.append(told)
        return told


def refused(told: Mapping[str, Any]) -> bool:
    """Whether an answer is an error, of the protocol or of a tool."""
    return "error" in told or told.get("result", {}).get("isError") is True


def leaks(told: Mapping[str, Any], *more: str) -> list[str]:
    """Give what a refusal says that it may not: of what was sent, of the inside, or one of these texts as well.

    The id is the client's own, and the protocol has two things told back: a version that is not served, and the
    address of a resource that is not there.
    """
    error = dict(told.get("error", {}))
    if list(error.get("data") or {}) in (["supported", "requested"], ["uri"]):
        del error["data"]
    text = json.dumps([error, told.get("result", {})], ensure_ascii=False)
    return [found for found in (MARKER, *more) if found in text] + _OF_THE_INSIDE.findall(text)


@contextlib.contextmanager
def raw_wire(folder: Path, settings: Mapping[str, str], era: str) -> Generator[RawWire]:
    """Start a server and open the wire in an era; it is killed at the end if it still lives."""
    with (folder / "stderr.log").open("wb") as log:
        process = Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment(folder, settings),
            bufsize=0,
        )
        with process:
            try:
                yield RawWire(process, era)
            finally:
                if process.stdin is not None and not process.stdin.closed:
                    process.stdin.close()
                try:
                    process.wait(timeout=30)
                except subprocess.TimeoutExpired:
                    process.kill()
