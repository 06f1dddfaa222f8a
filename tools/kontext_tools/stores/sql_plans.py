"""Plans, each the inside of one transaction. Above: sql_store. Below: sql_reads, runs."""

from __future__ import annotations

import json
from datetime import datetime

from kontext_tools import costs
from kontext_tools.budget import Price
from kontext_tools.errors import Cancelled, Failure, NotFound
from kontext_tools.jobs import Job, Run, Send
from kontext_tools.runs import done
from kontext_tools.stores import records, sql_reads
from kontext_tools.stores.database import Database


def record(db: Database, job: Job, *, now: datetime) -> None:
    """Make a recorded plan due, with the runs that it takes over.

    Raises:
        NotFound: one of them was deleted meanwhile.
    """
    db.execute("INSERT INTO plans (job_id, due_us) VALUES (?, ?)", (job.id, records.to_us(now)))
    for run in job.runs:
        if run.job is not None and sql_reads.job(db, run.job.id) is None:
            raise NotFound(
                "The plan to go on with was deleted a moment ago; nothing was sent.",
                fix="Call again without resume_job_id.",
                field="resume_job_id",
            )
        _place(db, job.id, run)


def placed(db: Database, job: Job) -> Job | None:
    """Give the job that has this one's place in its plan already, if one has.

    Raises:
        Cancelled: the run was left, by another process that moves the plan too: a job without a place would be paid
            for and belong to no plan.
    """
    assert job.part is not None
    row = db.execute(
        "SELECT job_id FROM runs WHERE plan_id = ? AND step = ? AND n = ?",
        (job.part.plan_id, job.part.step, job.part.run),
    ).fetchone()
    if row is not None and row[0] is None:
        raise Cancelled("Nothing was sent: this step of the plan was given up already.", fix="Nothing is left to do.")
    return None if row is None else sql_reads.job(db, row[0])


def place(db: Database, job: Job) -> None:
    """Let a job take its place in its plan."""
    assert job.part is not None
    _place(db, job.part.plan_id, Run(step=job.part.step, n=job.part.run, job=job))


def is_cancelled(db: Database, plan_id: str) -> bool:
    """Whether the plan's cancel was asked for: nothing of it is started any more."""
    return db.execute("SELECT cancel_requested FROM jobs WHERE id = ?", (plan_id,)).fetchone() == (1,)


def check_max_cost(db: Database, plan_id: str, price: Price, *, but: Send | None = None) -> None:
    """Refuse what would pass the plan's max_cost; what other processes have started of it counts. See `costs`."""
    plan = sql_reads.job(db, plan_id)
    if plan is not None:
        costs.check_max_cost(plan, price, but=but)


def next_due(db: Database) -> datetime | None:
    """Give when the next plan is to be looked at."""
    row = db.execute("SELECT MIN(due_us) FROM plans WHERE due_us IS NOT NULL").fetchone()
    return None if row[0] is None else records.from_us(row[0])


def claim(
    db: Database, process: str, *, now: datetime, lease_until: datetime, again_at: datetime, limit: int
) -> list[str]:
    """Take due plans under a lease; a step that ends from now on makes its plan due at once."""
    rows = db.execute(
        f"""UPDATE plans SET lease_owner = ?, lease_us = ?, due_us = ? WHERE job_id IN (
                SELECT job_id FROM plans WHERE due_us IS NOT NULL AND due_us <= ?4
                    AND (lease_owner IS NULL OR lease_us <= ?4) ORDER BY due_us LIMIT ?5 {db.passing}
            ) RETURNING job_id""",  # noqa: S608  # constant
        (process, records.to_us(lease_until), records.to_us(again_at), records.to_us(now), limit),
    )
    return [row[0] for row in rows.fetchall()]


def rest(db: Database, process: str, plan_id: str, *, now: datetime) -> bool:
    """Give a plan's lease back, and end it where nothing of it is left to do."""
    db.alone_with(plan_id)
    db.execute(
        "UPDATE plans SET lease_owner = NULL, lease_us = 0 WHERE job_id = ? AND lease_owner = ?", (plan_id, process)
    )
    job = sql_reads.job(db, plan_id)
    if job is None:
        return False
    ended = job.status.ended or done(job, now)
    ended_us = None if not ended else records.to_us(job.ended_at or now)
    db.execute("UPDATE jobs SET ended_us = ? WHERE id = ?", (ended_us, plan_id))
    told = sql_reads.job(db, plan_id)
    assert told is not None
    db.execute("UPDATE jobs SET status = ? WHERE id = ?", (told.status.value, plan_id))
    if ended and done(told, now):
        db.execute("UPDATE plans SET due_us = NULL WHERE job_id = ?", (plan_id,))
    return ended


def leave(db: Database, plan_id: str, step: str, run: int, *, failure: Failure | None) -> None:
    """Note that a run will not start."""
    db.alone_with(plan_id)
    _place(db, plan_id, Run(step=step, n=run, refused=failure))


def make_due(db: Database, plan_id: str, *, now: datetime) -> None:
    """Let a plan be looked at now."""
    db.execute("UPDATE plans SET due_us = ? WHERE job_id = ?", (records.to_us(now), plan_id))


def wake(db: Database, job_id: str, *, now: datetime) -> None:
    """Let the plans that a job is a step of be looked at now: its status changed."""
    for (plan_id,) in db.execute("SELECT plan_id FROM runs WHERE job_id = ?", (job_id,)).fetchall():
        make_due(db, plan_id, now=now)


def _place(db: Database, plan_id: str, run: Run) -> None:
    db.execute(
        """INSERT INTO runs (plan_id, step, n, job_id, carried, refused) VALUES (?, ?, ?, ?, ?, ?)
            ON CONFLICT DO NOTHING""",
        (
            plan_id,
            run.step,
            run.n,
            None if run.job is None else run.job.id,
            int(run.carried),
            None if run.refused is None else json.dumps(run.refused.to_dict(), ensure_ascii=False),
        ),
    )
