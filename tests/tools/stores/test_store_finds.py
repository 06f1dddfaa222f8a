"""Lists of images by words, by time and by descent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from inline_snapshot import snapshot

from kontext_tools.jobs import Source, SourceKind
from kontext_tools.references import Ref
from kontext_tools.stores import sql_finds
from kontext_tools.stores.finds import Wanted
from support.fake_clock import START
from support.places import AnyStore, Place
from support.raw_rows import insert, refs
from support.rows import keep

pytestmark = pytest.mark.anyio


async def found(store: AnyStore, text: str = "", *, owner: str = "ann", **wanted: object) -> list[str]:
    page = await store.images(owner, Wanted(words=tuple(text.split()), **wanted), limit=50)  # pyright: ignore[reportArgumentType]
    return refs(page.rows)


def made_from(ref: str) -> Source:
    return Source(kind=SourceKind.RESULT, parent=ref)


async def test_words_are_found_in_prompt_label_and_keep_and_every_one_must_stand_there(store: AnyStore) -> None:
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
async def test_a_word_is_found_in_its_other_forms_and_the_last_by_its_beginning(store: AnyStore, text: str) -> None:
    await keep(
        store, "one-car-0000", prompt="Change the car at the café, what's new? At the café's cafe-car", label="garage"
    )
    assert await found(store, text) == ["one-car-0000/1"]


async def test_only_the_last_word_may_be_a_beginning(store: AnyStore) -> None:
    await keep(store, "one-car-0000", prompt="a red garage")
    assert await found(store, "red gara") == ["one-car-0000/1"]
    assert await found(store, "gara red") == []


@pytest.mark.parametrize(
    "text",
    ["50% -", "a_b", "back\\slash", "'quoted'", '"x"', "AND", "car OR", "NEAR(a b)", "prompt:car", "c*r", "(", "^car"],
)
async def test_a_word_means_itself_whatever_signs_it_holds(store: AnyStore, text: str) -> None:
    await keep(store, "one-car-0000", prompt=f"sale {text} off", second=1)
    await keep(store, "two-car-0000", prompt="a lake", second=2)
    assert await found(store, f"sale {text}") == ["one-car-0000/1"]


@pytest.mark.parametrize("text", ["--", '"', "🚗", "_ *", "\x00"])
async def test_what_holds_no_letter_and_no_digit_finds_nothing(store: AnyStore, text: str) -> None:
    await keep(store, "one-car-0000", prompt=f"sale {text} off")
    assert await found(store, text) == []


async def test_a_search_of_very_many_words_is_none_either(store: AnyStore) -> None:
    await keep(store, "one-car-0000", prompt="word1 word2")
    many = " ".join(f"word{n}" for n in range(5_000))
    assert await found(store, many) == []
    assert await found(store, many, any_word=True) == ["one-car-0000/1"]


async def test_anothers_images_are_never_found(store: AnyStore) -> None:
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


async def test_pages_of_a_search_are_not_disturbed_by_newer_images(store: AnyStore) -> None:
    for n in range(3):
        await keep(store, f"red-car-000{n}", second=n)
    wanted = Wanted(words=("car",))
    first = await store.images("ann", wanted, limit=2)
    await keep(store, "new-car-0000", second=9)
    rest = await store.images("ann", wanted, limit=9, before=first.last)
    assert refs(first.rows) + refs(rest.rows) == ["red-car-0002/1", "red-car-0001/1", "red-car-0000/1"]
    assert (await store.images("ann", limit=2)).rows == (await store.images("ann", wanted, limit=2)).rows


async def test_images_of_one_moment_each_have_a_place_of_their_own(store: AnyStore) -> None:
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
async def test_since_is_held_by_the_time_that_is_told(store: AnyStore, text: str) -> None:
    for n in range(4):
        await keep(store, f"red-car-000{n}", second=10 * n, images=2)
    # Kept last, at a time before: the clock was set back.
    await keep(store, "odd-car-0000", second=15)
    after = await found(store, text, since=START + timedelta(seconds=20))
    assert after == ["red-car-0003/2", "red-car-0003/1", "red-car-0002/2", "red-car-0002/1"]
    assert await found(store, text, since=START + timedelta(seconds=31)) == []


async def test_descendants_are_those_of_every_generation_newest_first(store: AnyStore) -> None:
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


def test_a_circle_of_parents_ends(place: Place) -> None:
    with place.opened() as db:
        insert(db, "one-0000", 1, parent="two-0000/1")
        insert(db, "two-0000", 2, parent="one-0000/1")
        of = Ref(job_id="one-0000", n=1)
        page = sql_finds.images(db, "ann", Wanted(derived_from=of), limit=9, before=None)
        assert refs(page.rows) == ["two-0000/1", "one-0000/1"]
        assert sorted(refs(sql_finds.kin(db, "ann", of, limit=9))) == ["one-0000/1", "two-0000/1"]


def test_jobs_without_an_image_take_no_relatives_place(place: Place) -> None:
    with place.opened() as db:
        for n in range(9):
            insert(db, f"car-000{n}", n, parent="old-0000/1")
        db.execute("DELETE FROM outputs WHERE place < 6")
        kin = sql_finds.kin(db, "ann", Ref(job_id="old-0000", n=1), limit=3)
        assert sorted(refs(kin)) == ["car-0006/1", "car-0007/1", "car-0008/1"]
