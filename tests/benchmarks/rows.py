"""What a benchmark row is, and how a server process is measured.

A figure is told beside a floor of the same run: rounds are interleaved, medians taken, noise shown as min to max.
Nothing here asserts a time. Above: run, peers, talking. Below: nothing of ours.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import IO, Any

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

STARTS_WITHIN_S = 60
ENDS_WITHIN_S = 5


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
    """One start of a server: wall and CPU milliseconds to the answer to `initialize`, MB after `tools/list`, its tools.

    CPU and memory are those of the process and of what it started and that still runs; what processes share counts in
    each of them.
    """

    wall_ms: float
    cpu_ms: float
    memory_mb: float
    tools: Sequence[Mapping[str, Any]]


class NotStarted(Exception):
    """A server ended, or said nothing, before it had listed its tools; the text is what it wrote to stderr."""


def start(command: Sequence[str], environment: Mapping[str, str], *, folder: Path | None = None) -> Started:
    """Start a server over stdio, ask it to initialize and list its tools, and end it.

    Args:
        command: the program and its arguments.
        environment: all that the server sees of it.
        folder: where it runs; where this program does, if none is given.

    Raises:
        NotStarted: it gave no answer within a minute.
    """
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=dict(environment), cwd=folder
        )
        ending = threading.Timer(STARTS_WITHIN_S, _kill, [process.pid])
        ending.start()
        try:
            ask(process, INITIALIZE)
            wall_ms = (time.perf_counter() - began) * 1000
            cpu_ms = sum(cpu_ms_of(pid) for pid in tree_of(process.pid))
            say(process, INITIALIZED)
            tools = _tools(process)
            memory_mb = sum(memory_mb_of(pid) for pid in tree_of(process.pid))
        except (OSError, EOFError) as lost:
            end(process)
            errors.seek(0)
            raise NotStarted(errors.read().decode(errors="replace")) from lost
        finally:
            ending.cancel()
            end(process)
    return Started(wall_ms=wall_ms, cpu_ms=cpu_ms, memory_mb=memory_mb, tools=tools)


def answer_in(lines: IO[bytes], number: int) -> Any:
    """Give the result that answers a request; what else is said on stdout is passed over, as clients do.

    Raises:
        EOFError: there is none.
    """
    for line in lines:
        try:
            said: Any = json.loads(line)
        except ValueError:
            continue
        match said:
            case {"id": int(answered), "result": result} if answered == number:
                return result
            case _:
                continue
    raise EOFError


def _tools(process: subprocess.Popen[bytes]) -> list[Mapping[str, Any]]:
    tools: list[Mapping[str, Any]] = []
    page: dict[str, str] = {}
    for number in range(2, 100):
        answer = ask(process, {"jsonrpc": "2.0", "id": number, "method": "tools/list", "params": page})
        tools += answer["tools"]
        if not answer.get("nextCursor"):
            break
        page = {"cursor": answer["nextCursor"]}
    return tools


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server as a client does: by the end of its input; kill one that goes on."""
    assert process.stdin is not None and process.stdout is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        _kill(process.pid)
        process.wait()
    process.stdout.close()


def _kill(pid: int) -> None:
    for one in tree_of(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def say(process: subprocess.Popen[bytes], message: Mapping[str, Any]) -> None:
    """Write one message to a server's input."""
    assert process.stdin is not None
    process.stdin.write(json.dumps(message).encode() + b"\n")
    process.stdin.flush()


def ask(process: subprocess.Popen[bytes], message: Mapping[str, Any]) -> Any:
    """Send a request; give its result. Raises as `answer_in`."""
    assert process.stdout is not None
    say(process, message)
    return answer_in(process.stdout, message["id"])


def tree_of(pid: int) -> list[int]:
    """Give a process and all that it started and that still run."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(entry.name)] = int((entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    tree = [pid]
    for one in tree:
        tree += [child for child, parent in parents.items() if parent == one]
    return tree


def cpu_ms_of(pid: int) -> float:
    """Give the CPU time that a process took so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def memory_mb_of(pid: int) -> float:
    """Give what a process holds in memory."""
    return _memory_mb(pid, "VmRSS:")


def most_memory_mb_of(pid: int) -> float:
    """Give the most that a process ever held in memory."""
    return _memory_mb(pid, "VmHWM:")


def _memory_mb(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1000
    raise AssertionError(f"no {name}")


def percentile(samples: Sequence[float], share: float) -> float:
    """Give the sample that so large a share does not pass: 0.5 the one in the middle, 1 the largest."""
    return sorted(samples)[max(0, math.ceil(len(samples) * share) - 1)]
