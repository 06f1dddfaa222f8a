"""The database, the pictures that it names, and the jobs that nobody has ended.

What it is not: a store; nothing is made, migrated or moved. Above: checkup. Below: the store's own questions.
"""

from __future__ import annotations

from collections.abc import Sequence

import anyio.to_thread

from kontext_server import storage
from kontext_server.doctor.case import Case
from kontext_server.doctor.findings import Finding, fail, ok, warn
from kontext_server.setting_sources import SettingError
from kontext_tools.blobs import keys
from kontext_tools.blobs.files import FileBlobs
from kontext_tools.errors import KontextError
from kontext_tools.stores.health import Health, Leftovers
from kontext_tools.stores.sqlite_health import SqliteHealth

NEWEST = 200
"""So many pictures are looked for: a walk over all of them takes long, and what was moved away was moved as a whole."""

TOLD = 3


async def look(case: Case) -> Sequence[Finding]:
    """Look at the database and, where it is sound, at what it tells."""
    looked = await anyio.to_thread.run_sync(lambda: _look(case))
    return [*looked, *await _storage(case)]


def _look(case: Case) -> Sequence[Finding]:
    far = case.read.kontext_database_url is not None
    try:
        health = _health(case)
        if health is None:
            return [ok("database", "none yet: it is made at the first start")]
        version = health.version()
        leftovers = health.leftovers(now=case.clock.now())
        newest = health.newest_blobs(limit=NEWEST)
    except SettingError as wrong:
        return [fail("database", f"{wrong}", "Mend that, or unset KONTEXT_DATABASE_URL.", of_settings=True)]
    except KontextError as error:
        failure = error.failure
        return [fail("database", failure.message.removesuffix("."), failure.fix, of_settings=far)]
    sound = f"{'PostgreSQL answers' if far else 'sound'}, schema {version}"
    migrated = "" if version == health.known else f"; the next start brings it to {health.known}"
    pictures = _pictures(case, newest) if case.read.kontext_blob_url is None else ()
    return [ok("database", sound + migrated), *pictures, *_jobs(leftovers)]


def _health(case: Case) -> Health | None:
    """Give the questions to the database; `None` where there is none yet."""
    url = storage.database_url(case.read)
    if url is not None:
        from kontext_tools.stores.postgres_health import PostgresHealth

        return PostgresHealth(url, busy_s=case.locked_s)
    path = case.read.kontext_data_dir / storage.DATABASE_FILE
    return SqliteHealth(path, busy_s=case.locked_s) if path.exists() else None


async def _storage(case: Case) -> Sequence[Finding]:
    """Look at the bucket: what it needs is there, and, online, whether it answers one GET."""
    name, place = "storage", case.read.kontext_blob_url
    if place is None:
        return []
    try:
        blobs = storage.blobs(case.read, case.environment)
        if not case.online:
            return [ok(name, f"pictures are kept at {place}; with --online it is asked")]
        await blobs.read(keys.NOTHING)
    except SettingError as wrong:
        return [fail(name, f"{wrong}", "Set it, or unset KONTEXT_BLOB_URL.", of_settings=True)]
    except KontextError as error:
        failure = error.failure
        return [fail(name, f"{place}: {failure.message.removesuffix('.')}", failure.fix, of_settings=True)]
    return [ok(name, f"pictures are kept at {place}, which answers")]


def _pictures(case: Case, newest: Sequence[str]) -> Sequence[Finding]:
    blobs = FileBlobs(case.read.kontext_data_dir)
    gone = [key for key in newest if (path := blobs.path(key)) is None or not path.is_file()]
    if not gone:
        return [ok("pictures", f"the newest {len(newest)} are all here" if newest else "none yet")]
    cause = f"{len(gone)} of the newest {len(newest)} are not in the data folder: {_few(gone)}"
    return [warn("pictures", cause, "Put them back under their names, from a backup; they are never served otherwise.")]


def _jobs(leftovers: Leftovers) -> Sequence[Finding]:
    running = {status: count for status, count in leftovers.running.items() if status != "unknown"}
    told = ", ".join(f"{count} {status}" for status, count in sorted(running.items()))
    lines = [ok("jobs", f"{told}: a running server brings them to their end" if told else "none is under way")]
    if leftovers.stale:
        cause = f"{leftovers.stale} about to go out when their program ended: whether they did is not known"
        lines.append(warn("stale sends", cause, "Start a server: it tells them as unknown, and sends nothing again."))
    if leftovers.unknown:
        cause = f"{len(leftovers.unknown)} may have been charged: {_few(leftovers.unknown)}"
        mend = "Look at the provider's list, then: kontext jobs --resolve JOB charged|not-charged"
        lines.append(warn("unknown jobs", cause, mend))
    return lines


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    return ", ".join(names[:TOLD]) + more
