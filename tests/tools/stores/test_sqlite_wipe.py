"""What SQLite's own files still hold of what was deleted, and what its documents and keys have to do with it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from kontext_tools.stores import sql_forgets, sqlite
from kontext_tools.stores.base import JobNews
from kontext_tools.stores.database import Database
from kontext_tools.stores.finds import Wanted
from kontext_tools.stores.forgets import Going
from kontext_tools.stores.sqlite import SqliteStore
from kontext_tools.stores.sqlite_database import SqliteDatabase
from support.places import SqlitePlace
from support.rows import keep

pytestmark = pytest.mark.anyio


@pytest.fixture
def place(tmp_path: Path) -> SqlitePlace:
    return SqlitePlace(tmp_path / "kontext.db")


PLANTED = "zanzibar"
OTHERS = ("hill", "lake", "boat", "roof", "lamp", "door")


def holding(folder: Path, word: str) -> list[str]:
    """Give the database's files that hold a word, in whatever case."""
    return sorted(path.name for path in folder.glob("kontext.db*") if word.encode() in path.read_bytes().lower())


def prompt(random: Random, *more: str) -> str:
    """Give a prompt of any length: some fill pages of their own."""
    words = [*more, *random.choices(OTHERS, k=random.choice((3, 30, 600)))]
    random.shuffle(words)
    return " ".join(words)


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another process"])
async def test_the_words_of_what_was_deleted_are_in_no_file_of_the_database(
    tmp_path: Path, anyio_backend: str, monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    monkeypatch.setattr(sqlite, "MERGED_PAGES", 2)
    random, path = Random(7), tmp_path / "kontext.db"
    one, other = SqliteStore(path), SqliteStore(path)
    gone = [f"gone-{i:04}" for i in range(40)]
    stay = [f"stay-{i:04}" for i in range(40)]
    for i in random.sample(range(80), 80):
        job_id, words = (gone[i], (PLANTED, f"{PLANTED}s")) if i < 40 else (stay[i - 40], ())
        await keep(one, job_id, prompt=prompt(random, *words), label=" ".join(words), stays=prompt(random, *words))
        if random.random() < 0.5:
            await one.add_news(job_id, JobNews(warnings=(prompt(random, *words),)))
    if beside:
        assert len((await other.images("ann", Wanted(words=(PLANTED,)), limit=99)).rows) == 40
    assert holding(tmp_path, PLANTED) != []
    for i in range(0, 40, 8):
        await one.forget("ann", gone[i : i + 8])
    await one.wipe()
    assert holding(tmp_path, PLANTED) == []
    if beside:
        await keep(other, "new-0000", prompt="a boat")
        assert (await other.images("ann", Wanted(words=("zan",)), limit=99)).rows == ()
    left = {row.job_id for row in (await one.images("ann", Wanted(words=OTHERS, any_word=True), limit=99)).rows}
    assert left == {*stay, *(["new-0000"] if beside else [])}
    for store in (one, other):
        await store.close()
    assert holding(tmp_path, PLANTED) == []
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.execute("INSERT INTO image_words (image_words) VALUES ('integrity-check')")


async def test_wiping_what_is_wiped_ends_at_once(store: SqliteStore) -> None:
    for i in range(3):
        await store.wipe()
        await keep(store, f"red-car-{i:04}")
    await store.wipe()
    assert len((await store.images("ann", Wanted(words=("car",)), limit=9)).rows) == 3


async def test_a_job_whose_document_is_damaged_can_be_deleted_too(store: SqliteStore) -> None:
    await keep(store, "red-car-4k7q")
    await store._write(lambda db: db.execute("UPDATE jobs SET doc = 'torn'"))  # pyright: ignore[reportPrivateUsage]
    going = await store.forget("ann", ["red-car-4k7q"])
    assert going == Going(job_ids=("red-car-4k7q",), images=1, size_bytes=1234)
    assert await store.recent_ids("ann") == []


async def test_a_deletion_looks_rows_up_and_never_reads_all_of_a_table(store: SqliteStore) -> None:
    """A server that wants to write waits for the transaction: it may not take longer the more there is."""
    statements = list[str]()
    await keep(store, "red-car-4k7q")

    def forget(db: Database) -> None:
        assert isinstance(db, SqliteDatabase)
        db.set_trace_callback(statements.append)
        sql_forgets._forget(db, "ann", ["red-car-4k7q"])  # pyright: ignore[reportPrivateUsage]
        db.set_trace_callback(None)

    await store._write(forget)  # pyright: ignore[reportPrivateUsage]
    asked = {text for text in statements if text.startswith(("SELECT", "DELETE", "UPDATE"))}
    plans = list[str]()

    def explain(db: Database) -> None:
        for text in asked:
            plans.extend(f"{row[3]}: {text}" for row in db.execute(f"EXPLAIN QUERY PLAN {text}"))

    await store._write(explain)  # pyright: ignore[reportPrivateUsage]
    assert len(asked) > 10
    assert [plan for plan in plans if plan.startswith("SCAN") and " answers" not in plan and " tasks" not in plan] == []
