"""One command, one table: `python tests/benchmarks/run.py [--rounds N] [TOPIC ...]`.

Each row is our figure, the floor measured in the same run, their ratio and the target. Byte-code is compiled first, for
without it a start reads 1.8 times too slow (DESIGN.md section 5).
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import gc
import io
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import engine
import gallery
import holding
import listing
import noticing
import over_http
import over_stdio
import picturing
import storing
from rows import Row, Started, start, wall_ms
from talking import FLOOR, KONTEXT, OURS

from support.built import needed

HELP = (KONTEXT, "--help")
NOTHING = (sys.executable, "-c", "")
PACKAGES = ("kontext_server", "kontext_tools", "mcp", "mcp_types", "pydantic", "pydantic_settings", "anyio")


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """Rows that are measured together: as they are quoted, and small, to see that they run."""

    full: Callable[[], list[Row]]
    small: Callable[[], list[Row]]


TOPICS = {
    "over_stdio": Topic(full=over_stdio.rows, small=partial(over_stdio.rows, calls=10, edits=1, job_s=0.1)),
    "engine": Topic(
        full=lambda: [engine.claims(), *engine.jobs()],
        small=lambda: [
            engine.claims(waiting_rows=2_000, all_rows=3_000, rounds=5),
            *engine.jobs(count=5, rounds=1),
        ],
    ),
    "listing": Topic(full=listing.lists, small=partial(listing.lists, images=500, rounds=3)),
    "gallery": Topic(full=gallery.views, small=partial(gallery.views, images=200, pictures=30, rounds=1)),
    "over_http": Topic(
        full=over_http.rows, small=partial(over_http.rows, rounds=1, lasting_s=0.2, in_flight=20, waiting_s=2)
    ),
    "noticing": Topic(full=noticing.rows, small=partial(noticing.rows, jobs=1, job_s=1.0)),
    "picturing": Topic(full=picturing.rows, small=partial(picturing.rows, rounds=1, turns=1, each=1)),
    "holding": Topic(full=holding.rows, small=partial(holding.rows, edits=2, picture_bytes=1_000_000)),
    "storing": Topic(
        full=lambda: [storing.submits(), *storing.reads()],
        small=lambda: [storing.submits(rounds=1, lasting_s=0.1), *storing.reads(images=2_000, rounds=20)],
    ),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Our figures beside their floors.")
    parser.add_argument("topics", nargs="*", help=f"only these of: starts, {', '.join(TOPICS)}")
    parser.add_argument("--rounds", type=int, default=9, help="of starts")
    parser.add_argument("--small", action="store_true", help="a small store: to see that it runs, not to quote")
    given = parser.parse_args()
    rounds: int = given.rounds
    measured = {"starts": partial(starts, rounds)} | {
        name: topic.small if given.small else topic.full for name, topic in TOPICS.items()
    }
    if unknown := set(given.topics) - measured.keys():
        parser.error(f"no such topic: {', '.join(sorted(unknown))}")
    _compile()
    gc.freeze()  # as the server does once it has started
    print(f"{platform.python_version()}, {os.cpu_count()} cores, {rounds} interleaved rounds, medians (min-max)\n")
    for line in table([row for name in given.topics or measured for row in measured[name]()]):
        print(line)


def starts(rounds: int) -> list[Row]:
    """Measure starts and idle memory beside the bare server."""
    ours, floor = list[Started](), list[Started]()
    helps, nothings = list[float](), list[float]()
    with tempfile.TemporaryDirectory() as folder:
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment = {**kept, "KONTEXT_DATA_DIR": folder}
        for _ in range(rounds):
            ours.append(start(OURS, environment))
            floor.append(start(FLOOR, environment))
            helps.append(wall_ms(HELP, environment))
            nothings.append(wall_ms(NOTHING, environment))
    return [
        Row(
            name="stdio start to initialize, wall",
            unit="ms",
            ours=[one.wall_ms for one in ours],
            floor=[one.wall_ms for one in floor],
            target="at most 1.12 x and 60 ms",
        ),
        Row(
            name="the same, CPU",
            unit="ms",
            ours=[one.cpu_ms for one in ours],
            floor=[one.cpu_ms for one in floor],
            target="-",
        ),
        Row(
            name="idle memory after tools/list",
            unit="MB",
            ours=[one.memory_mb for one in ours],
            floor=[one.memory_mb for one in floor],
            target="at most 80 MB",
        ),
        Row(
            name="kontext --help, beside an empty Python, wall",
            unit="ms",
            ours=helps,
            floor=nothings,
            target="under 120 ms",
        ),
        Row(
            name="packages of an installation, beside the SDK's own",
            unit="of them",
            ours=[len(needed("kontext-tool-server"))],
            floor=[len(needed("mcp"))],
            target="at most 40",
        ),
    ]


def table(rows: list[Row]) -> list[str]:
    """Give the rows as a Markdown table."""
    head = ["what", "ours", "floor", "ratio", "difference", "target"]
    lines = [head, ["---"] * len(head), *(row.cells() for row in rows)]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def _compile() -> None:
    for name in PACKAGES:
        spec = find_spec(name)
        for place in (spec.submodule_search_locations or []) if spec is not None else []:
            with contextlib.redirect_stdout(io.StringIO()):
                compileall.compile_dir(place, quiet=2)


if __name__ == "__main__":
    main()
