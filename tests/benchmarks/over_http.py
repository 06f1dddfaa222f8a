"""Over Streamable HTTP, beside a bare echo server on the same SDK: calls a second, CPU a call, two processes, memory.

What this is: rows of the table. The client is of the tests' own and shares the machine with the servers, so that
figures are to be read as ratios. What it is not: the client (`asking`) or the long run (`soak`). Above: run. Below:
asking, rows.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from asking import load, request
from rows import Row, cpu_ms_of, memory_mb_of

from kontext_server.simulator.serve import running
from support.hosted import hosting
from support.http_server import Served, envelope, headers, served

BARE = (sys.executable, str(Path(__file__).with_name("bare_server.py")), "--http")
CLIENTS = 16
FLOODS = 3
"""For each round so many of T07: its figure is the worst but one of some fifty calls."""
STILL = 1_800_000_000.0
"""The simulator's clock, which stands still: a job of its runs until the end of the measurement."""


@dataclass(slots=True)
class Loaded:
    """The samples of one server under load, one for each round."""

    calls_a_second: list[float]
    cpu_ms: list[float]
    p99_ms: list[float]


def rows(*, rounds: int = 5, lasting_s: float = 3.0, in_flight: int = 1000, waiting_s: int = 20) -> list[Row]:
    """Measure.

    Args:
        rounds: interleaved.
        lasting_s: each load of a round.
        in_flight: jobs, each with a call that waits for it.
        waiting_s: so long.
    """
    with (
        tempfile.TemporaryDirectory() as name,
        running(clock=lambda: STILL) as simulator,
        bare() as echo,
        served(Path(name), simulator.settings) as one,
        served(Path(name), simulator.settings) as other,
    ):
        job = fields(one, "generate_image", {"prompt": "a red lake", "wait_seconds": 0})["job_id"]
        ended = fields(one, "generate_image", {"prompt": "a lake", "provider": "sandbox", "wait_seconds": 30})["job_id"]
        asked = {
            "echo": [(echo.url, request(echo.url, "echo", {"text": "x"}))],
            "running": [(one.url, request(one.url, "get_status", {"job_id": job}))],
            "ended": [(one.url, request(one.url, "get_status", {"job_id": ended}))],
            "two": [(server.url, request(server.url, "get_status", {"job_id": job})) for server in (one, other)],
        }
        pids = {"echo": echo.pid, "running": one.process.pid, "ended": one.process.pid, "two": one.process.pid}
        loaded = {what: Loaded([], [], []) for what in asked}
        for _ in range(rounds):
            for what, requests in asked.items():
                before_ms = cpu_ms_of(pids[what])
                answered = load(requests, clients=CLIENTS, lasting_s=lasting_s)
                loaded[what].calls_a_second.append(answered.calls_a_second)
                loaded[what].cpu_ms.append((cpu_ms_of(pids[what]) - before_ms) / len(answered.waited_s))
                loaded[what].p99_ms.append(answered.percentile_ms(0.99))
    echo_, running_, ended_, two = (loaded[what] for what in asked)
    return [
        Row(
            name=f"get_status of a running job over HTTP, {CLIENTS} clients",
            unit="calls/s",
            ours=running_.calls_a_second,
            floor=echo_.calls_a_second,
            target="at least 0.6 x",
        ),
        Row(name="the same, CPU a call", unit="ms", ours=running_.cpu_ms, floor=echo_.cpu_ms, target="at most 1.5 x"),
        Row(name="the same, p99 of a call", unit="ms", ours=running_.p99_ms, floor=echo_.p99_ms, target="-"),
        Row(
            name="the same of a finished job, with its picture",
            unit="calls/s",
            ours=ended_.calls_a_second,
            floor=echo_.calls_a_second,
            target="-",
        ),
        Row(
            name="get_status of a running job, two processes beside one",
            unit="calls/s",
            ours=two.calls_a_second,
            floor=running_.calls_a_second,
            target="at least 1.5 x",
        ),
        many(in_flight, waiting_s),
        flooded(rounds=FLOODS * rounds, lasting_s=lasting_s),
    ]


def many(in_flight: int, waiting_s: int) -> Row:
    """Measure one process that holds so many jobs, with a call waiting for each, beside itself before them."""
    with (
        tempfile.TemporaryDirectory() as name,
        running(clock=lambda: STILL) as simulator,
        served(Path(name), simulator.settings) as one,
    ):
        fields(one, "generate_image", {"prompt": "the first", "wait_seconds": 0})
        before_mb = memory_mb_of(one.process.pid)
        asked = [
            (one.url, request(one.url, "generate_image", {"prompt": f"lake {i}", "wait_seconds": waiting_s}))
            for i in range(in_flight)
        ]
        most = [before_mb]
        load(asked, clients=in_flight, lasting_s=0.0, meanwhile=lambda: most.append(memory_mb_of(one.process.pid)))
    return Row(
        name=f"memory with {in_flight:,} jobs in flight and a call waiting for each, beside one job",
        unit="MB",
        ours=[max(most)],
        floor=[before_mb],
        target="under 250 MB",
    )


def flooded(*, rounds: int, lasting_s: float) -> Row:
    """Measure how long one person waits while another one floods, beside how long when nobody does (case T07)."""
    calm, flood = list[float](), list[float]()
    with tempfile.TemporaryDirectory() as name, hosting(Path(name)) as hosted:
        url = hosted.server.url
        job = fields(hosted.server, "generate_image", {"prompt": "a lake"}, hosted.issuer.token("bob"))["job_id"]
        bobs = request(url, "get_status", {"job_id": job}, token=hosted.issuer.token("bob"))
        alices = request(url, "get_status", {"job_id": job}, token=hosted.issuer.token("alice"))
        # As a person's own clients ask at most, or Bob would meet the limits himself.
        bob = partial(load, [(url, bobs)], clients=1, lasting_s=lasting_s / 2, pause_s=0.02)
        for _ in range(rounds):
            calm.append(bob().percentile_ms(0.99))
            # In a process of its own, or Bob would wait for Alice's side of it as well.
            asking = get_context("spawn").Process(
                target=load, args=([(url, alices)],), kwargs={"clients": CLIENTS, "lasting_s": lasting_s}
            )
            asking.start()
            time.sleep(lasting_s / 4)
            flood.append(bob().percentile_ms(0.99))
            asking.join()
    return Row(
        name=f"T07: p99 of one person's get_status while another floods with {CLIENTS} clients",
        unit="ms",
        ours=flood,
        floor=calm,
        target="under 2 x",
    )


@dataclass(frozen=True, slots=True)
class Bare:
    """The floor, as a process that listens."""

    url: str
    pid: int


@contextmanager
def bare() -> Generator[Bare]:
    """Start the floor on a free port."""
    with subprocess.Popen(BARE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Bare(url=process.stdout.readline().strip(), pid=process.pid)
        finally:
            process.kill()


def fields(server: Served, tool: str, arguments: Mapping[str, object], token: str | None = None) -> dict[str, Any]:
    """Call a tool once; give its structured content."""
    bearer = {} if token is None else {"Authorization": f"Bearer {token}"}
    body = envelope("tools/call", {"name": tool, "arguments": dict(arguments)})
    asked = Request(
        server.url,
        json.dumps(body).encode(),
        {**headers(body), **bearer, "Content-Type": "application/json"},
    )
    with urlopen(asked, timeout=60) as answer:
        return json.load(answer)["result"]["structuredContent"]
