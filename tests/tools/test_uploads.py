"""Uploads: an address that takes one picture for an hour, stands for it for a day, and leaves nothing behind."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from kontext_tools.blobs.files import FileBlobs
from kontext_tools.errors import NotFound, SourceNotAllowed, SourceTooLarge, SourceUnreadable, UnknownRef
from kontext_tools.http import Http
from kontext_tools.images import MAX_INPUT_BYTES
from kontext_tools.inputs import Inputs
from kontext_tools.shelf import Shelf
from kontext_tools.sources import Sources
from kontext_tools.stores.sqlite import SqliteStore
from kontext_tools.tickets import Tickets
from kontext_tools.trash import Trash
from kontext_tools.uploads import Uploads
from support.fake_clock import FakeClock
from support.workshop import png

pytestmark = pytest.mark.anyio

PLACE = "http://127.0.0.1:8765/uploads"


class Yard:
    """Uploads over one folder, on a clock that a test moves; files are as old as the machine says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock(datetime.now(UTC) - timedelta(days=2))
        self.store = SqliteStore(folder / "kontext.db")
        self.http, blobs = Http(), FileBlobs(folder)
        sources, shelf = Sources(self.http, roots=[]), Shelf(blobs)
        self.uploads = Uploads(Tickets(self.store, self.clock), sources, shelf, Trash(self.store, blobs), place=PLACE)
        self.inputs = Inputs(self.store, blobs, sources, shelf, uploads=self.uploads)

    async def words(self, owner: str = "ann") -> str:
        """Give the words of the address that the refusal of a path names."""
        with pytest.raises(SourceNotAllowed) as caught:
            await self.inputs.load(owner, "/home/ann/cat.png")
        return caught.value.failure.fix.partition(f"{PLACE}/")[2].partition(" ")[0]

    def files(self) -> list[str]:
        """Name what is kept."""
        return sorted(path.name for path in (self.folder / "sources").glob("*"))


@asynccontextmanager
async def yard(folder: Path) -> AsyncGenerator[Yard]:
    made = Yard(folder)
    with anyio.fail_after(20):
        yield made
    await made.http.aclose()
    await made.store.close()


async def test_an_address_takes_one_picture_and_is_its_reference_for_a_day(tmp_path: Path) -> None:
    async with yard(tmp_path) as y:
        words = await y.words()
        y.clock.advance(3_599)
        facts = await y.uploads.take(words, png(colour="red"))
        with pytest.raises(NotFound):
            await y.uploads.take(words, png(colour="blue"))
        y.clock.advance(86_399)
        loaded = await y.inputs.load("ann", f" {y.uploads.address(words)}\n")
        assert (loaded.source.facts, loaded.depth) == (facts, 0)
        with pytest.raises(UnknownRef):
            await y.inputs.load("bob", y.uploads.address(words))
        y.clock.advance(1)
        with pytest.raises(UnknownRef):
            await y.inputs.load("ann", y.uploads.address(words))


async def test_an_address_is_over_after_an_hour(tmp_path: Path) -> None:
    async with yard(tmp_path) as y:
        words = await y.words()
        assert await y.uploads.is_open(words)
        y.clock.advance(3_600)
        assert not await y.uploads.is_open(words)
        with pytest.raises(NotFound):
            await y.uploads.take(words, png())
        assert y.files() == []


async def test_what_is_refused_is_not_kept_and_may_be_tried_again(tmp_path: Path) -> None:
    async with yard(tmp_path) as y:
        words = await y.words()
        with pytest.raises(SourceUnreadable):
            await y.uploads.take(words, b"no picture")
        with pytest.raises(SourceTooLarge):
            await y.uploads.take(words, bytes(MAX_INPUT_BYTES + 1))
        assert y.files() == []
        await y.uploads.take(words, png())


async def test_a_picture_that_no_job_took_goes_with_its_day_unless_another_upload_is_of_the_same_bytes(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path) as y:
        for colour in ("red", "blue"):
            await y.uploads.take(await y.words(), png(colour=colour))
        y.clock.advance(80_000)
        await y.uploads.take(await y.words("bob"), png(colour="red"))
        kept = y.files()
        y.clock.advance(10_000)
        last = await y.words()
        # A file that was written within the hour is left, for somebody may be about to refer to it.
        for path in (tmp_path / "sources").glob("*"):
            _make_older(path)
        await y.uploads.take(last, png(colour="green"))
        left = y.files()
    assert len(kept) == 2
    assert len(left) == 2 and len(set(left) & set(kept)) == 1


def _make_older(path: Path) -> None:

    long_ago = (datetime.now(UTC) - timedelta(hours=3)).timestamp()
    os.utime(path, (long_ago, long_ago))
