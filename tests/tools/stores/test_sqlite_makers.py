"""Who made an image: what SQLite's index and its older databases have to do with it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from kontext_tools.stores import schema, sql_finds
from kontext_tools.stores.finds import Wanted
from kontext_tools.stores.sqlite_database import SqliteDatabase
from support.fake_clock import START
from support.raw_rows import found, insert_car, insert_image

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("words", [(), ("car",)])
def test_a_page_of_the_few_that_one_provider_made_walks_over_no_others(words: tuple[str, ...]) -> None:
    def steps(others: int) -> int:
        with closing(sqlite3.connect(":memory:", factory=SqliteDatabase)) as db:
            schema.migrate(db)
            for n in range(1, 4):
                insert_car(db, n, provider="bfl")
            for n in range(4, 4 + others):
                insert_car(db, n)
            taken = list[int]()
            db.set_progress_handler(lambda: taken.append(1), 1)
            assert found(db, provider="bfl", words=words) == ["car-0003/1", "car-0002/1", "car-0001/1"]
            db.set_progress_handler(None, 1)
            return len(taken)

    # One step for each of the others would be more than there are; segments of the index cost a few.
    assert steps(800) < 800


@pytest.mark.parametrize("wanted", [Wanted(provider="bfl"), Wanted(provider="bfl", words=("car",), since=START)])
def test_one_providers_images_are_a_walk_of_the_index_of_words(tmp_path: Path, wanted: Wanted) -> None:
    said: list[str] = []
    with closing(sqlite3.connect(tmp_path / "k.db", isolation_level=None, factory=SqliteDatabase)) as db:
        schema.migrate(db)
        db.set_trace_callback(said.append)
        sql_finds.images(db, "ann", wanted, limit=9, before=5)
        db.set_trace_callback(None)
        asked = [statement for statement in said if not statement.startswith("--")]
        plans = [row[3] for statement in asked for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert [plan.partition(" VIRTUAL")[0].partition(" USING")[0] for plan in plans] == snapshot(
        ["SCAN image_words", "SEARCH outputs", "SEARCH jobs"]
    )
    assert "outputs_places (place=?)" in plans[1]


def test_a_database_of_before_makers_were_kept_tells_them_by_its_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None, factory=SqliteDatabase)) as db:
        with monkeypatch.context() as before:
            before.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:9])
            schema.migrate(db)
        insert_car(db, 1, provider="bfl")
        for n, us in ((2, 2), (3, 3), (4, 4)):
            insert_image(db, "car-0001", n, us=us)
        insert_car(db, 5, provider="kkiai", prompt="the sea")
        # A send of two images, one that was passed on, and one whose row cannot be read, which tells nothing.
        for n, provider, doc in (
            (1, "fal", json.dumps({"first_output": 1})),
            (2, "bfl", json.dumps({"first_output": 3})),
            (3, "replicate", "no json"),
        ):
            db.execute(
                "INSERT INTO sends (job_id, n, provider, state, due_us, doc) VALUES ('car-0001', ?, ?, 'x', 0, ?)",
                (n, provider, doc),
            )
        schema.migrate(db)
        insert_car(db, 6, provider="bfl", prompt="the sea")
        rows = sql_finds.images(db, "ann", Wanted(), limit=9, before=None).rows
        assert [(str(row.ref), row.provider) for row in rows] == snapshot(
            [
                ("car-0006/1", "bfl"),
                ("car-0005/1", "kkiai"),
                ("car-0001/4", "bfl"),
                ("car-0001/3", "bfl"),
                ("car-0001/2", "fal"),
                ("car-0001/1", "fal"),
            ]
        )
        for provider in ("bfl", "fal", "kkiai", "replicate"):
            assert found(db, provider=provider) == [str(row.ref) for row in rows if row.provider == provider]
        assert found(db, words=("sea",)) == ["car-0006/1", "car-0005/1"]
        db.execute("DELETE FROM outputs WHERE job_id = 'car-0001'")
        assert found(db, provider="fal") == []
        assert db.execute("SELECT COUNT(*) FROM image_words").fetchone() == (2,)
