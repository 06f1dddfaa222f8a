"""What goes over the wire, line by line, in three versions of the protocol: kept, so that a change shows in a diff."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.forked import Popen
from support.kept import is_as_kept
from support.stdio_server import COMMAND, environment

MODERN = "2026-07-28"
VERSIONS = ("2025-06-18", "2025-11-25", MODERN)
CLIENT = {"name": "transcript", "version": "1"}
_META = "io.modelcontextprotocol/"

_MASKS = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)"), "<time>"),
    (re.compile(r'(\\?"(?:seconds|bytes|size|eta_seconds)\\?": ?)[\d.]+'), r"\g<1>0"),
    (re.compile(r"\b\d+(?:\.\d+)? s\b"), "0 s"),
    (re.compile(r"\b\d+ bytes"), "0 bytes"),
    (re.compile(r"data:image/png;base64,[A-Za-z0-9+/=]+"), "data:image/png;base64,…"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<sha256>"),
)
"""What differs from run to run."""


def requests(job_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Give what is asked once the job of the first call is known."""
    return [
        ("tools/call", {"name": "get_status", "arguments": {"job_id": job_id}}),
        ("tools/call", {"name": "get_status", "arguments": {"job_id": "lake-0000"}}),
        ("tools/call", {"name": "edit_image", "arguments": {"image": f"{job_id}/1"}}),
        ("tools/call", {"name": "edit_image", "arguments": {"image": f"{job_id}/2", "prompt": "Make it night"}}),
        ("tools/call", {"name": "edit_images", "arguments": {}}),
        ("tools/call", {"name": "find_images", "arguments": {"query": "dawn"}}),
        ("tools/call", {"name": "run_plan", "arguments": {"steps": [{"id": "a", "prompt": "A lake", "image": "$b"}]}}),
        ("resources/list", {}),
        ("resources/list", {"cursor": "nonsense"}),
        ("resources/templates/list", {}),
        ("resources/read", {"uri": f"kontext://jobs/{job_id}"}),
        ("resources/read", {"uri": "kontext://jobs/lake-0000"}),
        ("prompts/list", {}),
        ("prompts/get", {"name": "edit-photo", "arguments": {"image": f"{job_id}/1", "wish": "Make it night"}}),
        ("prompts/get", {"name": "edit-photo", "arguments": {}}),
        (
            "completion/complete",
            {
                "ref": {"type": "ref/resource", "uri": "kontext://images/{job}/{n}"},
                "argument": {"name": "job", "value": "la"},
            },
        ),
        ("no/such/method", {}),
    ]


class Wire:
    """A server spoken to line by line, and what was said."""

    def __init__(self, process: subprocess.Popen[bytes], version: str) -> None:
        self._process = process
        self._version = version
        self.lines: list[str] = []

    def say(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self.lines.append(f"> {json.dumps(message, ensure_ascii=False)}")
        self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Ask, and give the answer; what the server says of its own accord is not kept."""
        assert self._process.stdout is not None
        if self._version == MODERN:
            meta = {f"{_META}protocolVersion": MODERN, f"{_META}clientInfo": CLIENT, f"{_META}clientCapabilities": {}}
            params = {**params, "_meta": meta}
        self.say({"id": 1 + len(self.lines), "method": method, "params": params})
        asked = len(self.lines)
        while True:
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
            if answer.get("id") == asked:
                told = {key: value for key, value in answer.items() if key != "jsonrpc"}
                self.lines.append(f"< {json.dumps(told, ensure_ascii=False)}")
                return answer


def spoken(folder: Path, version: str) -> list[str]:
    """Speak with a new server in one version; give the lines as they went, masked."""
    with Popen(
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(folder, {"KONTEXT_PREVIEW": "none"}),
        bufsize=0,
    ) as process:
        wire = Wire(process, version)
        if version == MODERN:
            wire.ask("server/discover", {})
        else:
            wire.ask("initialize", {"protocolVersion": version, "clientInfo": CLIENT, "capabilities": {}})
            wire.say({"method": "notifications/initialized"})
        made = {"prompt": "A lake at dawn", "label": "lake at dawn", "seed": 7, "wait_seconds": 50}
        first = wire.ask("tools/call", {"name": "generate_image", "arguments": made})
        job_id = first["result"]["structuredContent"]["job_id"]
        for method, params in requests(job_id):
            wire.ask(method, params)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=30) == 0
    return [_masked(line.replace(str(folder), "<folder>").replace(job_id, "lake-at-dawn-4k7q")) for line in wire.lines]


def _masked(line: str) -> str:
    for pattern, instead in _MASKS:
        line = pattern.sub(instead, line)
    return line


@pytest.mark.parametrize("version", VERSIONS)
def test_what_goes_over_the_wire_is_as_it_is_kept(tmp_path: Path, version: str) -> None:
    assert is_as_kept(f"transcripts/{version}.txt", "\n".join(spoken(tmp_path, version)) + "\n")
