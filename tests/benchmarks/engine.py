"""The engine's own cost: CPU for a job beside HTTP, and claiming what is due among very many that wait.

Above: run. Below: rows. The provider here answers at once and costs nothing, so what is measured is ours: five durable
transitions, the archive's proof of a tiny picture, the wake of who waits.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import cast

import anyio
from rows import Row, percentile

sys.path.insert(0, str(Path(__file__).parents[1]))

from kontext_tools.accounts import Accounts
from kontext_tools.archive import Archive, Kept
from kontext_tools.budget import Caps
from kontext_tools.clocks import SystemClock
from kontext_tools.engine import Engine
from kontext_tools.jobs import Job, Send, SendState
from kontext_tools.originals import Originals
from kontext_tools.providers.base import Phase, RemoteOutput, Snapshot
from kontext_tools.steps import Steps
from kontext_tools.stores import records, schema, sql_ledger
from kontext_tools.stores.base import JobNews
from kontext_tools.stores.sqlite import SqliteStore
from kontext_tools.stores.sqlite_database import SqliteDatabase
from support.rows import a_job, a_send, an_output
from support.scripted import OFFER, Scripted, waiting
from support.workshop import output, workshop

WAITING, ROWS, DUE, ROUNDS = 200_000, 1_000_000, 100, 300
LEASED = AGAIN = datetime(2027, 1, 1, tzinfo=UTC)
AT_ONCE = 60
MOVED = (SendState.INTENT, SendState.SUBMITTED, SendState.READY, SendState.COMPLETED)
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def claims(*, waiting_rows: int = WAITING, all_rows: int = ROWS, rounds: int = ROUNDS) -> Row:
    """Measure the claim of 100 due sends among those that wait, in a table of many more that ended."""
    with tempfile.TemporaryDirectory() as folder:
        samples = anyio.run(_claims, Path(folder), waiting_rows, all_rows, rounds)
    return Row(
        name=f"claim {DUE} due of {waiting_rows:,} waiting, {all_rows:,} rows, p99",
        unit="ms",
        ours=[percentile(samples, 0.99)],
        floor=[],
        target="at most 3 ms",
    )


def jobs(*, count: int = 300, rounds: int = 5) -> list[Row]:
    """Measure CPU for a job: the engine's durable moves alone, and the whole call with its picture archived."""
    measured = {
        "engine, CPU a job beside HTTP": _moves,
        "the same with a call waiting for each job": partial(_moves, waited_for=True),
        "the same with the call read and the picture kept": _calls,
    }
    samples: dict[str, list[float]] = {name: [] for name in measured}
    plain: list[float] = []
    for _ in range(rounds):
        for work, of_it in (*((work, samples[name]) for name, work in measured.items()), (_plain, plain)):
            with tempfile.TemporaryDirectory() as folder:
                of_it.append(anyio.run(work, Path(folder), count) / count)
    targets = ("at most 1 ms", "-", "-")
    return [
        Row(name=name, unit="ms", ours=of_it, floor=plain, target=target)
        for (name, of_it), target in zip(samples.items(), targets, strict=True)
    ]


async def _claims(folder: Path, waiting_rows: int, all_rows: int, rounds: int) -> Sequence[float]:
    store = SqliteStore(folder / "kontext.db")
    await store.open()
    await anyio.to_thread.run_sync(_fill, folder / "kontext.db", waiting_rows, all_rows)
    samples: list[float] = []
    for number in range(rounds):
        now = NOW + timedelta(seconds=number)
        began = time.perf_counter()
        claimed = await store.claim("bench", now=now, lease_until=LEASED, limit=DUE, slots={"fal": 10**9})
        samples.append((time.perf_counter() - began) * 1000)
        assert len(claimed) == DUE
        # As after a look: the leases end, the sends wait again; in each round a hundred others fall due.
        async with anyio.create_task_group() as steps:
            for claim in claimed:
                steps.start_soon(partial(store.give_back, claim, due_at=AGAIN))
    await store.close()
    return samples


def _fill(path: Path, waiting_rows: int, all_rows: int) -> None:
    job, send = a_job(), a_send("red-car-4k7q", state=SendState.SUBMITTED, remote_id="r1")
    doc, job_doc = records.send_doc(send), records.job_doc(job)
    due = records.to_us(NOW)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.executemany(
            """INSERT INTO jobs (id, owner, tool, status, label, prompt, provider, created_us, fingerprint, key_digest,
                doc) VALUES (?, 'ann', 'generate_image', 'pending', '', '', 'fal', ?, ?, '', ?)""",
            ((f"j{n}", n, f"j{n}", job_doc) for n in range(all_rows)),
        )
        # A hundred fall due each second; what ended is not in the index of what runs.
        db.executemany(
            "INSERT INTO sends (job_id, n, provider, state, due_us, doc) VALUES (?, 1, 'fal', ?, ?, ?)",
            (
                (f"j{n}", "submitted" if n < waiting_rows else "completed", due + n // DUE * 1_000_000, doc)
                for n in range(all_rows)
            ),
        )
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


async def _moves(folder: Path, count: int, *, waited_for: bool = False) -> float:
    """Admit so many jobs at once and move them to their end: `queued`, intent, submitted, ready, completed.

    With a call that waits for each, or, as after a restart, with none.
    """
    done = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(RemoteOutput(data=b"kept"),))
    offer = replace(OFFER, concurrency=count)
    provider = Scripted(creates=[waiting()], looks=[done], offer=offer)
    clock, accounts = SystemClock(), Accounts({offer.name: provider})
    store = SqliteStore(folder / "kontext.db")
    elsewhere = Elsewhere(count)
    originals, archive = cast("Originals", NoSource()), cast("Archive", elsewhere)
    engine = Engine(store, accounts, Steps(store, accounts, originals, archive, clock, Random(7)), clock)
    price = offer.price

    async def one(job_id: str) -> None:
        job = a_job(job_id, provider=offer.name, price=price)
        await store.admit(job, caps=Caps.none(), price=price, now=clock.now())
        engine.wake()
        while waited_for:
            with engine.news_of(job_id) as news:
                moved = await store.any_job(job_id)
                assert moved is not None
                if moved.status.ended:
                    return
                await news.wait()

    async with engine.running():
        began = time.process_time()
        async with anyio.create_task_group() as calls:
            for n in range(count):
                calls.start_soon(one, f"car-{n:04}")
            await elsewhere.all_kept.wait()
        while engine.driving:
            await store.next_due(accounts.offers)
        cpu_s = time.process_time() - began
    await store.close()
    return cpu_s * 1000


async def _plain(folder: Path, count: int) -> float:
    """Write the rows of so many jobs and of their five moves by plain SQLite, sixty to a durable transaction."""
    with closing(sqlite3.connect(folder / "kontext.db", isolation_level=None, factory=SqliteDatabase)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        schema.migrate(db)
        began = time.process_time()
        for state in (SendState.QUEUED, *MOVED):
            for first in range(0, count, AT_ONCE):
                db.execute("BEGIN IMMEDIATE")
                for n in range(first, min(first + AT_ONCE, count)):
                    _write_plainly(db, f"car-{n:04}", state)
                db.execute("COMMIT")
        return (time.process_time() - began) * 1000


def _write_plainly(db: SqliteDatabase, job_id: str, state: SendState) -> None:
    job = a_job(job_id)
    send = replace(job.sends[0], state=state)
    if state is SendState.QUEUED:
        db.execute(
            """INSERT INTO jobs (id, owner, tool, status, label, prompt, provider, created_us, fingerprint, key_digest,
                doc) VALUES (?, 'ann', 'generate_image', 'pending', '', '', 'fal', 0, ?, '', ?)""",
            (job_id, job_id, records.job_doc(job)),
        )
        db.execute(
            "INSERT INTO sends (job_id, n, provider, state, due_us, doc) VALUES (?, 1, 'fal', ?, 0, ?)",
            (job_id, state, records.send_doc(send)),
        )
    else:
        db.execute("SELECT doc FROM sends WHERE job_id = ? AND n = 1", (job_id,)).fetchone()
        db.execute(
            "UPDATE sends SET state = ?, doc = ? WHERE job_id = ? AND n = 1", (state, records.send_doc(send), job_id)
        )
    if state in (SendState.QUEUED, SendState.COMPLETED):
        sql_ledger.reserve(db, sql_ledger.Account.of(job), send, job.created_at)


class NoSource:
    """Originals of jobs that start from no picture."""

    async def attachment(self, *_: object) -> None:
        """Give nothing to send."""

    async def copy(self, *_: object) -> None:
        """Fetch nothing."""


class Elsewhere:
    """An archive that is not measured: what comes counts as kept."""

    def __init__(self, count: int) -> None:
        """Set `all_kept` once so many came."""
        self.all_kept = anyio.Event()
        self._missing = count

    async def sweep(self) -> None:
        """Do nothing."""

    async def waiting(self) -> list[tuple[str, int]]:
        """Give nothing."""
        return []

    async def let_go(self, _: Send) -> None:
        """Hold nothing."""

    async def keep(self, _: Job, send: Send, outputs: Sequence[RemoteOutput]) -> Kept:
        """Say that every output is kept."""
        self._missing -= 1
        if not self._missing:
            self.all_kept.set()
        kept = tuple(an_output(n, send.job_id) for n in range(send.first_output, send.first_output + len(outputs)))
        return Kept(
            outputs=kept,
            total=len(kept),
            expired=False,
            broken=False,
            not_now=False,
            failure=None,
            refused=(),
            news=JobNews(),
        )


async def _calls(folder: Path, count: int) -> float:
    """Call `generate_image` so many times, and wait until each picture is archived."""
    done = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
    provider = Scripted(creates=[waiting()], looks=[done], offer=OFFER)
    ended = (SendState.COMPLETED,)
    async with workshop(folder, provider) as shop:
        warm = await shop.generate("warm")
        await shop.until(warm.job.id, *ended)
        began = time.process_time()
        views = [await shop.generate(f"car {n}") for n in range(count)]
        for view in views:
            await shop.until(view.job.id, *ended)
        cpu_s = time.process_time() - began
    return cpu_s * 1000
