"""Tasks: the verbs of `stores.tasks`, and their statements. Above: sql_store. Below: database, records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from kontext_tools.stores import records
from kontext_tools.stores.database import Database, Transactions
from kontext_tools.stores.tasks import Task


class SqlTasks(Transactions):
    """What of the store has to do with tasks."""

    async def add_task(self, task: Task) -> None:
        """Record a task."""
        await self._write(lambda db: _add(db, task))

    async def task(self, owner: str, task_id: str, *, now: datetime) -> Task | None:
        """Give one of the owner's tasks."""
        return await self._read(lambda db: _task(db, owner, task_id, now))

    async def move_task(self, task: Task, doc: Mapping[str, Any], *, now: datetime) -> Task | None:
        """Write what a task has become, unless another was first."""
        return await self._write(lambda db: _move(db, task, doc, now))

    async def job_of_yes(self, owner: str, nonce: str) -> str | None:
        """Give the job that a yes has bought."""
        return await self._read(lambda db: _job_of_yes(db, owner, nonce))


def _add(db: Database, task: Task) -> None:
    db.alone(task.owner)
    db.execute("DELETE FROM tasks WHERE ends_us <= ?", (records.to_us(task.created_at),))
    db.execute(
        "INSERT INTO tasks (id, owner, kind, created_us, updated_us, ends_us, doc) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            task.id,
            task.owner,
            task.kind,
            records.to_us(task.created_at),
            records.to_us(task.updated_at),
            records.to_us(task.ends_at),
            json.dumps(task.doc),
        ),
    )


def _task(db: Database, owner: str, task_id: str, now: datetime) -> Task | None:
    row = db.execute(
        """SELECT kind, doc, created_us, updated_us, ends_us, revision FROM tasks
            WHERE id = ? AND owner = ? AND ends_us > ?""",
        (task_id, owner, records.to_us(now)),
    ).fetchone()
    if row is None:
        return None
    kind, doc, created_us, updated_us, ends_us, revision = row
    return Task(
        id=task_id,
        owner=owner,
        kind=kind,
        doc=records.document(doc),
        created_at=records.from_us(created_us),
        updated_at=records.from_us(updated_us),
        ends_at=records.from_us(ends_us),
        revision=revision,
    )


def _move(db: Database, task: Task, doc: Mapping[str, Any], now: datetime) -> Task | None:
    db.alone(task.owner)
    written = db.execute(
        """UPDATE tasks SET doc = ?, updated_us = ?, revision = revision + 1
            WHERE id = ? AND owner = ? AND revision = ?""",
        (json.dumps(doc), records.to_us(now), task.id, task.owner, task.revision),
    )
    if not written.rowcount:
        return None
    return replace(task, doc=doc, updated_at=now, revision=task.revision + 1)


def _job_of_yes(db: Database, owner: str, nonce: str) -> str | None:
    row = db.execute(
        "SELECT jobs.id FROM answers JOIN jobs ON jobs.id = answers.job_id WHERE nonce = ? AND owner = ?",
        (nonce, owner),
    ).fetchone()
    return None if row is None else str(row[0])
