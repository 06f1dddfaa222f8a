"""A SQLite store moved into PostgreSQL: all of it or nothing, once, and the file takes no more writes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from kontext_tools.budget import Unit
from kontext_tools.errors import InvalidArgument, KontextError, StorageBusy, StorageDamaged
from kontext_tools.stores import schema
from kontext_tools.stores.finds import Wanted
from kontext_tools.stores.moving import TABLES, Moved, move
from kontext_tools.stores.sqlite import SqliteStore
from support.fake_clock import START
from support.places import AnyStore, PostgresPlace
from support.postgres import Server
from support.rows import a_job, admit, keep

pytestmark = pytest.mark.anyio

NEVER_MOVED = {"journal", "sqlite_sequence"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the SQLite store lies."""
    return tmp_path / "kontext.db"


@pytest.fixture
def target(postgres: Server) -> PostgresPlace:
    """An empty schema."""
    return PostgresPlace(postgres, postgres.new_schema())


async def filled(path: Path) -> SqliteStore:
    """Give an open store with jobs of two owners: one ended, one with a NUL among its words, others queued."""
    store = SqliteStore(path)
    await store.open()
    await keep(store, "red-car-4k7q", owner="local", label="first\x00one")
    await admit(store, a_job("big-sea-1234", owner="local", sends=2, request_key="k1"))
    await admit(store, a_job("old-oak-9999", owner="ann"))
    await store.release("one")
    return store


async def told(store: AnyStore, owner: str) -> list[object]:
    """Give all that an owner can see: jobs, whole; images by words; what was spent."""
    jobs = await store.jobs(owner, limit=50)
    page = await store.images(owner, Wanted(words=("red",)), limit=10)
    return [jobs, page, await store.usage(owner, days=9), await store.spent(owner, day="2026-11-20", unit=Unit.USD)]


async def test_everything_that_can_be_seen_reads_the_same_from_there_and_goes_on(
    path: Path, target: PostgresPlace
) -> None:
    source = await filled(path)
    before = [await told(source, owner) for owner in ("local", "ann")]
    await source.close()
    assert move(path, target.url, now=START, owners={}) == Moved(jobs=3, images=1)
    store = target.store()
    await store.open()
    after = [await told(store, owner) for owner in ("local", "ann")]
    # PostgreSQL holds no NUL: in the columns that are only looked at, another sign stands for it.
    assert str(after) == str(before).replace("label='first\\x00one', prompt", "label='first\ufffdone', prompt")
    later = START + timedelta(minutes=1)
    claims = await store.claim("two", now=later, lease_until=later, limit=9, slots={"fal": 9})
    assert sorted((claim.job_id, claim.n) for claim in claims) == [
        ("big-sea-1234", 1),
        ("big-sea-1234", 2),
        ("old-oak-9999", 1),
    ]
    await store.close()


async def test_the_local_users_jobs_become_those_of_who_is_named(path: Path, target: PostgresPlace) -> None:
    source = await filled(path)
    mine = await source.jobs("local", limit=9)
    await source.close()
    move(path, target.url, now=START, owners={"local": "eve"})
    store = target.store()
    await store.open()
    assert [job.id for job in await store.jobs("eve", limit=9)] == [job.id for job in mine]
    assert list(await store.jobs("local", limit=9)) == []
    assert len((await store.images("eve", limit=9)).rows) == 1
    assert await store.spent("eve", day="2026-11-20", unit=Unit.USD) > 0
    await store.close()


async def test_nobody_writes_to_the_file_after_not_even_who_had_it_open(path: Path, target: PostgresPlace) -> None:
    source = await filled(path)
    move(path, target.url, now=START, owners={})
    with pytest.raises(KontextError):
        await admit(source, a_job("too-late-0000"))
    assert await source.job("local", "too-late-0000") is None
    assert await source.job("local", "red-car-4k7q") is not None
    await source.close()
    again = SqliteStore(path)
    await again.open()
    with pytest.raises(StorageDamaged, match="were moved to PostgreSQL"):
        await again.jobs("local", limit=1)
    await again.close()


async def test_what_broke_off_is_done_again_whole_and_what_was_done_is_not(path: Path, target: PostgresPlace) -> None:
    await (await filled(path)).close()
    with target.opened():
        pass
    target.rows(
        "CREATE FUNCTION refused () RETURNS TRIGGER LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '53100'; END $$"
    )
    target.rows("CREATE TRIGGER full_disk BEFORE INSERT ON forgotten FOR EACH STATEMENT EXECUTE FUNCTION refused()")
    with pytest.raises(KontextError) as broken:
        move(path, target.url, now=START, owners={})
    assert broken.value.failure.code == "storage_full"
    assert target.rows("SELECT COUNT(*) FROM jobs") == [(0,)]
    target.rows("DROP FUNCTION refused() CASCADE")
    assert move(path, target.url, now=START, owners={}) == Moved(jobs=3, images=1)
    assert move(path, target.url, now=START, owners={}) == Moved(jobs=3, images=1, before=True)


async def test_a_database_with_other_jobs_is_left_as_it_is_and_so_is_the_file(
    path: Path, target: PostgresPlace
) -> None:
    source = await filled(path)
    other = target.store()
    await other.open()
    await admit(other, a_job("not-ours-0001"))
    with pytest.raises(InvalidArgument, match="holds other jobs"):
        move(path, target.url, now=START, owners={})
    assert [job.id for job in await other.jobs("ann", limit=9)] == ["not-ours-0001"]
    await admit(source, a_job("still-mine-0002"))
    await other.close()
    await source.close()


async def test_a_file_whose_jobs_are_being_driven_is_left_to_its_server(path: Path, target: PostgresPlace) -> None:
    source = await filled(path)
    await source.claim("server", now=START, lease_until=START + timedelta(seconds=10), limit=1, slots={"fal": 1})
    with pytest.raises(StorageBusy, match="still drives jobs"):
        move(path, target.url, now=START + timedelta(seconds=9), owners={})
    await admit(source, a_job("still-mine-0002"))
    assert move(path, target.url, now=START + timedelta(seconds=10), owners={}).jobs == 4
    await source.close()


def test_every_table_of_both_schemas_is_taken_over_with_every_column(path: Path, target: PostgresPlace) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        schema.migrate(db)
        tables = {
            name
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not name.startswith("image_words") and name not in NEVER_MOVED
        }
        columns = {name: {row[1] for row in db.execute(f"PRAGMA table_info({name})")} - {"seq"} for name in tables}
    assert {name: set(of) for name, of in TABLES.items()} == columns
    with target.opened():
        pass
    there = target.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = CURRENT_SCHEMA()")
    own = {"journal", "journal_gone", "kontext_schema"}
    assert {name for (name,) in there} - own == set(TABLES)
