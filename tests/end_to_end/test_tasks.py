"""A server that is killed between a task and its answer, or between a yes and its job: over real pipes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kontext_server.simulator.serve import Running
from kontext_server.surface.tasks import IDENTIFIER
from support.at_simulator import charged_at, creates_at
from support.forked import Popen
from support.looking_in import DataFolder
from support.stdio_server import COMMAND, environment
from support.task_client import ENDED, MODERN
from support.waiting import until

JOB_SECONDS = 0.5
LAKE: dict[str, Any] = {"prompt": "a lake"}
YES: dict[str, Any] = {"action": "accept", "content": {"go": True}}


class Server:
    """One server process, spoken to by hand in 2026-07-28 by a client that takes tasks and shows forms."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._id = 0

    def say(self, method: str, **params: Any) -> None:
        """Write a request."""
        assert self.process.stdin is not None
        self._id += 1
        meta: dict[str, Any] = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientInfo": {"name": "by hand", "version": "0"},
            "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}, "extensions": {IDENTIFIER: {}}},
        }
        message: dict[str, Any] = {"jsonrpc": "2.0", "id": self._id, "method": method}
        self.process.stdin.write(json.dumps(message | {"params": {**params, "_meta": meta}}).encode() + b"\n")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a request; give its result."""
        self.say(method, **params)
        assert self.process.stdout is not None
        while True:
            message: dict[str, Any] = json.loads(self.process.stdout.readline())
            if message.get("id") == self._id:
                return message["result"]

    def ended(self, task_id: str) -> dict[str, Any]:
        """Give a task that has ended."""
        until(lambda: self.ask("tasks/get", taskId=task_id)["status"] in ENDED, "the task ends")
        return self.ask("tasks/get", taskId=task_id)


@contextmanager
def server_on(folder: Path, settings: Mapping[str, str]) -> Generator[Server]:
    """Start a server; it is killed at the end."""
    with Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(folder, settings), bufsize=0
    ) as process:
        try:
            yield Server(process)
        finally:
            process.kill()


def test_a_task_that_was_told_gives_its_answer_after_its_server_was_killed(tmp_path: Path, simulator: Running) -> None:
    data = DataFolder(tmp_path / "data")
    with server_on(tmp_path, simulator.settings) as server:
        told = server.ask("tools/call", name="generate_image", arguments=LAKE)
        until(lambda: data.one("SELECT state FROM sends") == "submitted", "the provider has it")
    with server_on(tmp_path, simulator.settings) as server:
        ended = server.ended(told["taskId"])
    assert (told["resultType"], ended["status"]) == ("task", "completed")
    assert ended["result"]["structuredContent"]["status"] == "completed"
    assert (charged_at(simulator), len(creates_at(simulator))) == (1, 1)


def test_a_task_that_was_told_is_there_however_soon_after_its_server_is_killed(
    tmp_path: Path, simulator: Running
) -> None:
    with server_on(tmp_path, simulator.settings) as server:
        told = server.ask("tools/call", name="generate_image", arguments=LAKE)
    with server_on(tmp_path, simulator.settings) as server:
        ended = server.ended(told["taskId"])
    # The kill may fall amid the send: then nobody knows, and the answer says so.
    assert ended["status"] == "completed"
    assert ended["result"]["structuredContent"]["status"] in ("completed", "unknown")
    assert charged_at(simulator) <= 1


@pytest.mark.parametrize("acknowledged", [True, False])
def test_a_yes_buys_one_picture_whenever_the_server_is_killed(
    tmp_path: Path, simulator: Running, acknowledged: bool
) -> None:
    settings = {**simulator.settings, "KONTEXT_CONFIRM_ABOVE": "100 credit"}
    data = DataFolder(tmp_path / "data")
    with server_on(tmp_path, settings) as server:
        told = server.ask("tools/call", name="generate_image", arguments=LAKE)
        yes = {"taskId": told["taskId"], "inputResponses": {"confirm": YES}}
        if acknowledged:
            server.ask("tasks/update", **yes)
        else:
            server.say("tasks/update", **yes)
        until(lambda: data.one("SELECT state FROM sends") == "submitted", "the provider has it")
    with server_on(tmp_path, settings) as server:
        server.ask("tasks/update", **yes)
        ended = server.ended(told["taskId"])
    assert ended["result"]["structuredContent"]["status"] == "completed"
    assert (charged_at(simulator), len(creates_at(simulator))) == (1, 1)
    assert data.one("SELECT COUNT(*) FROM jobs") == 1
