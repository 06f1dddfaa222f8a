"""Calls that are answered later: their ids, and what of their arguments is kept."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from PIL import Image

from kontext_tools.blobs.files import FileBlobs
from kontext_tools.data_uris import decoded, encoded
from kontext_tools.errors import ResultInvalid, StorageBusy
from kontext_tools.http import Http
from kontext_tools.inputs import Inputs
from kontext_tools.shelf import Shelf
from kontext_tools.sources import Sources
from kontext_tools.stores.sqlite import SqliteStore
from kontext_tools.tasks import LASTS, Tasks
from support.fake_clock import FakeClock
from support.workshop import png

pytestmark = pytest.mark.anyio

PHOTO = Path(__file__).parent.parent / "photos" / "grace_hopper.jpg"


@asynccontextmanager
async def tasks_in(folder: Path, clock: FakeClock | None = None) -> AsyncGenerator[Tasks]:
    http, store, blobs = Http(), SqliteStore(folder / "kontext.db"), FileBlobs(folder)
    shelf = Shelf(blobs)
    try:
        yield Tasks(store, Inputs(store, blobs, Sources(http, roots=[]), shelf), shelf, clock or FakeClock())
    finally:
        await http.aclose()
        await store.close()


def with_position(photo: Path) -> bytes:
    """Give the photo with where it was taken in its metadata."""
    import io

    out, exif = io.BytesIO(), Image.Exif()
    exif.get_ifd(0x8825)[1] = "N"
    exif[0x010F] = "a camera's own name"
    with Image.open(photo) as picture:
        picture.save(out, "JPEG", exif=exif)
    return out.getvalue()


async def test_an_id_holds_128_random_bits_at_least_and_goes_into_a_header(tmp_path: Path) -> None:
    async with tasks_in(tmp_path) as tasks:
        ids = {(await tasks.make("ann", "job", {})).id for _ in range(20)}
    assert len(ids) == 20 and all(re.fullmatch(r"[0-9a-f]{32,}", task_id) for task_id in ids)


async def test_a_task_lasts_as_long_as_is_told_in_any_process(tmp_path: Path) -> None:
    clock = FakeClock()
    async with tasks_in(tmp_path, clock) as tasks:
        made = await tasks.make("ann", "job", {"job": "red-car-4k7q"})
    async with tasks_in(tmp_path, clock) as tasks:
        clock.advance(LASTS.total_seconds() - 1)
        assert await tasks.find("ann", made.id) == made
        clock.advance(1)
        assert await tasks.find("ann", made.id) is None


async def test_a_picture_in_the_arguments_goes_on_the_shelf_and_comes_back_without_what_it_told(tmp_path: Path) -> None:
    given = with_position(PHOTO)
    arguments: dict[str, Any] = {
        "prompt": "data: is no picture here",
        "image": encoded(given, "image/jpeg"),
        "steps": [{"id": "one", "image": " " + encoded(png(), "image/png")}, {"id": "two", "image": "$one"}],
    }
    async with tasks_in(tmp_path) as tasks:
        kept = await tasks.kept("ann", arguments)
        row = json.dumps(kept)
        restored = await tasks.restored(json.loads(row))
        again = await tasks.kept("ann", restored)
    assert "base64" not in row and len(row) < 1000
    # What comes back is told apart by nothing from what was kept, however often.
    assert again == kept
    assert {**restored, "image": "", "steps": [{"id": "one", "image": ""}, restored["steps"][1]]} == {
        "prompt": "data: is no picture here",
        "image": "",
        "steps": [{"id": "one", "image": ""}, {"id": "two", "image": "$one"}],
    }
    cleaned = decoded(restored["image"], max_bytes=10**7)
    assert cleaned is not None and b"camera" in given and b"camera" not in cleaned


async def test_a_kept_picture_that_was_changed_since_is_not_taken_for_the_one_that_was_meant(tmp_path: Path) -> None:
    async with tasks_in(tmp_path) as tasks:
        kept = await tasks.kept("ann", {"image": encoded(png(), "image/png")})
        (tmp_path / kept["image"]["blob"]).write_bytes(png(colour="black"))
        with pytest.raises(ResultInvalid):
            await tasks.restored(kept)


async def test_of_several_processes_that_take_a_name_at_once_one_has_it(tmp_path: Path) -> None:
    got: list[bool] = []
    async with tasks_in(tmp_path) as one, tasks_in(tmp_path) as two, anyio.create_task_group() as group:

        async def take(tasks: Tasks) -> None:
            got.append(await tasks.once("ann", "gallery", "a name"))

        for tasks in (one, two, one, two):
            group.start_soon(take, tasks)
    assert sorted(got) == [False, False, False, True]


async def test_a_name_is_not_taken_where_the_store_cannot_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def busy(*_: Any) -> None:
        raise StorageBusy("The database is held by another process.", fix="Wait.")

    async with tasks_in(tmp_path) as tasks:
        with monkeypatch.context() as held:
            held.setattr(SqliteStore, "add_task", busy)
            with pytest.raises(StorageBusy):
                await tasks.once("ann", "gallery", "a name")
        assert await tasks.once("ann", "gallery", "a name")
        assert not await tasks.once("ann", "gallery", "a name")
