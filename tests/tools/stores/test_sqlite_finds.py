"""Lists of images by words, by time and by descent."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from kontext_tools.jobs import Source, SourceKind
from kontext_tools.references import Ref
from kontext_tools.stores import schema, sql_finds
from kontext_tools.stores.finds import ImageRow, Page, Wanted
from kontext_tools.stores.sqlite import SqliteStore
from kontext_tools.stores.sqlite_database import SqliteDatabase
from support.fake_clock import START
from support.rows import keep

pytestmark = pytest.mark.anyio


def refs(rows: Sequence[ImageRow]) -> list[str]:
    return [str(row.ref) for row in rows]


async def found(store: SqliteStore, text: str = "", *, owner: str = "ann", **wanted: object) -> list[str]:
    page = await store.images(owner, Wanted(words=tuple(text.split()), **wanted), limit=50)  # pyright: ignore[reportArgumentType]
    return refs(page.rows)


def made_from(ref: str) -> Source:
    return Source(kind=SourceKind.RESULT, parent=ref)


async def test_words_are_found_in_prompt_label_and_keep_and_every_one_must_stand_there(store: SqliteStore) -> None:
    await keep(store, "one-car-0000", prompt="A red car", label="garage", second=1)
    await keep(store, "two-car-0000", prompt="a blue car", label="street", stays="the wet road", second=2)
    assert await found(store, "car") == ["two-car-0000/1", "one-car-0000/1"]
    assert await found(store, "CAR garage") == ["one-car-0000/1"]
    assert await found(store, "blue road street") == ["two-car-0000/1"]
    assert await found(store, "red street") == []
    assert await found(store, "red street", any_word=True) == ["two-car-0000/1", "one-car-0000/1"]


@pytest.mark.parametrize(
    "text", ["cars", "changing", "cafe", "CAFÉ", "gar", "car g", "café's", "what's \"new", "café-car", "C"]
)
async def test_a_word_is_found_in_its_other_forms_and_the_last_by_its_beginning(store: SqliteStore, text: str) -> None:
    await keep(
        store, "one-car-0000", prompt="Change the car at the café, what's new? At the café's cafe-car", label="garage"
    )
    assert await found(store, text) == ["one-car-0000/1"]


async def test_only_the_last_word_may_be_a_beginning(store: SqliteStore) -> None:
    await keep(store, "one-car-0000", prompt="a red garage")
    assert await found(store, "red gara") == ["one-car-0000/1"]
    assert await found(store, "gara red") == []


@pytest.mark.parametrize(
    "text",
    ["50% -", "a_b", "back\\slash", "'quoted'", '"x"', "AND", "car OR", "NEAR(a b)", "prompt:car", "c*r", "(", "^car"],
)
async def test_a_word_means_itself_whatever_signs_it_holds(store: SqliteStore, text: str) -> None:
    await keep(store, "one-car-0000", prompt=f"sale {text} off", second=1)
    await keep(store, "two-car-0000", prompt="a lake", second=2)
    assert await found(store, f"sale {text}") == ["one-car-0000/1"]


@pytest.mark.parametrize("text", ["--", '"', "🚗", "_ *", "\x00"])
async def test_what_holds_no_letter_and_no_digit_finds_nothing(store: SqliteStore, text: str) -> None:
    await keep(store, "one-car-0000", prompt=f"sale {text} off")
    assert await found(store, text) == []


@given(
    text=st.one_of(st.text(max_size=60), st.text('"*^:(){}-+ANDORNT \x00\ud800', max_size=30)), any_word=st.booleans()
)
@settings(max_examples=400, deadline=None)
def test_no_text_is_ever_an_error(text: str, any_word: bool) -> None:
    with closing(sqlite3.connect(":memory:", factory=SqliteDatabase)) as db:
        schema.migrate(db)
        wanted = Wanted(words=tuple(text.split()), any_word=any_word, since=START)
        assert sql_finds.images(db, "ann", wanted, limit=5, before=None) == Page()


async def test_a_search_of_very_many_words_is_none_either(store: SqliteStore) -> None:
    await keep(store, "one-car-0000", prompt="word1 word2")
    many = " ".join(f"word{n}" for n in range(5_000))
    assert await found(store, many) == []
    assert await found(store, many, any_word=True) == ["one-car-0000/1"]


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


def insert(db: SqliteDatabase, job_id: str, us: int, *, prompt: str = "a car", parent: str | None = None) -> None:
    """Write a row as any program may: the index is the database's own affair."""
    db.execute(
        """INSERT INTO jobs (id, owner, tool, status, label, prompt, provider, parent, created_us, fingerprint,
            key_digest, doc) VALUES (?, 'ann', 'edit_image', 'completed', '', ?, 'fal', ?, ?, '', '', '{}')""",
        (job_id, prompt, parent, us),
    )
    db.execute(
        """INSERT INTO outputs (job_id, n, owner, created_us, blob, media_type, width, height, size_bytes, sha256)
            VALUES (?, 1, 'ann', ?, '', 'image/png', 1, 1, 1, '')""",
        (job_id, us),
    )


async def test_anothers_images_are_never_found(store: SqliteStore) -> None:
    await keep(store, "one-car-0000", owner="bob", prompt="a car")
    await keep(store, "two-car-0000", owner="bob", source=made_from("one-car-0000/1"))
    assert await found(store, "car") == []
    # Nor does the owner's own word in the index count as one of the search.
    for text in ("bob", b"bob".hex(), b"ann".hex(), f"owner:{b'bob'.hex()}"):
        assert await found(store, text) == []
        assert await found(store, f"{text} car", any_word=True) == []
    assert await found(store, derived_from=Ref(job_id="one-car-0000", n=1)) == []
    assert await store.kin("ann", Ref(job_id="two-car-0000", n=1), limit=9) == []
    assert await found(store, "car", owner="bob") == ["two-car-0000/1", "one-car-0000/1"]


async def test_pages_of_a_search_are_not_disturbed_by_newer_images(store: SqliteStore) -> None:
    for n in range(3):
        await keep(store, f"red-car-000{n}", second=n)
    wanted = Wanted(words=("car",))
    first = await store.images("ann", wanted, limit=2)
    await keep(store, "new-car-0000", second=9)
    rest = await store.images("ann", wanted, limit=9, before=first.last)
    assert refs(first.rows) + refs(rest.rows) == ["red-car-0002/1", "red-car-0001/1", "red-car-0000/1"]
    assert (await store.images("ann", limit=2)).rows == (await store.images("ann", wanted, limit=2)).rows


async def test_images_of_one_moment_each_have_a_place_of_their_own(store: SqliteStore) -> None:
    for n in range(3):
        await keep(store, f"red-car-000{n}", images=4)
    every = await found(store)
    assert every == await found(store, "car")
    assert len(set(every)) == 12
    paged, before = list[str](), None
    for _ in every:
        page = await store.images("ann", Wanted(words=("car",)), limit=1, before=before)
        paged, before = paged + refs(page.rows), page.last
    assert paged == every


@pytest.mark.parametrize("text", ["", "car"])
async def test_since_is_held_by_the_time_that_is_told(store: SqliteStore, text: str) -> None:
    for n in range(4):
        await keep(store, f"red-car-000{n}", second=10 * n, images=2)
    # Kept last, at a time before: the clock was set back.
    await keep(store, "odd-car-0000", second=15)
    after = await found(store, text, since=START + timedelta(seconds=20))
    assert after == ["red-car-0003/2", "red-car-0003/1", "red-car-0002/2", "red-car-0002/1"]
    assert await found(store, text, since=START + timedelta(seconds=31)) == []


async def test_descendants_are_those_of_every_generation_newest_first(store: SqliteStore) -> None:
    await keep(store, "car-0000", images=2)
    await keep(store, "red-0000", prompt="red", source=made_from("car-0000/1"), second=1, images=2)
    await keep(store, "sky-0000", prompt="sky", source=made_from("car-0000/2"), second=2)
    await keep(store, "wet-0000", prompt="wet", source=made_from("red-0000/2"), second=3)
    await keep(store, "dry-0000", prompt="dry", source=made_from("wet-0000/1"), second=4)
    of = {ref: Ref(job_id=f"{ref[:3]}-0000", n=int(ref[4])) for ref in ("car/1", "car/2", "red/1", "red/0", "car/0")}
    assert await found(store, derived_from=of["car/1"]) == snapshot(
        ["dry-0000/1", "wet-0000/1", "red-0000/2", "red-0000/1"]
    )
    assert await found(store, derived_from=of["car/2"]) == snapshot(["sky-0000/1"])
    assert await found(store, derived_from=of["red/1"]) == []
    # What `red` was made from is car/1 itself; what `car` was made from is no image of ours, so it is car's own.
    assert await found(store, derived_from=of["red/0"]) == await found(store, derived_from=of["car/1"])
    assert len(await found(store, derived_from=of["car/0"])) == 7
    assert await found(store, "wet", derived_from=of["car/1"]) == ["wet-0000/1"]
    assert await found(store, "sky dry", any_word=True, derived_from=of["car/1"]) == ["dry-0000/1"]
    assert await found(store, "--", derived_from=of["car/1"]) == []
    first = await store.images("ann", Wanted(derived_from=of["car/1"]), limit=3)
    rest = await store.images("ann", Wanted(derived_from=of["car/1"]), limit=3, before=first.last)
    assert (len(first.rows), refs(rest.rows), rest.last) == (3, ["red-0000/1"], None)


def test_a_circle_of_parents_ends() -> None:
    with closing(sqlite3.connect(":memory:", factory=SqliteDatabase)) as db:
        schema.migrate(db)
        insert(db, "one-0000", 1, parent="two-0000/1")
        insert(db, "two-0000", 2, parent="one-0000/1")
        of = Ref(job_id="one-0000", n=1)
        page = sql_finds.images(db, "ann", Wanted(derived_from=of), limit=9, before=None)
        assert refs(page.rows) == ["two-0000/1", "one-0000/1"]
        assert sorted(refs(sql_finds.kin(db, "ann", of, limit=9))) == ["one-0000/1", "two-0000/1"]


def test_jobs_without_an_image_take_no_relatives_place() -> None:
    with closing(sqlite3.connect(":memory:", factory=SqliteDatabase)) as db:
        schema.migrate(db)
        for n in range(9):
            insert(db, f"car-000{n}", n, parent="old-0000/1")
        db.execute("DELETE FROM outputs WHERE place < 6")
        kin = sql_finds.kin(db, "ann", Ref(job_id="old-0000", n=1), limit=3)
        assert sorted(refs(kin)) == ["car-0006/1", "car-0007/1", "car-0008/1"]


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
