"""Lists and their pages."""

from __future__ import annotations

from datetime import timedelta

import pytest
from inline_snapshot import snapshot

from kontext_tools.jobs import Source, SourceKind
from kontext_tools.stores.finds import ImageRow, Page
from support.fake_clock import START
from support.places import AnyStore
from support.raw_rows import refs
from support.rows import a_job, admit, an_output, keep

pytestmark = pytest.mark.anyio


async def pages(store: AnyStore, limit: int) -> list[list[str]]:
    found: list[list[str]] = []
    before: int | None = None
    while True:
        page = await store.images("ann", limit=limit, before=before)
        found.append(refs(page.rows))
        before = page.last
        if before is None:
            return found


async def test_an_image_is_listed_with_the_facts_of_its_job(store: AnyStore) -> None:
    source = Source(kind=SourceKind.RESULT, parent="old-car-0000/1")
    await keep(store, "red-car-4k7q", label="the car", source=source)
    page = await store.images("ann", limit=5)
    assert page.last is None
    (row,) = page.rows
    assert row == ImageRow(
        job_id="red-car-4k7q",
        output=an_output(),
        label="the car",
        prompt="a red car",
        provider="fal",
        created_at=START,
        parent="old-car-0000/1",
    )


async def test_images_come_newest_first_whatever_the_size_of_a_page(store: AnyStore) -> None:
    await keep(store, "one-car-0000", second=1, images=2)
    await keep(store, "two-car-0000", second=3)
    await keep(store, "six-car-0000", second=2, images=4)
    # At the same moment as the one before: the id decides, so that no page loses one.
    await keep(store, "ten-car-0000", second=2)
    whole = (await pages(store, 50))[0]
    assert whole == snapshot(
        [
            "two-car-0000/1",
            "ten-car-0000/1",
            "six-car-0000/4",
            "six-car-0000/3",
            "six-car-0000/2",
            "six-car-0000/1",
            "one-car-0000/2",
            "one-car-0000/1",
        ]
    )
    for limit in range(1, 10):
        found = await pages(store, limit)
        assert [ref for page in found for ref in page] == whole
        assert all(len(page) == limit for page in found[:-1]) and found[-1]


async def test_a_page_is_not_disturbed_by_a_newer_image(store: AnyStore) -> None:
    await keep(store, "one-car-0000", second=1)
    await keep(store, "two-car-0000", second=2)
    first = await store.images("ann", limit=1)
    await keep(store, "new-car-0000", second=3)
    second = await store.images("ann", limit=5, before=first.last)
    assert refs(first.rows) + refs(second.rows) == ["two-car-0000/1", "one-car-0000/1"]


async def test_anothers_images_are_never_on_the_page(store: AnyStore) -> None:
    await keep(store, "one-car-0000", owner="bob")
    assert await store.images("ann", limit=5) == Page()


async def test_jobs_come_newest_first_and_before_one_that_is_named(store: AnyStore) -> None:
    for n in range(4):
        await admit(store, a_job(f"red-car-000{n}", created_at=START + timedelta(seconds=n // 2)))
    ids = [job.id for job in await store.jobs("ann", limit=10)]
    assert ids == ["red-car-0003", "red-car-0002", "red-car-0001", "red-car-0000"]
    older = await store.jobs("ann", limit=2, before="red-car-0002")
    assert [job.id for job in older] == ["red-car-0001", "red-car-0000"]
    assert await store.jobs("ann", limit=2, before="no-such-0000") == []
    newest = await store.recent_ids("ann", limit=2)
    assert set(newest) == {"red-car-0003", "red-car-0002"}
