"""Who made an image: kept with it, a word of the index, whatever its job says later."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from inline_snapshot import snapshot

from kontext_tools.budget import Caps
from kontext_tools.references import Ref
from kontext_tools.stores import sql_finds
from kontext_tools.stores.base import Handover
from kontext_tools.stores.finds import Wanted
from support.fake_clock import START
from support.places import AnyStore, Place
from support.raw_rows import found, insert_car, refs
from support.rows import a_job, admit, an_output, claim_all

pytestmark = pytest.mark.anyio


async def test_an_image_is_its_own_sends_providers_also_where_its_job_was_passed_on_after_it(
    store: AnyStore,
) -> None:
    await admit(store, a_job(sends=2))
    first, second = await claim_all(store, lease_until=START + timedelta(minutes=1))
    assert await store.save(first.send, now=START, release=False, outputs=[an_output(1)])
    queued = replace(second.send, provider="bfl")
    other = Handover(sends=(queued,), provider="bfl", model="m", request={}, warning="w")
    assert await store.hand_over(second.send, other, caps=Caps.none(), now=START)
    (again,) = await claim_all(store, now=START, lease_until=START + timedelta(minutes=1))
    later = START + timedelta(seconds=1)
    assert await store.save(again.send, now=later, release=False, outputs=[an_output(2)])
    job = await store.any_job("red-car-4k7q")
    assert job is not None and job.provider == "bfl"
    page = await store.images("ann", limit=9)
    assert [(str(row.ref), row.provider) for row in page.rows] == snapshot(
        [("red-car-4k7q/2", "bfl"), ("red-car-4k7q/1", "fal")]
    )
    for provider, ref in (("fal", "red-car-4k7q/1"), ("bfl", "red-car-4k7q/2")):
        for words in ((), ("car",)):
            wanted = Wanted(provider=provider, words=words)
            assert refs((await store.images("ann", wanted, limit=9)).rows) == [ref]


def test_one_providers_images_are_found_by_words_time_descent_and_pages(place: Place) -> None:
    with place.opened() as db:
        insert_car(db, 1)
        insert_car(db, 2, provider="bfl", parent="car-0001/1")
        insert_car(db, 3, provider="core.today", prompt="the sea", parent="car-0002/1")
        insert_car(db, 4, provider="bfl", prompt="the sea", parent="car-0003/1")
        assert found(db, provider="bfl") == ["car-0004/1", "car-0002/1"]
        assert found(db, provider="core.today") == ["car-0003/1"]
        assert found(db, provider="bfl", words=("sea",)) == ["car-0004/1"]
        assert found(db, provider="bfl", words=("sea", "lake"), any_word=True) == ["car-0004/1"]
        assert found(db, provider="bfl", words=("--",)) == []
        of = Ref(job_id="car-0001", n=1)
        assert found(db, provider="bfl", derived_from=of) == ["car-0004/1", "car-0002/1"]
        assert found(db, provider="bfl", derived_from=of, words=("car",)) == ["car-0002/1"]
        assert found(db, provider="bfl", before=4) == ["car-0002/1"]
        assert sql_finds.images(db, "bob", Wanted(provider="bfl"), limit=9, before=None).rows == ()


@pytest.mark.parametrize("name", ["BFL", "bf", "bfl*", 'bfl" OR "fal', "bfls", "", "core", "today", "\x00"])
def test_a_providers_name_means_itself_alone(place: Place, name: str) -> None:
    with place.opened() as db:
        insert_car(db, 1, provider="bfl")
        insert_car(db, 2, provider="core.today")
        assert found(db, provider=name) == []
