"""Lists: pages, words, cursors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from kontext_tools.edits import Edit
from kontext_tools.jobs import SendState, Source, SourceKind
from kontext_tools.stores.base import ImageRow
from kontext_tools.stores.sqlite import SqliteStore
from kontext_tools.stores.sqlite_reads import parse_cursor
from support.fake_clock import START
from support.rows import a_job, admit, an_output, claim_all

pytestmark = pytest.mark.anyio

LEASE = START + timedelta(minutes=5)


async def keep(store: SqliteStore, job_id: str, *, prompt: str = "a red car", label: str = "", **facts: object) -> None:
    """Record a job with one image, kept at the moment that `second` names."""
    second, images, owner = facts.get("second", 0), facts.get("images", 1), facts.get("owner", "ann")
    assert isinstance(second, int) and isinstance(images, int)
    job = a_job(job_id, owner=owner, edit=Edit(prompt=prompt, label=label), source=facts.get("source"))
    moment = START + timedelta(seconds=second)
    await admit(store, replace(job, created_at=moment))
    (claim,) = [c for c in await claim_all(store, lease_until=LEASE, now=moment) if c.send.job_id == job_id]
    for state in (SendState.INTENT, SendState.SUBMITTED, SendState.READY):
        assert await store.save(replace(claim.send, state=state), now=moment, release=False)
    outputs = [an_output(n, job_id) for n in range(1, images + 1)]
    done = replace(claim.send, state=SendState.COMPLETED)
    assert await store.save(done, now=moment, release=True, outputs=outputs)


def refs(rows: Sequence[ImageRow]) -> list[str]:
    return [f"{row.job_id}/{row.output.n}" for row in rows]


async def pages(store: SqliteStore, limit: int, words: Sequence[str] = ()) -> list[list[str]]:
    found: list[list[str]] = []
    cursor: str | None = None
    while True:
        rows, cursor = await store.images("ann", words=words, limit=limit, cursor=cursor)
        found.append(refs(rows))
        if cursor is None:
            return found


async def test_an_image_is_listed_with_the_facts_of_its_job(store: SqliteStore) -> None:
    source = Source(kind=SourceKind.RESULT, parent="old-car-0000/1")
    await keep(store, "red-car-4k7q", label="the car", source=source)
    (row,), cursor = await store.images("ann", limit=5)
    assert cursor is None
    assert row == ImageRow(
        job_id="red-car-4k7q",
        output=an_output(),
        label="the car",
        prompt="a red car",
        provider="fal",
        created_at=START,
        parent="old-car-0000/1",
    )


async def test_images_come_newest_first_whatever_the_size_of_a_page(store: SqliteStore) -> None:
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


async def test_a_page_is_not_disturbed_by_a_newer_image(store: SqliteStore) -> None:
    await keep(store, "one-car-0000", second=1)
    await keep(store, "two-car-0000", second=2)
    first, cursor = await store.images("ann", limit=1)
    await keep(store, "new-car-0000", second=3)
    second, _ = await store.images("ann", limit=5, cursor=cursor)
    assert refs(first) + refs(second) == ["two-car-0000/1", "one-car-0000/1"]


async def test_every_word_must_stand_in_the_prompt_or_the_label(store: SqliteStore) -> None:
    await keep(store, "one-car-0000", prompt="A red car", label="garage", second=1)
    await keep(store, "two-car-0000", prompt="a blue car", label="street", second=2)
    assert refs((await store.images("ann", words=["car"], limit=9))[0]) == ["two-car-0000/1", "one-car-0000/1"]
    assert refs((await store.images("ann", words=["CAR", "gara"], limit=9))[0]) == ["one-car-0000/1"]
    assert refs((await store.images("ann", words=["red", "street"], limit=9))[0]) == []


@pytest.mark.parametrize("word", ["50%", "a_b", "back\\slash", "'quoted'", '"x"', "--"])
async def test_a_word_means_itself_whatever_signs_it_holds(store: SqliteStore, word: str) -> None:
    await keep(store, "one-car-0000", prompt=f"sale {word} off", second=1)
    await keep(store, "two-car-0000", prompt="sale 50 a-b backslash quoted x - off", second=2)
    assert refs((await store.images("ann", words=[word], limit=9))[0]) == ["one-car-0000/1"]


async def test_words_and_pages_go_together(store: SqliteStore) -> None:
    for n in range(6):
        await keep(store, f"red-car-000{n}", prompt="red" if n % 2 else "blue", second=n)
    assert await pages(store, 2, ["red"]) == [["red-car-0005/1", "red-car-0003/1"], ["red-car-0001/1"]]


async def test_anothers_images_are_never_on_the_page(store: SqliteStore) -> None:
    await keep(store, "one-car-0000", owner="bob")
    assert await store.images("ann", limit=5) == ([], None)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "1",
        "x.red-car-4k7q.1",
        "1..1",
        "1.red-car-4k7q.x",
        "1.red-car-4k7q.100",
        "-1.a.1",
        "٣.a.1",
        "9" * 19 + ".a.1",
    ],
)
async def test_a_cursor_that_is_none_of_ours_is_a_value_error(store: SqliteStore, cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        await store.images("ann", limit=5, cursor=cursor)


@given(st.text(max_size=40))
@settings(max_examples=300)
def test_any_text_is_a_cursor_or_a_value_error(text: str) -> None:
    try:
        created, job_id, n = parse_cursor(text)
    except ValueError:
        return
    assert 0 <= created < 10**18 and 0 <= n < 100 and job_id


async def test_jobs_come_newest_first_and_before_one_that_is_named(store: SqliteStore) -> None:
    for n in range(4):
        await admit(store, a_job(f"red-car-000{n}", created_at=START + timedelta(seconds=n // 2)))
    ids = [job.id for job in await store.jobs("ann", limit=10)]
    assert ids == ["red-car-0003", "red-car-0002", "red-car-0001", "red-car-0000"]
    older = await store.jobs("ann", limit=2, before="red-car-0002")
    assert [job.id for job in older] == ["red-car-0001", "red-car-0000"]
    assert await store.jobs("ann", limit=2, before="no-such-0000") == []
    newest = await store.recent_ids("ann", limit=2)
    assert set(newest) == {"red-car-0003", "red-car-0002"}
