"""The engine's own cost: CPU for a job beside HTTP, and claiming what is due among very many that wait.

Above: run. Below: rows. The provider here answers at once and costs nothing, so what is measured is ours: five durable
transitions, the archive's proof of a tiny picture, the wake of who waits.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
from rows import Row

sys.path.insert(0, str(Path(__file__).parents[1]))

from kontext_tools.jobs import SendState
from kontext_tools.providers.base import Phase, Snapshot
from kontext_tools.stores import records
from kontext_tools.stores.sqlite import SqliteStore
from support.rows import a_job, a_send
from support.scripted import OFFER, Scripted, waiting

WAITING, ROWS, DUE, ROUNDS = 200_000, 1_000_000, 100, 60
LEASED = datetime(2027, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def claims(*, waiting_rows: int = WAITING, all_rows: int = ROWS, rounds: int = ROUNDS) -> Row:
    """Measure the claim of 100 due sends among those that wait, in a table of many more that ended."""
    with tempfile.TemporaryDirectory() as folder:
        samples = anyio.run(_claims, Path(folder), waiting_rows, all_rows, rounds)
    return Row(
        name=f"claim {DUE} due of {waiting_rows:,} waiting, {all_rows:,} rows, p99",
        unit="ms",
        ours=[_p99(samples)],
        floor=[],
        target="at most 3 ms",
    )


def jobs(*, count: int = 300) -> Row:
    """Measure CPU for a job from the call to its archived picture, with a provider that answers at once."""
    with tempfile.TemporaryDirectory() as folder:
        cpu_ms = anyio.run(_jobs, Path(folder), count)
    return Row(name="engine, CPU a job beside HTTP", unit="ms", ours=[cpu_ms / count], floor=[], target="at most 1 ms")


async def _claims(folder: Path, waiting_rows: int, all_rows: int, rounds: int) -> Sequence[float]:
    store = SqliteStore(folder / "kontext.db")
    await store.open()
    await anyio.to_thread.run_sync(_fill, folder / "kontext.db", waiting_rows, all_rows)
    samples: list[float] = []
    for number in range(rounds):
        now = NOW + timedelta(seconds=number)
        began = time.perf_counter()
        # Leased for good: in each round a hundred others fall due.
        claimed = await store.claim("bench", now=now, lease_until=LEASED, limit=DUE, slots={"fal": 10**9})
        samples.append((time.perf_counter() - began) * 1000)
        assert len(claimed) == DUE
    await store.close()
    return samples


def _fill(path: Path, waiting_rows: int, all_rows: int) -> None:
    import sqlite3

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


async def _jobs(folder: Path, count: int) -> float:
    from support.workshop import OWNER, output, workshop

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
        assert OWNER
    return cpu_s * 1000


def _p99(samples: Sequence[float]) -> float:
    return sorted(samples)[math.ceil(len(samples) * 0.99) - 1]
