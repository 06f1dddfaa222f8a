"""One command, one table: `python tests/benchmarks/peers.py [--rounds N]`, our server beside others that make images.

What this is: each server installed as its users install it, into an environment of its own below `.ci/peers`, then
started over stdio, asked to initialize and to list its tools; no tool is ever called. A start has keys that are none
and no network; rounds are interleaved. One that does not install or start is told with the first line of why. What it
is not: our figures beside floors (`run`). Above: nothing. Below: environments, rows.

An environment that was made of the same requirements is kept, but ours, which is made anew; without `.ci/peers` all
are, in the versions of the day.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.environments import Environment, NotInstalled, OfNpm, OfPip, why
from benchmarks.rows import NotStarted, Started, start

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ENVIRONMENTS = ROOT / ".ci" / "peers"
NOWHERE = "http://127.0.0.1:9"
ALONE = ("unshare", "--map-root-user", "--net")
HEAD = (
    "server",
    "start to `initialize`, wall ms",
    "the same, CPU ms",
    "memory, MB",
    "packages",
    "their files, MB",
    "tools",
    "characters of `tools/list`",
    "a tool: median (least-most)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A server: the package that its version is read of, what is installed, how it is started, with which settings."""

    name: str
    package: str
    wanted: tuple[str, ...]
    command: tuple[str, ...]
    note: str = ""
    made_by: type[OfPip] | type[OfNpm] = OfPip
    settings: Mapping[str, str] = field(default_factory=dict[str, str])


OURS = Peer(
    name="**kontext-tool-server**",
    package="kontext-tool-server",
    wanted=(str(ROOT),),
    command=("kontext", "serve"),
    settings={"CORE_TODAY_API_KEY": "cdt_0123456789"},
)
FLOORS = (
    Peer(
        name="an echo server on mcp",
        package="mcp",
        wanted=("mcp>=2.3,<3",),
        command=("python", str(HERE / "bare_server.py")),
    ),
    Peer(
        name="an echo server on fastmcp",
        package="fastmcp",
        wanted=("fastmcp>=4,<5",),
        command=("python", str(HERE / "bare_fastmcp.py")),
    ),
)
OTHERS = (
    Peer(
        name="image-generation-mcp",
        package="image-generation-mcp",
        wanted=("image-generation-mcp[all]>=1.12,<2",),
        command=("image-generation-mcp", "serve"),
        note=", all extras",
        settings={
            "IMAGE_GENERATION_MCP_READ_ONLY": "false",
            "IMAGE_GENERATION_MCP_OPENAI_API_KEY": "none",
            "IMAGE_GENERATION_MCP_KV_STORE_URL": "memory://",
        },
    ),
    Peer(
        name="nanobanana-mcp-server",
        package="nanobanana-mcp-server",
        wanted=("nanobanana-mcp-server>=0.4.6,<1",),
        command=("nanobanana-mcp-server",),
        settings={"GEMINI_API_KEY": "none"},
    ),
    Peer(name="comfy-mcp", package="comfy-mcp", wanted=("comfy-mcp>=0.10,<1",), command=("comfy-mcp",)),
    Peer(
        name="fal-mcp-server",
        package="fal-mcp-server",
        wanted=("fal-mcp-server>=1.18,<2",),
        command=("fal-mcp",),
        settings={"FAL_KEY": "none:none"},
    ),
    Peer(
        name="fal-mcp-server",
        package="fal-mcp-server",
        wanted=("fal-mcp-server>=1.18,<2", "mcp<2"),
        command=("fal-mcp",),
        note=", repaired by `mcp<2`",
        settings={"FAL_KEY": "none:none"},
    ),
    Peer(
        name="flux-kontext-mcp",
        package="flux-kontext-mcp",
        wanted=("flux-kontext-mcp>=0.0.4,<1",),
        command=("flux-kontext-mcp",),
        settings={"REPLICATE_API_TOKEN": "none"},
    ),
    Peer(
        name="flux-kontext-mcp",
        package="flux-kontext-mcp",
        wanted=("flux-kontext-mcp>=0.0.4,<1", "pydantic<2.11"),
        command=("flux-kontext-mcp",),
        note=", repaired by `pydantic<2.11`",
        settings={"REPLICATE_API_TOKEN": "none"},
    ),
    Peer(
        name="replicate-mcp",
        package="replicate-mcp",
        wanted=("replicate-mcp@>=0.9 <1",),
        command=("mcp-server",),
        note=" (Node)",
        made_by=OfNpm,
        settings={"REPLICATE_API_TOKEN": "none"},
    ),
    Peer(
        name="mcp-image",
        package="mcp-image",
        wanted=("mcp-image@>=0.14 <1",),
        command=("mcp-image",),
        note=" (Node)",
        made_by=OfNpm,
        settings={"GEMINI_API_KEY": "none"},
    ),
    Peer(
        name="nano-banana-mcp",
        package="nano-banana-mcp",
        wanted=("nano-banana-mcp@>=1.0.3 <2",),
        command=("nano-banana-mcp",),
        note=" (Node)",
        made_by=OfNpm,
        settings={"GEMINI_API_KEY": "none"},
    ),
)


@dataclass(slots=True, kw_only=True)
class Measured:
    """A line of the table: what a server is called, what its environment holds, its starts, or why there are none."""

    label: str
    packages: int | None = None
    size_mb: float | None = None
    starts: list[Started] = field(default_factory=list[Started])
    failure: str = ""

    def cells(self) -> list[str]:
        """Give the line's cells."""
        held = ["-" if self.packages is None else str(self.packages), _told(self.size_mb)]
        if self.failure:
            return [self.label, self.failure, "-", "-", *held, "-", "-", "-"]
        tools = self.starts[-1].tools
        each = sorted(characters([tool]) - len("[]") for tool in tools)
        return [
            self.label,
            _median([one.wall_ms for one in self.starts]),
            _median([one.cpu_ms for one in self.starts]),
            _told(median(one.memory_mb for one in self.starts)),
            *held,
            str(len(tools)),
            f"{characters(tools):,}",
            f"{median(each):,.0f} ({each[0]:,}-{each[-1]:,})" if each else "-",
        ]


def main() -> None:
    """Install, measure and print."""
    parser = argparse.ArgumentParser(description="Our server beside others that make images.")
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    peers = (OURS, *FLOORS, *OTHERS)
    with tempfile.TemporaryDirectory() as home:
        lines = measured(peers, rounds, Path(home))
    print(f"{platform.python_version()}, {os.cpu_count()} cores, {rounds} interleaved rounds, medians (min-max)\n")
    for line in table(lines):
        print(line)


def measured(peers: Sequence[Peer], rounds: int, homes: Path) -> list[Measured]:
    """Install each, then start each once without counting it, then all of them round by round."""
    lines = [Measured(label=peer.name + peer.note) for peer in peers]
    commands = [_installed(peer, line) for peer, line in zip(peers, lines, strict=True)]
    alone = _alone()
    for number in range(rounds + 1):
        for place, (peer, command, line) in enumerate(zip(peers, commands, lines, strict=True)):
            if line.failure:
                continue
            home = homes / str(place)
            home.mkdir(exist_ok=True)
            try:
                started = start([*alone, *command], surroundings(peer, home), folder=home)
            except NotStarted as failed:
                line.failure = f"does not start: {why(str(failed))}"
            else:
                line.starts += [started] if number else []
    return lines


def surroundings(peer: Peer, home: Path) -> dict[str, str]:
    """Give the environment of a start: a home of its own, keys that are none, and proxies that lead nowhere."""
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), NOWHERE)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        **proxies,
        **{name.lower(): value for name, value in proxies.items()},
        **peer.settings,
    }


def table(lines: Sequence[Measured]) -> list[str]:
    """Give the lines as a Markdown table."""
    cells = [list(HEAD), ["---"] * len(HEAD), *(line.cells() for line in lines)]
    return ["| " + " | ".join(row) + " |" for row in cells]


def characters(tools: Sequence[Mapping[str, Any]]) -> int:
    """Count what `tools/list` says of them, written without a space that is not needed."""
    return len(json.dumps(tools, ensure_ascii=False, separators=(",", ":")))


def folder_of(peer: Peer) -> Path:
    """Give where a server's environment is, whether it was made or not: by its requirements, for one is in it twice."""
    words = "".join(letter if letter.isalnum() else " " for letter in " ".join(peer.wanted)).split()
    return ENVIRONMENTS / ("ours" if peer is OURS else "-".join(words))


def _installed(peer: Peer, line: Measured) -> list[str]:
    """Install a server unless it is, write down what its environment holds, and give its command."""
    environment: Environment = peer.made_by(folder_of(peer))
    noted, wanted = environment.folder / "installed.txt", "\n".join(peer.wanted)
    print(f"installing {line.label}", file=sys.stderr)
    try:
        if peer is OURS or not noted.exists() or noted.read_text(encoding="utf-8") != wanted:
            environment.make(peer.wanted)
            # Written last: an installation that broke off is made again.
            noted.write_text(wanted, encoding="utf-8")
    except NotInstalled as failed:
        line.failure = f"does not install: {why(str(failed))}"
        return []
    line.label = f"{peer.name} {environment.version(peer.package)}{peer.note}"
    line.packages, line.size_mb = environment.packages(), environment.size_mb()
    program, *arguments = peer.command
    return [str(environment.program(program)), *arguments]


def _alone() -> tuple[str, ...]:
    """Give what runs a command with no network at all; nothing where the system has no such thing."""
    if shutil.which(ALONE[0]) is None:
        return ()
    return ALONE if subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode == 0 else ()


def _median(samples: Sequence[float]) -> str:
    return f"{median(samples):.0f} ({min(samples):.0f}-{max(samples):.0f})"


def _told(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.0f}"


if __name__ == "__main__":
    main()
