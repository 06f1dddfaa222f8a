"""How SQLite finds images: its index of words, and what its planner does."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kontext_tools.references import Ref
from kontext_tools.stores import schema, sql_finds
from kontext_tools.stores.finds import Page, Wanted
from kontext_tools.stores.sqlite_database import SqliteDatabase
from support.fake_clock import START
from support.raw_rows import insert, refs

pytestmark = pytest.mark.anyio


@given(
    text=st.one_of(st.text(max_size=60), st.text('"*^:(){}-+ANDORNT \x00\ud800', max_size=30)), any_word=st.booleans()
)
@settings(max_examples=400, deadline=None)
def test_no_text_is_ever_an_error(text: str, any_word: bool) -> None:
    with closing(sqlite3.connect(":memory:", factory=SqliteDatabase)) as db:
        schema.migrate(db)
        wanted = Wanted(words=tuple(text.split()), any_word=any_word, since=START)
        assert sql_finds.images(db, "ann", wanted, limit=5, before=None) == Page()


# No stem of one of these is another, and no other begins like one: what must be found can be told by looking.
WORDS = ("kite", "lamp", "moon", "oak", "pond", "rock")


@given(
    prompts=st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4), min_size=1, max_size=8),
    asked=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3),
    cut=st.integers(0, 2),
    any_word=st.booleans(),
    limit=st.integers(1, 4),
)
@settings(max_examples=150, deadline=None)
def test_what_is_found_holds_the_words_and_all_that_does_is_found_once_newest_first(
    prompts: list[list[str]], asked: list[str], cut: int, any_word: bool, limit: int
) -> None:
    *whole, last = asked
    last = last[: len(last) - cut]
    with closing(sqlite3.connect(":memory:", factory=SqliteDatabase)) as db:
        schema.migrate(db)
        for n, prompt in enumerate(prompts):
            insert(db, f"job-{n:04}", n, prompt=" ".join(prompt))
        pages, before = list[list[str]](), None
        while True:
            wanted = Wanted(words=(*whole, last), any_word=any_word)
            page = sql_finds.images(db, "ann", wanted, limit=limit, before=before)
            pages.append(refs(page.rows))
            before = page.last
            if before is None:
                break

    def holds(prompt: list[str]) -> bool:
        each = [word in prompt for word in whole] + [any(word.startswith(last) for word in prompt)]
        return any(each) if any_word else all(each)

    expected = [f"job-{n:04}/1" for n, prompt in enumerate(prompts) if holds(prompt)]
    assert [ref for one in pages for ref in one] == expected[::-1]
    assert all(len(one) == limit for one in pages[:-1])


def test_an_image_that_is_removed_is_found_no_more() -> None:
    with closing(sqlite3.connect(":memory:", factory=SqliteDatabase)) as db:
        schema.migrate(db)
        insert(db, "one-0000", 1)
        db.execute("DELETE FROM outputs")
        assert sql_finds.images(db, "ann", Wanted(words=("car",)), limit=9, before=None) == Page()
        assert db.execute("SELECT COUNT(*) FROM image_words").fetchone() == (0,)


def test_a_database_of_before_the_search_finds_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None, factory=SqliteDatabase)) as db:
        with monkeypatch.context() as before:
            before.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:5])
            schema.migrate(db)
        insert(db, "red-0000", 7, prompt="a red car")
        insert(db, "blu-0000", 7, prompt="a blue car", parent="red-0000/1")
        insert(db, "sky-0000", 9, prompt="the sky")
        db.execute("""UPDATE jobs SET doc = '{"edit": {"keep": "the horizon"}}' WHERE id = 'sky-0000'""")
        # A row that cannot be read hides itself alone.
        insert(db, "bad-0000", 8, prompt="a car")
        db.execute("UPDATE jobs SET doc = 'no json' WHERE id = 'bad-0000'")
        schema.migrate(db)
        assert schema.version_of(db) == len(schema.MIGRATIONS)

        def words(*asked: str) -> list[str]:
            return refs(sql_finds.images(db, "ann", Wanted(words=asked), limit=9, before=None).rows)

        assert words() == ["sky-0000/1", "bad-0000/1", "red-0000/1", "blu-0000/1"]
        assert words("car") == ["bad-0000/1", "red-0000/1", "blu-0000/1"]
        assert words("horizon") == ["sky-0000/1"]
        insert(db, "new-0000", 7, prompt="another car")
        assert words("car") == ["new-0000/1", "bad-0000/1", "red-0000/1", "blu-0000/1"]
        of = Wanted(derived_from=Ref(job_id="red-0000", n=1))
        assert refs(sql_finds.images(db, "ann", of, limit=9, before=None).rows) == ["blu-0000/1"]


PLANS = {
    "all": Wanted(),
    "since": Wanted(since=START),
    "words": Wanted(words=("car",), since=START),
    "descent": Wanted(words=("car",), since=START, derived_from=Ref(job_id="car-0000", n=1)),
}


@pytest.mark.parametrize("which", PLANS)
def test_no_list_reads_through_all_the_images_or_jobs_there_are(tmp_path: Path, which: str) -> None:
    said: list[str] = []
    with closing(sqlite3.connect(tmp_path / "k.db", isolation_level=None, factory=SqliteDatabase)) as db:
        schema.migrate(db)
        db.set_trace_callback(said.append)
        sql_finds.images(db, "ann", PLANS[which], limit=9, before=5)
        sql_finds.kin(db, "ann", Ref(job_id="car-0000", n=1), limit=9)
        db.set_trace_callback(None)
        asked = [statement for statement in said if not statement.startswith("--")]
        plans = [row[3] for statement in asked for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert not [plan for plan in plans if plan.startswith(("SCAN jobs", "SCAN outputs"))], plans
    sorted_ = [plan for plan in plans if "TEMP B-TREE" in plan]
    assert bool(sorted_) is (which == "descent"), plans
    walks = [plan for plan in plans if "outputs_line" in plan or "outputs_places" in plan]
    assert bool(walks) is (which != "descent"), plans
