"""Thumbnails: made once and kept, given only of a picture that is as it was, and never what a read fails of."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest
from PIL import Image

from kontext_tools.edits import Edit
from kontext_tools.errors import NotFound, ResultInvalid, UnknownRef
from kontext_tools.jobs import Job, SendState
from kontext_tools.providers.base import Phase, RemoteOutput, Snapshot
from kontext_tools.views import Call, View
from support.scripted import Scripted
from support.workshop import OWNER, Workshop, png, workshop

pytestmark = pytest.mark.anyio

DONE = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(RemoteOutput(data=png(800, 400, "red")),))


@pytest.fixture
async def shop(tmp_path: Path, anyio_backend: str) -> AsyncGenerator[Workshop]:
    with anyio.fail_after(30):
        async with workshop(tmp_path, Scripted(creates=[DONE], looks=[DONE])) as made:
            yield made


@pytest.fixture
async def job(shop: Workshop, tmp_path: Path) -> Job:
    """An edit of a teal picture of 64x48 that gave a red one of 800x400."""
    (tmp_path / "cat.png").write_bytes(png())
    view = await shop.studio.edit_image(Edit(prompt="Red", image=str(tmp_path / "cat.png")), Call(owner=OWNER))
    assert isinstance(view, View)
    return await shop.until(view.job.id, SendState.COMPLETED)


def webp(colour: str, width: int = 256, height: int = 128) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "WEBP")
    return out.getvalue()


def looks(data: bytes) -> tuple[str | None, tuple[int, int], bool]:
    """Give the format, the size, and whether it is red."""
    with Image.open(io.BytesIO(data)) as image:
        red, green, _ = image.convert("RGB").crop((30, 20, 31, 21)).tobytes()
        return image.format, image.size, red > 200 > 60 > green


RED = ("WEBP", (256, 128), True)


def kept(shop: Workshop, job: Job) -> Path:
    """Give where the thumbnail of the job's picture is kept."""
    return shop.folder / "thumbs" / f"{job.outputs[0].facts.sha256}-256.webp"


async def test_a_thumbnail_is_made_once_and_then_read(shop: Workshop, job: Job) -> None:
    first = await shop.studio.thumb(OWNER, f"{job.id}/1")
    assert looks(first) == RED
    assert kept(shop, job).read_bytes() == first
    other = webp("blue")
    kept(shop, job).write_bytes(other)
    assert await shop.studio.thumb(OWNER, f"{job.id}/1") == other


async def test_the_source_has_one_too_and_a_small_picture_is_not_enlarged(shop: Workshop, job: Job) -> None:
    assert looks(await shop.studio.thumb(OWNER, f"{job.id}/0")) == ("WEBP", (64, 48), False)
    assert len(list((shop.folder / "thumbs").iterdir())) == 1


@pytest.mark.parametrize("change", ["changed", "removed"])
async def test_a_picture_that_is_not_as_it_was_is_not_given_as_its_thumbnail_either(
    shop: Workshop, job: Job, change: str
) -> None:
    await shop.studio.thumb(OWNER, f"{job.id}/1")
    picture = shop.folder / job.outputs[0].blob
    if change == "removed":
        picture.unlink()
    else:
        picture.write_bytes(png(colour="blue"))
    with pytest.raises(ResultInvalid, match=f"was {change} since"):
        await shop.studio.thumb(OWNER, f"{job.id}/1")


DAMAGED = {
    "nothing": b"",
    "zeros": bytes(500),
    "half": webp("blue")[:-20],
    "a tail that is zeros": webp("blue")[:60] + bytes(len(webp("blue")) - 60),
    "another format": png(colour="blue"),
    "a large picture": webp("blue", 800, 400),
    "text": b"RIFF and WEBP",
}


@pytest.mark.parametrize("damage", DAMAGED)
async def test_a_thumbnail_that_was_damaged_is_made_anew(shop: Workshop, job: Job, damage: str) -> None:
    whole = await shop.studio.thumb(OWNER, f"{job.id}/1")
    kept(shop, job).write_bytes(DAMAGED[damage])
    assert await shop.studio.thumb(OWNER, f"{job.id}/1") == whole
    assert kept(shop, job).read_bytes() == whole


async def test_where_it_cannot_be_kept_it_is_given_all_the_same(shop: Workshop, job: Job) -> None:
    (shop.folder / "thumbs").write_text("not a folder")
    for _ in range(2):
        assert looks(await shop.studio.thumb(OWNER, f"{job.id}/1")) == RED
    assert not list((shop.folder / ".tmp").iterdir())


async def test_many_readers_at_once_get_the_same_and_leave_one_file(shop: Workshop, job: Job) -> None:
    given: list[bytes] = []

    async def read() -> None:
        given.append(await shop.studio.thumb(OWNER, f"{job.id}/1"))

    async with anyio.create_task_group() as readers:
        for _ in range(8):
            readers.start_soon(read)
    assert given == [kept(shop, job).read_bytes()] * 8
    assert [path.name for path in (shop.folder / "thumbs").iterdir()] == [kept(shop, job).name]
    assert not list((shop.folder / ".tmp").iterdir())


async def test_anothers_picture_has_none(shop: Workshop, job: Job) -> None:
    await shop.studio.thumb(OWNER, f"{job.id}/1")
    with pytest.raises(UnknownRef):
        await shop.studio.thumb("bob", f"{job.id}/1")
    with pytest.raises(NotFound):
        await shop.studio.thumb(OWNER, "no reference")
