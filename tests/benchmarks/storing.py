"""The store on a real disk: durable submits beside the disk's own pace, and reads among a million images.

What this is: the store's verbs, each beside what it stands on: an append that is synced, the same statement by SQLite
alone. What it is not: claims (`engine`) or searches (`listing`). Above: run. Below: rows.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import anyio
import anyio.to_thread
from rows import Row

sys.path.insert(0, str(Path(__file__).parents[1]))

from kontext_server.app import LOCAL_OWNER
from kontext_tools.budget import Caps
from kontext_tools.jobs import SendState
from kontext_tools.stores import records
from kontext_tools.stores.sqlite import SqliteStore
from support.many_images import fill
from support.rows import FOUR_CENTS, a_job, a_send

IMAGES, PAGE = 1_000_000, 50
CALLERS = 16
BLOCK = b"x" * 4096

PLAIN_PAGE = f"""SELECT outputs.*, jobs.label, jobs.prompt, jobs.parent
    FROM outputs JOIN jobs ON jobs.id = outputs.job_id
    WHERE outputs.owner = ? AND outputs.place < ? ORDER BY outputs.place DESC LIMIT {PAGE + 1}"""
PLAIN_JOB = (
    "SELECT * FROM jobs WHERE id = ?",
    "SELECT * FROM sends WHERE job_id = ? ORDER BY n",
    "SELECT * FROM outputs WHERE job_id = ? ORDER BY n",
)


def submits(*, rounds: int = 7, lasting_s: float = 1.5) -> Row:
    """Measure durable submits of many callers at once, beside how often the same disk syncs an append to a file.

    Both are in the system's folder for temporary files: on one in memory nothing is synced, and the row says nothing.

    Args:
        rounds: interleaved.
        lasting_s: each half of a round.
    """
    ours, floor = anyio.run(_submits, rounds, lasting_s)
    return Row(
        name=f"submits that are on the disk, {CALLERS} callers, beside appends of 4 kB with a sync each",
        unit="a second",
        ours=ours,
        floor=floor,
        target="at least 0.5 x",
    )


async def _submits(rounds: int, lasting_s: float) -> tuple[list[float], list[float]]:
    ours, floor = list[float](), list[float]()
    with tempfile.TemporaryDirectory() as name:
        store = SqliteStore(Path(name) / "kontext.db")
        await store.open()
        for turn in range(rounds):
            ours.append(await _admitted(store, turn, lasting_s))
            floor.append(await anyio.to_thread.run_sync(_appended, Path(name) / "appended", lasting_s))
        await store.close()
    return ours, floor


async def _admitted(store: SqliteStore, turn: int, lasting_s: float) -> float:
    count = 0
    began = time.perf_counter()

    async def caller(who: int) -> None:
        nonlocal count
        while time.perf_counter() < began + lasting_s:
            job = a_job(f"car-{turn}-{who}-{count}-{time.perf_counter_ns()}")
            await store.admit(job, caps=Caps.none(), price=FOUR_CENTS, now=datetime.now(UTC))
            count += 1

    async with anyio.create_task_group() as callers:
        for who in range(CALLERS):
            callers.start_soon(caller, who)
    return count / (time.perf_counter() - began)


def _appended(path: Path, lasting_s: float) -> float:
    count = 0
    began = time.perf_counter()
    with path.open("ab", buffering=0) as file:
        while time.perf_counter() < began + lasting_s:
            file.write(BLOCK)
            os.fdatasync(file.fileno())
            count += 1
    return count / (time.perf_counter() - began)


def reads(*, images: int = IMAGES, rounds: int = 400) -> list[Row]:
    """Measure a page of images and one job among so many, beside the rows that they are made of, read in a thread.

    Both go over a worker thread, for a loop must not wait for a disk; the floor's rows are thrown away.
    """
    with tempfile.TemporaryDirectory() as name:
        fill(Path(name), images, pictures=1)
        with closing(sqlite3.connect(Path(name) / "kontext.db")) as db, db:
            sent = a_send("", state=SendState.COMPLETED, remote_id="r1")
            db.execute(
                """INSERT INTO sends (job_id, n, provider, state, due_us, doc)
                    SELECT id, 1, provider, 'completed', 0, ? FROM jobs""",
                (records.send_doc(sent),),
            )
        return anyio.run(_reads, Path(name), images, rounds)


async def _reads(folder: Path, images: int, rounds: int) -> list[Row]:
    store, random = SqliteStore(folder / "kontext.db"), Random(7)
    await store.open()
    with closing(sqlite3.connect(folder / "kontext.db", check_same_thread=False)) as db:

        async def page(before: int) -> None:
            assert len((await store.images(LOCAL_OWNER, limit=PAGE, before=before)).rows) == PAGE

        async def plain_page(before: int) -> None:
            assert len(await anyio.to_thread.run_sync(_rows, db, PLAIN_PAGE, LOCAL_OWNER, before)) == PAGE + 1

        async def job(place: int) -> None:
            assert await store.job(LOCAL_OWNER, f"car-{place:06}") is not None

        async def plain_job(place: int) -> None:
            assert await anyio.to_thread.run_sync(_job, db, f"car-{place:06}")

        places = db.execute("SELECT place FROM outputs ORDER BY place").fetchall()
        befores = [places[random.randrange(PAGE + 1, images)][0] for _ in range(rounds)]
        numbers = [random.randrange(images) for _ in range(rounds)]
        pages = await _timed(page, plain_page, befores)
        gets = await _timed(job, plain_job, numbers)
    await store.close()
    return [
        _row(f"store, a page of {PAGE} of {images:,} images, p50", *pages),
        _row(f"store, one job of {images:,}, p50", *gets),
    ]


def _row(name: str, ours: list[float], floor: list[float]) -> Row:
    return Row(name=name, unit="ms", ours=ours, floor=floor, target="at most 2 x")


def _rows(db: sqlite3.Connection, asked: str, *values: object) -> list[tuple[object, ...]]:
    return db.execute(asked, values).fetchall()


def _job(db: sqlite3.Connection, job_id: str) -> list[list[tuple[object, ...]]]:
    return [_rows(db, asked, job_id) for asked in PLAIN_JOB]


async def _timed(
    work: Callable[[int], Awaitable[None]], plain: Callable[[int], Awaitable[None]], places: list[int]
) -> tuple[list[float], list[float]]:
    """Give the milliseconds of both at each place, in turn, after a first time that is not counted."""
    ours, floor = list[float](), list[float]()
    for place in (places[0], *places):
        for samples, one in ((ours, work), (floor, plain)):
            began = time.perf_counter()
            await one(place)
            samples.append((time.perf_counter() - began) * 1000)
    return ours[1:], floor[1:]
