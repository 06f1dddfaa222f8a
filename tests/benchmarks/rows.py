"""What a benchmark row is, and how a server process is measured.

A figure is told beside a floor of the same run: rounds are interleaved, medians taken, noise shown as min to max.
Nothing here asserts a time. Above: run. Below: nothing of ours.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "benchmark", "version": "0"},
    },
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
LIST_TOOLS = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: samples of ours and of the floor, in one unit."""

    name: str
    unit: str
    ours: Sequence[float]
    floor: Sequence[float]
    target: str

    def cells(self) -> list[str]:
        """Give the line's cells; a figure that has no floor says so."""
        ours = median(self.ours)
        if not self.floor:
            between = f" ({min(self.ours):.2f}-{max(self.ours):.2f})" if len(self.ours) > 1 else ""
            return [self.name, f"{ours:.2f} {self.unit}{between}", "-", "-", "-", self.target]
        floor = median(self.floor)
        return [
            self.name,
            f"{_told(ours)} {self.unit} ({_told(min(self.ours))}-{_told(max(self.ours))})",
            f"{_told(floor)} {self.unit} ({_told(min(self.floor))}-{_told(max(self.floor))})",
            f"{ours / floor:.2f}",
            f"{'+' if ours >= floor else '-'}{_told(abs(ours - floor))} {self.unit}",
            self.target,
        ]


def _told(figure: float) -> str:
    return f"{figure:.2f}" if figure < 10 else f"{figure:.1f}"


def wall_ms(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Run a command to its end; give the milliseconds."""
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, env=dict(environment), check=True)
    return (time.perf_counter() - began) * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """One start of a server: wall and CPU milliseconds to the answer to `initialize`, MB after `tools/list`."""

    wall_ms: float
    cpu_ms: float
    memory_mb: float


def start(command: Sequence[str], environment: Mapping[str, str]) -> Started:
    """Start a server over stdio, ask it to initialize and list its tools, and end it."""
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dict(environment)
    ) as process:
        _ask(process, INITIALIZE)
        wall_ms = (time.perf_counter() - began) * 1000
        cpu_ms = cpu_ms_of(process.pid)
        _say(process, INITIALIZED)
        _ask(process, LIST_TOOLS)
        memory_mb = memory_mb_of(process.pid)
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
    return Started(wall_ms=wall_ms, cpu_ms=cpu_ms, memory_mb=memory_mb)


def _say(process: subprocess.Popen[bytes], message: Mapping[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(message).encode() + b"\n")
    process.stdin.flush()


def _ask(process: subprocess.Popen[bytes], message: Mapping[str, Any]) -> Any:
    assert process.stdout is not None
    _say(process, message)
    while True:
        answer = json.loads(process.stdout.readline())
        if answer.get("id") == message["id"]:
            return answer


def cpu_ms_of(pid: int) -> float:
    """Give the CPU time that a process took so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def memory_mb_of(pid: int) -> float:
    """Give what a process holds in memory."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    raise AssertionError("no VmRSS")
