"""Previews: made while a result's pixels are at hand, given only of a picture that is as it was."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest
from PIL import Image

from kontext_tools import prints
from kontext_tools.errors import ResultInvalid
from kontext_tools.jobs import Job, SendState
from kontext_tools.providers.base import Phase, RemoteOutput, Snapshot
from support.scripted import Scripted
from support.workshop import Workshop, png, workshop

pytestmark = pytest.mark.anyio

PREVIEW_PX = 100
THREE = [
    Snapshot(phase=Phase.DONE, remote_id=colour, outputs=(RemoteOutput(data=png(400, 200, colour)),))
    for colour in ("red", "green", "blue")
]


@pytest.fixture
async def shop(tmp_path: Path, anyio_backend: str) -> AsyncGenerator[Workshop]:
    with anyio.fail_after(30):
        async with workshop(tmp_path, Scripted(creates=[*THREE]), preview_px=PREVIEW_PX) as made:
            yield made


async def made(shop: Workshop, count: int) -> Job:
    return await shop.until((await shop.generate(num_images=count)).job.id, SendState.COMPLETED)


def size(jpeg: bytes | None) -> tuple[int, int]:
    assert jpeg is not None
    with Image.open(io.BytesIO(jpeg)) as image:
        assert image.format == "JPEG"
        return image.size


def undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no kept picture be decoded from now on."""

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(prints, "print_of", never)


async def test_a_result_is_shown_without_being_decoded_again(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await made(shop, 1)
    undecoded(monkeypatch)
    assert size(await shop.studio.preview(job, PREVIEW_PX)) == (100, 50)


async def test_a_size_that_was_not_made_is_made_once(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await made(shop, 1)
    first = await shop.studio.preview(job, 60)
    undecoded(monkeypatch)
    assert await shop.studio.preview(job, 60) == first
    assert size(first) == (60, 30)


async def test_several_are_shown_on_a_sheet_of_their_previews_that_is_made_once(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await made(shop, 3)
    sheet = await shop.studio.preview(job, PREVIEW_PX)
    undecoded(monkeypatch)
    assert await shop.studio.preview(job, PREVIEW_PX) == sheet
    assert size(sheet) == (100, 54)


@pytest.mark.parametrize("count", [1, 3])
async def test_a_picture_that_was_changed_since_is_not_shown_from_memory(shop: Workshop, count: int) -> None:
    job = await made(shop, count)
    await shop.studio.preview(job, PREVIEW_PX)
    (shop.folder / job.outputs[-1].blob).write_bytes(png(400, 200, "black"))
    with pytest.raises(ResultInvalid, match="changed"):
        await shop.studio.preview(job, PREVIEW_PX)
