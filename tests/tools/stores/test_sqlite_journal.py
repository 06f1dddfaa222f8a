"""SQLite's journal: marks that are numbers."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from kontext_tools.stores.journal import Tidings
from kontext_tools.stores.sqlite import SqliteStore
from support.places import SqlitePlace
from support.rows import a_job, admit

pytestmark = pytest.mark.anyio


@pytest.fixture
def place(tmp_path: Path) -> SqlitePlace:
    return SqlitePlace(tmp_path / "kontext.db")


async def test_the_journal_stays_short_and_says_when_a_look_came_too_late(store: SqliteStore, tmp_path: Path) -> None:
    await admit(store, a_job())
    mark = (await store.tidings(None)).mark
    assert isinstance(mark, int)
    row = ("ann", "red-car-4k7q", "job", 0)
    with closing(sqlite3.connect(tmp_path / "kontext.db")) as db, db:
        for _ in range(3000):
            db.execute("INSERT INTO journal (owner, job_id, what, n) VALUES (?, ?, ?, ?)", row)
        (kept,) = db.execute("SELECT COUNT(*) FROM journal").fetchone()
    late = await store.tidings(mark)
    assert isinstance(late.mark, int)
    assert (kept, late.missed, len(late.happenings), late.mark) == (kept, True, kept, mark + 3000)
    assert 1024 <= kept < 1024 + 256
    assert not (await store.tidings(late.mark - 1000)).missed


async def test_a_database_that_was_put_back_from_a_copy_is_told_as_missed(store: SqliteStore) -> None:
    await admit(store, a_job())
    mark = (await store.tidings(None)).mark
    assert isinstance(mark, int)
    assert await store.tidings(mark + 7) == Tidings(mark=mark, missed=True)
