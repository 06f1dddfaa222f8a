"""A database looked at: what is told of it, of every schema there was, and that a look leaves no trace."""

from __future__ import annotations

import hashlib
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from kontext_tools.errors import StorageBusy, StorageDamaged, StorageFull
from kontext_tools.stores import schema
from kontext_tools.stores.health import Leftovers
from kontext_tools.stores.sqlite import SqliteStore
from kontext_tools.stores.sqlite_health import KNOWN, SqliteHealth
from support.fake_clock import START
from support.rows import a_job, admit, claim_all, keep

pytestmark = pytest.mark.anyio

LATER = START + timedelta(hours=1)


async def filled(path: Path, *, images: int = 3) -> SqliteStore:
    store = SqliteStore(path)
    await store.open()
    for n in range(images):
        await keep(store, f"red-car-{n:04}", second=n)
    return store


def traces(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def at_version(path: Path, version: int) -> None:
    """Lay a database of an earlier schema."""
    with sqlite3.connect(path, isolation_level=None) as db:
        for number in range(version):
            schema.MIGRATIONS[number](db)
        db.execute(f"PRAGMA user_version = {version}")
    db.close()


async def test_a_sound_database_is_told_and_left_as_it_was(tmp_path: Path) -> None:
    store = await filled(tmp_path / "kontext.db")
    await store.close()
    before = traces(tmp_path)
    health = SqliteHealth(tmp_path / "kontext.db")
    assert health.version() == KNOWN == len(schema.MIGRATIONS)
    assert health.leftovers(now=LATER) == Leftovers(running={}, unknown=(), stale=0)
    assert health.newest_blobs(limit=2) == ["images/red-car-0002-1.png", "images/red-car-0001-1.png"]
    assert traces(tmp_path) == before


async def test_what_a_living_server_has_only_logged_is_seen(tmp_path: Path) -> None:
    store = await filled(tmp_path / "kontext.db", images=1)
    assert SqliteHealth(tmp_path / "kontext.db").newest_blobs(limit=9) == ["images/red-car-0000-1.png"]
    await store.close()


async def test_jobs_left_over_are_counted_and_those_in_doubt_are_named_newest_first(tmp_path: Path) -> None:
    store = await filled(tmp_path / "kontext.db")
    for n in range(2):
        await admit(store, a_job(f"blue-car-{n:04}", created_at=START + timedelta(seconds=n)))
    await claim_all(store, lease_until=START + timedelta(seconds=30))
    await store.close()
    with sqlite3.connect(tmp_path / "kontext.db", isolation_level=None) as db:
        db.execute("UPDATE jobs SET status = 'unknown' WHERE id LIKE 'blue%'")
        db.execute("UPDATE sends SET state = 'intent' WHERE job_id = 'blue-car-0001'")
    db.close()
    health = SqliteHealth(tmp_path / "kontext.db")
    in_doubt = ("blue-car-0001", "blue-car-0000")
    assert health.leftovers(now=LATER) == Leftovers(running={"unknown": 2}, unknown=in_doubt, stale=1)
    assert health.leftovers(now=START).stale == 0


@pytest.mark.parametrize("version", range(KNOWN + 1))
def test_every_schema_there_was_is_understood_and_none_is_migrated(tmp_path: Path, version: int) -> None:
    at_version(tmp_path / "kontext.db", version)
    health = SqliteHealth(tmp_path / "kontext.db")
    assert health.version() == version
    assert health.leftovers(now=LATER) == Leftovers(running={}, unknown=(), stale=0)
    assert health.newest_blobs(limit=9) == []
    assert health.version() == version


def test_a_newer_database_is_refused_with_both_numbers(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "kontext.db") as db:
        db.execute(f"PRAGMA user_version = {KNOWN + 2}")
    db.close()
    with pytest.raises(StorageDamaged, match=rf"its schema is {KNOWN + 2}, this program knows {KNOWN}"):
        SqliteHealth(tmp_path / "kontext.db").version()


@pytest.mark.parametrize("damage", [b"this is no database at all, not at all", None])
async def test_a_damaged_database_is_told_as_such(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "kontext.db"
    await (await filled(path, images=40)).close()
    content = path.read_bytes()
    # Of the second kind only pages in the middle are overwritten: it opens, and breaks where one looks.
    path.write_bytes(damage or content[:8192] + b"\xa5" * 16_384 + content[24_576:])
    with pytest.raises(StorageDamaged):
        SqliteHealth(path).version()


async def test_a_database_that_another_process_holds_is_busy(tmp_path: Path) -> None:
    path = tmp_path / "kontext.db"
    await (await filled(path)).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageBusy):
        SqliteHealth(path, busy_s=0.0).version()
    holder.close()


async def test_a_server_that_starts_under_a_look_makes_no_damage_of_it(tmp_path: Path) -> None:
    path = tmp_path / "kontext.db"
    await (await filled(path)).close()
    writer = sqlite3.connect(path, isolation_level=None)
    asked: list[int] = []

    def question(db: sqlite3.Connection) -> int:
        asked.append(1)
        if len(asked) == 1:
            writer.execute("DELETE FROM gates")
            raise sqlite3.DatabaseError("database disk image is malformed")
        return int(db.execute("SELECT COUNT(*) FROM jobs").fetchone()[0])

    assert SqliteHealth(path)._ask(question) == 3  # pyright: ignore[reportPrivateUsage]  # the moment is a test's alone
    writer.close()


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StorageFull):
        SqliteHealth(tmp_path / "kontext.db").version()
    assert list(tmp_path.iterdir()) == []
