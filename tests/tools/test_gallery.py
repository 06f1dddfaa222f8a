"""The verbs that only read images: what is found, shown and traced, of one's own alone."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import anyio
import pytest
from inline_snapshot import snapshot
from PIL import Image

from kontext_tools.edits import MATCH_INPUT, Edit
from kontext_tools.errors import InvalidArgument, KontextError, ResultInvalid, UnknownRef
from kontext_tools.finding import Search
from kontext_tools.gallery import Finds
from kontext_tools.jobs import Job, SendState
from kontext_tools.providers.base import Phase, Snapshot
from kontext_tools.studio import Studio
from kontext_tools.views import Call, View
from support.fake_clock import FakeClock
from support.scripted import OFFER, Scripted
from support.workshop import OWNER, Workshop, output, png, workshop

pytestmark = pytest.mark.anyio

DONE = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
DAY_S = 86_400


def provider() -> Scripted:
    return Scripted(creates=[DONE] * 9, looks=[DONE], offer=replace(OFFER, concurrency=9))


@pytest.fixture
async def shop(tmp_path: Path, anyio_backend: str) -> AsyncGenerator[Workshop]:
    with anyio.fail_after(30):
        async with workshop(tmp_path, provider()) as made:
            yield made


@pytest.fixture
def photo(tmp_path: Path) -> str:
    path = tmp_path / "cat.png"
    path.write_bytes(png(width=200, height=100))
    return str(path)


async def made(shop: Workshop, prompt: str, image: str | None = None, *, label: str = "") -> Job:
    """Make an image, and let a minute pass."""
    edit = Edit(prompt=prompt, image=image, label=label, aspect_ratio="1:1" if image is None else MATCH_INPUT)
    verb = shop.studio.generate_image if image is None else shop.studio.edit_image
    view = await verb(edit, Call(owner=OWNER))
    assert isinstance(view, View)
    job = await shop.until(view.job.id, SendState.COMPLETED)
    shop.clock.advance(60)
    return job


async def find(studio: Studio, query: str = "", *, owner: str = OWNER, **given: str) -> Finds:
    return await studio.find_images(owner, Search(query=query, **given), limit=9)


def refs(finds: Finds) -> list[str]:
    return [str(row.ref) for row in finds.rows]


async def test_a_search_that_finds_nothing_as_written_is_read_more_loosely_and_that_is_told(shop: Workshop) -> None:
    old = await made(shop, "a red car")
    shop.clock.advance(3 * DAY_S)
    new = await made(shop, "a blue car")
    assert await find(shop.studio, "red car") == Finds(rows=(await find(shop.studio, "red")).rows)
    for query in ("today's car", "car from today"):
        today = await find(shop.studio, query)
        assert refs(today) == [f"{new.id}/1"]
        assert today.told == ("The day in the query was read as since=2026-11-23T00:00+00:00.",)
    either = await find(shop.studio, "red lorry")
    assert (refs(either), len(either.told)) == ([f"{old.id}/1"], 1)
    assert await find(shop.studio, "lorry") == Finds()
    # A word that stands in a prompt is that word, and no day.
    sign = await made(shop, "write OPEN TODAY on the sign")
    assert await find(shop.studio, "open today") == Finds(rows=(await find(shop.studio, "sign")).rows)
    assert refs(await find(shop.studio, "sign")) == [f"{sign.id}/1"]


@pytest.mark.parametrize(("zone", "found"), [(UTC, 1), (ZoneInfo("America/New_York"), 2), (ZoneInfo("Asia/Seoul"), 0)])
async def test_today_is_the_day_of_the_zone_that_the_composition_names(
    tmp_path: Path, zone: tzinfo, found: int
) -> None:
    clock = FakeClock(datetime(2026, 11, 19, 23, 30, tzinfo=UTC))
    with anyio.fail_after(30):
        async with workshop(tmp_path, provider(), clock=clock, zone=zone) as shop:
            await made(shop, "late")
            clock.advance(3600 * 2)
            await made(shop, "early")
            clock.advance(3600 * 1.5 if found else 3600 * 14)
            assert len(refs(await find(shop.studio, since="today"))) == found


async def test_pages_go_on_as_they_began_while_images_come_and_time_passes(shop: Workshop) -> None:
    first = await made(shop, "a red car")
    second = await made(shop, "a red bus")
    search = Search(query="red lorry", since="1d")
    page = await shop.studio.find_images(OWNER, search, limit=1)
    assert page.next_cursor is not None
    # Now one image holds both words, and the first ones are more than a day old.
    await made(shop, "a red lorry")
    shop.clock.advance(DAY_S)
    rest = await shop.studio.find_images(OWNER, search, limit=1, cursor=page.next_cursor)
    assert refs(page) + refs(rest) == [f"{second.id}/1", f"{first.id}/1"]
    assert rest.next_cursor is None and rest.told == page.told
    with pytest.raises(InvalidArgument, match="belongs to another search"):
        await shop.studio.find_images(OWNER, Search(), limit=1, cursor=page.next_cursor)


async def test_what_was_made_from_an_image_is_found_by_any_of_its_names(
    shop: Workshop, photo: str, tmp_path: Path
) -> None:
    root = await made(shop, "Make it red", photo)
    child = await made(shop, "Make it dark", f"{root.id}/1")
    grandchild = await made(shop, "Make it wet", f"{child.id}/1")
    kept = str(tmp_path / root.outputs[0].blob)
    uri = f"kontext://images/{root.id}/1"
    for name in (f"{root.id}/1", root.id, f"`{root.id}/1`", uri, kept, f"file://{kept}"):
        assert refs(await find(shop.studio, derived_from=name)) == [f"{grandchild.id}/1", f"{child.id}/1"]
    assert refs(await find(shop.studio, "dark", derived_from=root.id)) == [f"{child.id}/1"]
    assert len(refs(await find(shop.studio, derived_from=f"{root.id}/0"))) == 3
    lineage = await shop.studio.lineage(OWNER, f"{child.id}/1")
    assert [str(one.ref) for one in lineage.ancestors] == [f"{root.id}/0", f"{root.id}/1"]
    assert [str(one.ref) for one in lineage.descendants] == [f"{grandchild.id}/1"]
    # The source of a job is the image that it came from; nothing lies before a photograph.
    assert (await shop.studio.lineage(OWNER, f"{child.id}/0")).ancestors == lineage.ancestors
    assert (await shop.studio.lineage(OWNER, f"{root.id}/0")).ancestors == ()
    alone = await made(shop, "a lake")
    assert (await shop.studio.lineage(OWNER, alone.id)).ancestors == ()


@pytest.mark.parametrize("wrong", ["red-4k7q/1", "the car", "/etc/passwd", "https://example.com/a.png", "data:,"])
async def test_what_names_no_own_image_is_refused_with_the_nearest_that_do(shop: Workshop, wrong: str) -> None:
    async def refused_derived(name: str) -> KontextError:
        with pytest.raises(UnknownRef) as caught:
            await find(shop.studio, derived_from=name)
        return caught.value

    async def refused_viewed(name: str) -> KontextError:
        with pytest.raises(UnknownRef) as caught:
            await shop.studio.view_images(OWNER, [name], longest_px=64, most_bytes=10_000)
        return caught.value

    nothing = (await refused_derived(wrong)).failure
    assert nothing.fix == "There is no image yet: make one with edit_image or generate_image first."
    job = await made(shop, "a red car")
    for field, refused in (("derived_from", refused_derived), ("refs", refused_viewed)):
        failure = (await refused(wrong)).failure
        assert (failure.field, failure.fix) == (field, f"Call again with one of the nearest: {job.id}/1.")
        assert wrong not in failure.message
    ref = failure.fix.removesuffix(".").split()[-1]
    assert refs(await find(shop.studio, derived_from=ref)) == []
    await shop.studio.view_images(OWNER, [ref], longest_px=64, most_bytes=10_000)


async def test_what_is_shown_is_one_jpeg_for_each_in_order_the_source_too(shop: Workshop, photo: str) -> None:
    job = await made(shop, "Make it red", photo)
    asked = [f"{job.id}/0", job.id, f"{job.id}/0"]
    pictures, fitted = await shop.studio.view_images(OWNER, asked, longest_px=100, most_bytes=480_000)
    assert [str(one.ref) for one in pictures] == [f"{job.id}/0", f"{job.id}/1", f"{job.id}/0"]
    sizes = [Image.open(io.BytesIO(jpeg), formats=["JPEG"]).size for jpeg in fitted.jpegs]
    assert sizes == [(100, 50), (64, 48), (100, 50)]
    assert (pictures[0].facts.width, fitted.quality) == (200, 85)


async def test_a_file_that_was_changed_is_not_shown_and_the_fix_names_those_that_are_whole(
    shop: Workshop, tmp_path: Path
) -> None:
    jobs = [await made(shop, prompt) for prompt in ("a red car", "a blue bus", "a tree")]
    every = [f"{job.id}/1" for job in jobs]
    (tmp_path / jobs[1].outputs[0].blob).write_bytes(b"else")
    with pytest.raises(ResultInvalid) as refused:
        await shop.studio.view_images(OWNER, every, longest_px=64, most_bytes=480_000)
    assert every[1] in refused.value.failure.message
    assert refused.value.failure.fix == f"Call again with refs={[every[0], every[2]]}."
    with pytest.raises(ResultInvalid, match="changed or removed") as alone:
        await shop.studio.view_images(OWNER, [every[1]], longest_px=64, most_bytes=480_000)
    assert alone.value.failure.fix == snapshot("Find another image with find_images, or make it again.")


async def test_anothers_images_read_as_absent(shop: Workshop, photo: str) -> None:
    job = await made(shop, "Make it red", photo)
    await made(shop, "Make it dark", f"{job.id}/1")
    for given in ({}, {"query": "red"}, {"since": "7d"}):
        assert await shop.studio.find_images("bob", Search(**given), limit=9) == Finds()
    (cursor,) = {(await shop.studio.find_images(OWNER, Search(), limit=1)).next_cursor}
    assert await shop.studio.find_images("bob", Search(), limit=9, cursor=cursor or "") == Finds()
    for ref in (f"{job.id}/1", f"{job.id}/0"):
        with pytest.raises(UnknownRef) as hidden:
            await shop.studio.find_images("bob", Search(derived_from=ref), limit=9)
        assert job.id not in f"{hidden.value.failure}"
        with pytest.raises(UnknownRef):
            await shop.studio.view_images("bob", [ref], longest_px=64, most_bytes=10_000)
        with pytest.raises(UnknownRef):
            await shop.studio.lineage("bob", ref)
