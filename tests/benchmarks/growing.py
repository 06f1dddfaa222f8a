"""How cost grows with history, with people and with jobs in flight: `python tests/benchmarks/growing.py [--small]`.

What this is: one table for each, a column for each size. What it is not: floors and targets (`run`). Above: nothing.
Below: over_http, rows. Times are medians of calls of the store that every answer stands on (SQLite, in a worker
thread), and of whole starts; memory and CPU are those of a server over HTTP.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

import anyio
from asking import load, request
from over_http import STILL, fields
from rows import cpu_ms_of, memory_mb_of, start
from talking import OURS

from kontext_server.app import LOCAL_OWNER
from kontext_server.simulator.serve import running
from kontext_tools.budget import Caps, Unit
from kontext_tools.jobs import SendState
from kontext_tools.stores.finds import Wanted
from kontext_tools.stores.sqlite import SqliteStore
from support.http_server import served
from support.many_images import fill
from support.rows import FOUR_CENTS, a_job

HISTORY, OWNERS, IN_FLIGHT = (1_000, 10_000, 100_000, 1_000_000), (1, 100, 10_000), (1, 10, 100, 1_000)
IMAGES_OF_ALL = 100_000
CALLS, STARTS, PAGE = 200, 5, 50
WAITING_S = 30
"""So long each call waits; in its last third all jobs are recorded and are only looked at."""
CAP = replace(Caps.none(), daily={Unit.USD: Decimal(1_000_000)})
LEASED = datetime(2100, 1, 1, tzinfo=UTC)

Column = dict[str, str]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How cost grows.")
    parser.add_argument("--small", action="store_true", help="to see that it runs, not to quote")
    small: bool = parser.parse_args().small
    history, owners, in_flight = ((100, 200), (1, 10), (1, 5)) if small else (HISTORY, OWNERS, IN_FLIGHT)
    of_all, calls, waiting_s = (200, 5, 4) if small else (IMAGES_OF_ALL, CALLS, WAITING_S)
    _table("one person's images", history, [_of_history(images, calls) for images in history])
    _table(f"people, {of_all:,} images in all", owners, [_of_owners(people, of_all, calls) for people in owners])
    _table("jobs in flight, a call waiting for each", in_flight, [_of_jobs(jobs, waiting_s) for jobs in in_flight])


def _table(what: str, sizes: Sequence[int], columns: Sequence[Column]) -> None:
    print(f"| {what} | {' | '.join(f'{size:,}' for size in sizes)} |")
    print(f"| --- |{' --- |' * len(sizes)}")
    for name in columns[0]:
        print(f"| {name} | {' | '.join(column[name] for column in columns)} |")
    print()


def _of_history(images: int, calls: int) -> Column:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder, images, pictures=1)
        size_bytes = (folder / "kontext.db").stat().st_size
        column = anyio.run(_verbs, folder, (LOCAL_OWNER,), images, calls)
        environment = os.environ | {"KONTEXT_DATA_DIR": name}
        starts = [start(OURS, environment) for _ in range(STARTS)]
    return column | {
        "start to `initialize`, CPU": f"{median(one.cpu_ms for one in starts):.0f} ms",
        "memory after `tools/list`": f"{median(one.memory_mb for one in starts):.0f} MB",
        "the database, an image": f"{size_bytes / images / 1000:.1f} kB",
    }


def _of_owners(people: int, images: int, calls: int) -> Column:
    owners = [f"person-{n}" for n in range(people)]
    with tempfile.TemporaryDirectory() as name:
        fill(Path(name), images, pictures=1, owners=owners)
        return anyio.run(_verbs, Path(name), owners, images, calls)


async def _verbs(folder: Path, owners: Sequence[str], images: int, calls: int) -> Column:
    """Time the store's verbs, each call by the next owner; images go round among them."""
    store, numbers = SqliteStore(folder / "kontext.db"), count()
    await store.open()

    def owner(n: int) -> str:
        return owners[n * 7919 % len(owners)]

    async def job(n: int) -> None:
        place = n * 7919 % images
        assert await store.job(owners[place % len(owners)], f"car-{place:06}") is not None

    async def page(n: int) -> None:
        assert (await store.images(owner(n), limit=PAGE)).rows

    async def words(n: int) -> None:
        assert (await store.images(owner(n), Wanted(words=("make", "car")), limit=10)).rows

    async def submit(n: int) -> None:
        made = a_job(f"new-{next(numbers):06}", owner=owner(n), created_at=datetime.now(UTC))
        made = replace(made, sends=tuple(replace(send, due_at=made.created_at) for send in made.sends))
        await store.admit(made, caps=CAP, price=FOUR_CENTS, now=made.created_at)

    async def move(_: int) -> None:
        now = datetime.now(UTC)
        (claim,) = await store.claim("one", now=now, lease_until=LEASED, limit=1, slots={"fal": 10**9})
        found = await store.any_job(claim.job_id)
        assert found is not None
        intent = replace(found.sends[0], state=SendState.INTENT, fence=claim.fence)
        assert await store.save(intent, now=now, release=False)

    verbs: dict[str, Callable[[int], Awaitable[None]]] = {
        "one job": job,
        f"a page of {PAGE} images": page,
        "a search for two words that all have": words,
        "a submit under a daily cap, on the disk": submit,
        "a claim and the intent, on the disk": move,
    }
    column = {name: f"{await _p50_ms(verb, calls):.2f} ms" for name, verb in verbs.items()}
    await store.close()
    return column


async def _p50_ms(verb: Callable[[int], Awaitable[None]], calls: int) -> float:
    took_ms = list[float]()
    for n in range(calls):
        began = time.perf_counter()
        await verb(n)
        took_ms.append((time.perf_counter() - began) * 1000)
    return median(took_ms[1:])  # the first one reads the file


def _of_jobs(jobs: int, waiting_s: int) -> Column:
    """Hold so many jobs that their provider does not end, and a call waiting for each."""
    memory_mb, cpu_ms = list[float](), list[tuple[float, float]]()
    with (
        tempfile.TemporaryDirectory() as name,
        running(clock=lambda: STILL) as simulator,
        served(Path(name), simulator.settings) as server,
    ):
        pid = server.process.pid
        fields(server, "generate_image", {"prompt": "the first", "wait_seconds": 0})
        asked = [
            (server.url, request(server.url, "generate_image", {"prompt": f"lake {n}", "wait_seconds": waiting_s}))
            for n in range(jobs)
        ]

        def look() -> None:
            memory_mb.append(memory_mb_of(pid))
            cpu_ms.append((time.monotonic(), cpu_ms_of(pid)))

        load(asked, clients=jobs, lasting_s=0.0, meanwhile=look)
    (began_s, before_ms), (ended_s, after_ms) = cpu_ms[-1 - waiting_s // 3], cpu_ms[-1]
    resting = (after_ms - before_ms) / (ended_s - began_s)
    return {
        "most memory of the server": f"{max(memory_mb):.0f} MB",
        "its CPU while it looks at them, a second": f"{resting:.0f} ms",
    }


if __name__ == "__main__":
    main()
