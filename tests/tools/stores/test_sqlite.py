"""The file itself: opening, migrating, and what is told when it is not sound."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import anyio
import pytest

from kontext_tools.budget import Unit
from kontext_tools.errors import KontextError, StorageBusy, StorageDamaged, StorageFull
from kontext_tools.stores import schema
from kontext_tools.stores.sqlite import SqliteStore
from kontext_tools.stores.sqlite_file import translated
from support.rows import a_job, admit

pytestmark = pytest.mark.anyio


async def opened(path: Path) -> SqliteStore:
    store = SqliteStore(path, busy_s=0.05)
    await store.open()
    return store


async def failure_of(store: SqliteStore) -> KontextError:
    with pytest.raises(KontextError) as caught:
        await store.job("ann", "red-car-4k7q")
    await store.close()
    return caught.value


async def test_what_was_recorded_is_there_after_the_file_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "kontext.db"
    store = await opened(path)
    await admit(store, a_job())
    await store.close()
    again = await opened(path)
    assert await again.job("ann", "red-car-4k7q") == a_job()
    await again.close()


async def test_the_file_is_its_owners_alone_and_so_are_its_companions(tmp_path: Path) -> None:
    store = await opened(tmp_path / "data" / "kontext.db")
    await admit(store, a_job())
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
    await store.close()
    assert modes == {"kontext.db": 0o600, "kontext.db-wal": 0o600, "kontext.db-shm": 0o600}
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


async def test_an_empty_file_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "kontext.db"
    path.touch()
    store = await opened(path)
    assert await store.jobs("ann", limit=5) == []
    await store.close()
    with sqlite3.connect(path) as db:
        assert schema.version_of(db) == len(schema.MIGRATIONS)
    db.close()


async def test_a_store_opens_itself_at_the_first_verb(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "kontext.db")
    assert await store.job("ann", "red-car-4k7q") is None
    await store.close()


async def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    store = await opened(tmp_path / "kontext.db")
    await store.close()
    await store.close()


async def test_a_newer_database_is_told_at_the_verbs_and_opening_does_not_raise(tmp_path: Path) -> None:
    path = tmp_path / "kontext.db"
    await (await opened(path)).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    db.close()
    before = path.read_bytes()
    error = await failure_of(await opened(path))
    assert isinstance(error, StorageDamaged)
    assert "newer version" in error.failure.message
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"this is no database, whatever its name says" * 40, b"SQLite format 3\x00" + b"\xff" * 4080]
)
async def test_a_file_that_is_no_database_is_told_as_damaged_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "kontext.db"
    path.write_bytes(content)
    error = await failure_of(await opened(path))
    assert isinstance(error, StorageDamaged)
    assert path.read_bytes() == content
    with pytest.raises(StorageDamaged):
        await admit(SqliteStore(path), a_job())
    assert path.read_bytes() == content


async def test_pages_that_were_overwritten_are_told_as_damaged(tmp_path: Path) -> None:
    path = tmp_path / "kontext.db"
    store = await opened(path)
    await admit(store, a_job())
    await store.close()
    sound = path.read_bytes()
    path.write_bytes(sound[:4096] + b"\xa5" * (len(sound) - 4096))
    broken = path.read_bytes()
    assert isinstance(await failure_of(await opened(path)), StorageDamaged)
    assert path.read_bytes() == broken


async def test_a_database_that_another_process_holds_is_busy_and_serves_again_once_it_is_free(tmp_path: Path) -> None:
    path = tmp_path / "kontext.db"
    store = await opened(path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageBusy) as caught:
        await admit(store, a_job())
    assert caught.value.failure.retryable
    assert await store.job("ann", "red-car-4k7q") is None
    holder.execute("ROLLBACK")
    holder.close()
    assert not (await admit(store, a_job())).joined
    await store.close()


async def test_a_database_that_was_held_at_the_start_serves_once_it_is_free(tmp_path: Path) -> None:
    path = tmp_path / "kontext.db"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    store = await opened(path)
    with pytest.raises(StorageBusy):
        await store.spent("ann", day="2026-11-20", unit=Unit.USD)
    holder.execute("ROLLBACK")
    holder.close()
    assert await store.spent("ann", day="2026-11-20", unit=Unit.USD) == 0
    await store.close()


async def test_a_data_folder_that_is_a_file_is_told_as_storage_full(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    error = await failure_of(await opened(tmp_path / "data" / "kontext.db"))
    assert isinstance(error, StorageFull)
    assert "KONTEXT_DATA_DIR" in error.failure.fix


async def test_a_folder_in_the_files_place_is_told_as_storage_full(tmp_path: Path) -> None:
    (tmp_path / "kontext.db").mkdir()
    assert isinstance(await failure_of(await opened(tmp_path / "kontext.db")), StorageFull)


async def test_two_processes_that_start_at_once_on_one_empty_folder_both_serve(tmp_path: Path) -> None:
    one, two = await opened(tmp_path / "kontext.db"), await opened(tmp_path / "kontext.db")
    await admit(one, a_job())
    assert await two.job("ann", "red-car-4k7q") == a_job()
    await one.close()
    await two.close()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_BUSY, StorageBusy),
        (sqlite3.SQLITE_LOCKED, StorageBusy),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StorageBusy),
        (sqlite3.SQLITE_FULL, StorageFull),
        (sqlite3.SQLITE_IOERR_WRITE, StorageFull),
        (sqlite3.SQLITE_CANTOPEN, StorageFull),
        (sqlite3.SQLITE_READONLY_DBMOVED, StorageFull),
        (sqlite3.SQLITE_CORRUPT, StorageDamaged),
        (sqlite3.SQLITE_NOTADB, StorageDamaged),
        (sqlite3.SQLITE_CONSTRAINT, StorageDamaged),
    ],
)
def test_each_error_of_sqlite_stands_for_one_failure(code: int, kind: type[KontextError]) -> None:
    error = sqlite3.OperationalError("it broke")
    error.sqlite_errorcode = code
    assert type(translated(error)) is kind


async def test_processes_that_make_one_new_database_at_once_are_none_of_them_refused(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        for n in range(20):
            stores = [SqliteStore(tmp_path / f"{n}.db") for _ in range(4)]
            async with anyio.create_task_group() as tasks:
                for store in stores:
                    # Raises `StorageBusy` where its own opening was refused.
                    tasks.start_soon(store.recent_ids, "ann")
            for store in stores:
                await store.close()
