"""Deletions: the verbs of `stores.forgets`, and their statements. Above: sql_store. Below: database, records.

Rows are judged by their columns and by what their documents name, so that a job whose document is damaged can be
deleted too. Triggers take an image's words out of the index and tell the journal. What the deleted words leave in the
database's own files is each database's affair (`wipe`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from kontext_tools.blobs import keys
from kontext_tools.errors import NotFound
from kontext_tools.stores import records
from kontext_tools.stores.database import Database, Transactions
from kontext_tools.stores.forgets import Going, Hold, Old, Trashed, Unit, holds, refusal
from kontext_tools.stores.sql_reads import ACTIVE

_SHORT_TEXT = re.compile(r'"([^"\\]{1,80})"')


class SqlForgets(Transactions):
    """What of the store deletes."""

    async def going(self, owner: str, job_ids: Sequence[str]) -> Going:
        """Give what would go with these jobs."""
        return await self._read(lambda db: _of(db, owner, [one.ids for one in _units(db, owner, job_ids)]))

    async def forget(self, owner: str, job_ids: Sequence[str]) -> Going:
        """Delete jobs that ended, all or none."""
        return await self._write(lambda db: _forget(db, owner, job_ids))

    async def old(self, owner: str, *, before: datetime) -> Old:
        """Give what can go of what ended before a moment."""
        return await self._read(lambda db: _old(db, owner, before))

    async def trash(self) -> Sequence[Trashed]:
        """Give the keys that no row refers to; one that is referred to again is taken out."""
        dead, live = await self._read(_trash)
        if live:
            await self.empty_trash(live)
        return dead

    async def empty_trash(self, trashed: Sequence[Trashed]) -> None:
        """Take keys out of the trash."""
        rows = [(one.number,) for one in trashed]
        await self._write(lambda db: db.executemany("DELETE FROM trash WHERE seq = ?", rows))


def _units(db: Database, owner: str, job_ids: Sequence[str]) -> list[Unit]:
    """Give what can be deleted with jobs, in their order; refuse where one must stay."""
    units = [_unit(db, owner, job_id) for job_id in dict.fromkeys(job_ids)]
    parts = {part for unit in units for part in unit.parts}
    units = [unit for unit in units if unit.job_id not in parts]
    going, needed = {one for unit in units for one in unit.ids}, _needed(db)
    for unit in units:
        held = holds(unit, going, needed)
        if held is not None:
            raise refusal(unit, *held)
    return units


def _unit(db: Database, owner: str, job_id: str) -> Unit:
    row = db.execute("SELECT ended_us FROM jobs WHERE id = ? AND owner = ?", (job_id, owner)).fetchone()
    if row is None:
        raise NotFound(f"{job_id} is no job (any more); nothing was deleted.", fix="See which there are: kontext jobs")
    plan = db.execute("SELECT plan_id FROM runs WHERE job_id = ? AND carried = 0", (job_id,)).fetchone()
    runs = db.execute("SELECT job_id, carried FROM runs WHERE plan_id = ? AND job_id IS NOT NULL", (job_id,)).fetchall()
    parts = tuple(one for one, carried in runs if not carried)
    heirs = {
        heir
        for part in parts
        for (heir,) in db.execute("SELECT plan_id FROM runs WHERE job_id = ?", (part,)).fetchall()
    }
    ends = [_ended_us(db, one) for one in (job_id, *parts)]
    known = [end for end in ends if end is not None]
    fates = [(one, _fate(db, one)) for one in (job_id, *(run for run, _ in runs))]
    return Unit(
        job_id=job_id,
        parts=parts,
        plan_id=None if plan is None else plan[0],
        running=next((one for one, fate in fates if fate is Hold.RUNNING), None),
        unknown=next((one for one, fate in fates if fate is Hold.UNKNOWN), None),
        ended_at=None if row[0] is None else records.from_us(row[0]),
        last_ended_at=records.from_us(max(known)) if len(known) == len(ends) else None,
        heirs=frozenset(heirs - {job_id}),
    )


def _ended_us(db: Database, job_id: str) -> int | None:
    row = db.execute("SELECT ended_us FROM jobs WHERE id = ?", (job_id,)).fetchone()
    return None if row is None else row[0]


def _fate(db: Database, job_id: str) -> Hold | None:
    """Give why a job by itself is none that ended for good. One with a picture may have a send that is unknown."""
    states = {state for (state,) in db.execute("SELECT state FROM sends WHERE job_id = ?", (job_id,))}
    if _ended_us(db, job_id) is None or states.intersection(_ACTIVE):
        return Hold.RUNNING
    return Hold.UNKNOWN if "unknown" in states else None


_ACTIVE = frozenset(re.findall(r"\w+", ACTIVE))


def _needed(db: Database) -> dict[str, str]:
    """Give the jobs whose pictures a running job or plan starts from, each with that one."""
    running = db.execute(
        f"""SELECT id, doc FROM jobs WHERE id IN (SELECT job_id FROM sends WHERE state IN {ACTIVE}
            UNION SELECT id FROM plans JOIN jobs ON id = job_id WHERE due_us IS NOT NULL AND ended_us IS NULL)"""  # noqa: S608  # constant
    )
    return {needed: job_id for job_id, doc in running for needed in keys.jobs_of_images_in(doc) - {job_id}}


def _of(db: Database, owner: str, units: Iterable[Sequence[str]]) -> Going:
    """Count what goes with jobs."""
    ids = [job_id for unit in units for job_id in unit]
    going = set(ids)
    images = size_bytes = children = 0
    for job_id in ids:
        for n, size in db.execute("SELECT n, size_bytes FROM outputs WHERE job_id = ?", (job_id,)).fetchall():
            images, size_bytes = images + 1, size_bytes + size
            for child in _children(db, owner, job_id, n) - going:
                (made,) = db.execute("SELECT COUNT(*) FROM outputs WHERE job_id = ?", (child,)).fetchone()
                children += made
    return Going(job_ids=tuple(ids), images=images, size_bytes=size_bytes, children=children)


def _children(db: Database, owner: str, job_id: str, n: int) -> set[str]:
    rows = db.execute("SELECT id FROM jobs WHERE owner = ? AND parent = ?", (owner, f"{job_id}/{n}"))
    return {child for (child,) in rows}


def _forget(db: Database, owner: str, job_ids: Sequence[str]) -> Going:
    db.alone(owner)
    units = _units(db, owner, job_ids)
    told = _of(db, owner, [unit.ids for unit in units])
    going = set(told.job_ids)
    trash = set[str]()
    for job_id in told.job_ids:
        trash |= _keys(db, job_id)
        for (n,) in db.execute("SELECT n FROM outputs WHERE job_id = ?", (job_id,)).fetchall():
            for child in _children(db, owner, job_id, n) - going:
                _orphan(db, child)
    db.executemany("INSERT INTO trash (key) VALUES (?)", [(key,) for key in sorted(trash)])
    _end_tasks(db, owner, going)
    each = [(job_id,) for job_id in told.job_ids]
    # A plan's runs before the jobs of any: they refer to these.
    for statement in (
        "DELETE FROM runs WHERE plan_id = ?",
        "DELETE FROM plans WHERE job_id = ?",
        "DELETE FROM outputs WHERE job_id = ?",
        "DELETE FROM sends WHERE job_id = ?",
        "DELETE FROM jobs WHERE id = ?",
        "INSERT INTO forgotten VALUES (?)",
    ):
        db.executemany(statement, each)
    return told


def _keys(db: Database, job_id: str) -> set[str]:
    """Give the keys of all files that may be a job's alone: `_trash` says which of them are.

    There is one at least, so that a kill leaves something in the trash, and the job's words are wiped with it.
    """
    (doc,) = db.execute("SELECT doc FROM jobs WHERE id = ?", (job_id,)).fetchone()
    sources = keys.sources_in(doc)
    found = {keys.facts(job_id, 1), *sources, *map(keys.thumb, sources.values())}
    for n, blob, sha256 in db.execute("SELECT n, blob, sha256 FROM outputs WHERE job_id = ?", (job_id,)):
        found |= {blob, keys.facts(job_id, n), keys.thumb(sha256)}
    return found


def _orphan(db: Database, job_id: str) -> None:
    """Let a job that stays start from nothing: the picture that it was made from goes."""
    (doc,) = db.execute("SELECT doc FROM jobs WHERE id = ?", (job_id,)).fetchone()
    db.execute("UPDATE jobs SET parent = NULL, doc = ? WHERE id = ?", (records.without_before(doc), job_id))


def _end_tasks(db: Database, owner: str, going: Collection[str]) -> None:
    """Remove the tasks that stand for a job, or asked about it before there was one: they hold its words."""
    burnt = db.execute("SELECT nonce, job_id FROM answers").fetchall()
    marks = {*going, *(nonce for nonce, job_id in burnt if job_id in going)}
    tasks = db.execute("SELECT id, doc FROM tasks WHERE owner = ?", (owner,)).fetchall()
    over = [(task_id,) for task_id, doc in tasks if not marks.isdisjoint(_SHORT_TEXT.findall(doc))]
    db.executemany("DELETE FROM tasks WHERE id = ?", over)


def _old(db: Database, owner: str, before: datetime) -> Old:
    rows = db.execute(
        """SELECT id FROM jobs WHERE owner = ? AND created_us < ?
            AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.job_id = jobs.id AND carried = 0)
            ORDER BY created_us DESC, id DESC""",
        (owner, records.to_us(before)),
    ).fetchall()
    needed, going, skipped = _needed(db), set[str](), Counter[Hold]()
    units = list[tuple[str, ...]]()
    for (job_id,) in rows:
        unit = _unit(db, owner, job_id)
        if unit.ended_at is not None and unit.ended_at >= before:
            continue
        held = holds(unit, going, needed)
        if held is not None:
            skipped[held[0]] += 1
        elif unit.last_ended_at is None or unit.last_ended_at >= before:
            skipped[Hold.YOUNGER] += 1
        else:
            units.append(unit.ids)
            going.update(unit.ids)
    return Old(units=tuple(units), going=_of(db, owner, units), skipped=skipped)


def _trash(db: Database) -> tuple[list[Trashed], list[Trashed]]:
    """Give the trash apart: what no row refers to, and what one does. One pass over the rows, where there is any trash.

    A thumbnail is referred to by every picture with the same bytes that is kept.
    """
    rows = db.execute("SELECT seq, key, at_ms FROM trash ORDER BY seq").fetchall()
    trash = [Trashed(number=seq, key=key, since=records.from_us(at_ms * 1000)) for seq, key, at_ms in rows]
    if not trash:
        return [], []
    wanted, live = {one.key for one in trash}, set[str]()
    for blob, sha256 in db.execute("SELECT blob, sha256 FROM outputs"):
        live |= wanted.intersection((blob, keys.thumb(sha256)))
    for (doc,) in db.execute(
        "SELECT doc FROM jobs UNION ALL SELECT doc FROM tasks UNION ALL SELECT about FROM tickets"
    ):
        for key, sha256 in keys.sources_in(doc).items():
            live |= wanted.intersection((key, keys.thumb(sha256)))
    return [one for one in trash if one.key not in live], [one for one in trash if one.key in live]
