"""Questions. Above: sql_store, sql_writes. Below: records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from kontext_tools.budget import Unit, from_nano
from kontext_tools.images import ImageFacts
from kontext_tools.jobs import Job, Output, Run, Send
from kontext_tools.plans import Plan
from kontext_tools.stores import records
from kontext_tools.stores.database import Database

_JOB = """SELECT id, owner, tool, provider, created_us, ended_us, fingerprint, request_key, key_digest,
    delivered, cancel_requested, doc FROM jobs"""
OUTPUT = "n, blob, media_type, width, height, size_bytes, sha256, seed, remote_url"
ACTIVE = "('queued', 'intent', 'submitted', 'ready')"
DRIVEN = (f"state IN {ACTIVE}", "searched = 1")
"""The sends that the engine has to do with, as conditions that are each an index's own: joined by OR none is used."""


def output_from(row: Sequence[Any]) -> Output:
    """Read the columns `OUTPUT`; STRICT tables hold what their columns say."""
    n, blob, media_type, width, height, size_bytes, sha256, seed, remote_url = row
    facts = ImageFacts(media_type=media_type, width=width, height=height, size_bytes=size_bytes, sha256=sha256)
    return Output(n=n, facts=facts, blob=blob, seed=seed, remote_url=remote_url)


def sends_of(db: Database, job_id: str, *, but: int = 0) -> tuple[Send, ...]:
    """Give a job's sends in order, one of them left out where its number is named."""
    rows = db.execute(
        "SELECT n, state, due_us, fence, doc FROM sends WHERE job_id = ? AND n <> ? ORDER BY n", (job_id, but)
    )
    return tuple(records.send_from(job_id, *row) for row in rows)


def _job(db: Database, row: Sequence[object]) -> Job:
    ident, owner, tool, provider, created, ended, fingerprint, key, digest, delivered, cancel, doc = row
    outputs = db.execute(f"SELECT {OUTPUT} FROM outputs WHERE job_id = ? ORDER BY n", (ident,))  # noqa: S608  # constant
    facts = records.job_fields(str(doc))
    return Job(
        id=str(ident),
        owner=str(owner),
        tool=str(tool),
        provider=str(provider),
        created_at=records.from_us(created),  # pyright: ignore[reportArgumentType]  # STRICT tables
        ended_at=None if ended is None else records.from_us(ended),  # pyright: ignore[reportArgumentType]  # the same
        fingerprint=str(fingerprint),
        request_key="" if key is None else str(key),
        key_digest=str(digest),
        delivered=bool(delivered),
        cancel_requested=bool(cancel),
        sends=sends_of(db, str(ident)),
        outputs=tuple(output_from(out) for out in outputs),
        runs=() if facts["plan"] is None else _runs(db, str(ident), facts["plan"]),
        **facts,
    )


def _runs(db: Database, plan_id: str, plan: Plan) -> tuple[Run, ...]:
    """Give what became of a plan's runs so far, in the order of its steps."""
    rows = db.execute("SELECT step, n, job_id, carried, refused FROM runs WHERE plan_id = ?", (plan_id,)).fetchall()
    order = {step.id: i for i, step in enumerate(plan.steps)}
    if any(row[0] not in order for row in rows):
        raise records.damaged()
    return tuple(
        Run(
            step=step,
            n=n,
            job=None if job_id is None else job(db, job_id),
            carried=bool(carried),
            refused=None if refused is None else records.failure_from(refused),
        )
        for step, n, job_id, carried, refused in sorted(rows, key=lambda row: (order[row[0]], row[1]))
    )


def _one(db: Database, where: str, values: Sequence[object]) -> Job | None:
    row = db.execute(f"{_JOB} WHERE {where}", values).fetchone()
    return None if row is None else _job(db, row)


def job(db: Database, job_id: str, *, owner: str | None = None) -> Job | None:
    """Give a job by id, of one owner where one is named."""
    if owner is None:
        return _one(db, "id = ?", (job_id,))
    return _one(db, "id = ? AND owner = ?", (job_id, owner))


def job_of_key(db: Database, owner: str, request_key: str) -> Job | None:
    """Give the job of a request_key."""
    return _one(db, "owner = ? AND request_key = ?", (owner, request_key))


def newest_twin(db: Database, owner: str, fingerprint: str) -> Job | None:
    """Give the newest job that was asked with the same words."""
    return _one(db, "owner = ? AND fingerprint = ? ORDER BY created_us DESC LIMIT 1", (owner, fingerprint))


def jobs(db: Database, owner: str, *, limit: int, before: str | None) -> list[Job]:
    """Give the owner's newest jobs, before one where it is named."""
    where, values = "owner = ?", [owner]
    if before is not None:
        where += " AND (created_us, id) < (SELECT created_us, id FROM jobs WHERE id = ?)"
        values.append(before)
    rows = db.execute(f"{_JOB} WHERE {where} ORDER BY created_us DESC, id DESC LIMIT ?", (*values, limit))
    return [_job(db, row) for row in rows.fetchall()]


def recent_ids(db: Database, owner: str, *, limit: int) -> list[str]:
    """Give ids of the owner's newest jobs."""
    rows = db.execute("SELECT id FROM jobs WHERE owner = ? ORDER BY created_us DESC LIMIT ?", (owner, limit))
    return [row[0] for row in rows]


def held(db: Database, provider: str, remote_ids: Sequence[str]) -> frozenset[str]:
    """Give those of a provider's ids that a send holds."""
    if not remote_ids:
        return frozenset()
    marks = ", ".join("?" * len(remote_ids))
    rows = db.execute(
        f"SELECT remote_id FROM sends WHERE provider = ? AND remote_id IN ({marks})",  # noqa: S608  # marks
        (provider, *remote_ids),
    )
    return frozenset(row[0] for row in rows)


def has_rival(db: Database, send: Send, *, within: timedelta) -> bool:
    """Whether another send with the same prompt and seed, sent at about the same time, has no id or not yet."""
    assert send.sent_at is not None
    rows: list[tuple[str, int]] = db.execute(
        # The words of the index's own condition, without which it is not used.
        f"""SELECT job_id, n FROM sends WHERE provider = ?1 AND state IN {ACTIVE} AND state = 'intent'
            UNION ALL SELECT job_id, n FROM sends WHERE provider = ?1 AND state = 'unknown' AND due_us >= ?2""",  # noqa: S608  # constant
        (send.provider, records.to_us(send.sent_at - within)),
    ).fetchall()
    prompt = _asked(db, send.job_id)
    others = [(job_id, n) for job_id, n in rows if (job_id, n) != (send.job_id, send.n)]
    rivals = [sends_of(db, job_id)[n - 1] for job_id, n in others if _asked(db, job_id) == prompt]
    return any(
        rival.sent_seed == send.sent_seed and (rival.sent_at is None or abs(rival.sent_at - send.sent_at) <= within)
        for rival in rivals
    )


def _asked(db: Database, job_id: str) -> str:
    row = db.execute("SELECT prompt FROM jobs WHERE id = ?", (job_id,)).fetchone()
    return "" if row is None else str(row[0])


def spent(db: Database, owner: str, *, day: str, unit: Unit) -> Decimal:
    """Give the sum of a day's ledger in one unit."""
    row = db.execute(
        "SELECT CAST(COALESCE(SUM(delta_nano), 0) AS BIGINT) FROM ledger WHERE owner = ? AND unit = ? AND day = ?",
        (owner, unit.value, day),
    ).fetchone()
    return from_nano(row[0])


def counted(db: Database, owner: str, *, day: str, unit: Unit, today: str) -> Decimal:
    """Give what a cap counts against a day: its own sum, and that of days after today, whose clock was set back."""
    row = db.execute(
        """SELECT CAST(COALESCE(SUM(delta_nano), 0) AS BIGINT) FROM ledger
            WHERE owner = ?1 AND unit = ?2 AND day >= ?3 AND (day = ?3 OR day > ?4)""",
        (owner, unit.value, day, today),
    ).fetchone()
    return from_nano(row[0])
