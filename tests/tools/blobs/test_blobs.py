"""What holds wherever bytes are kept: files of this machine and S3 under the same tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from kontext_tools.blobs.base import Blobs
from kontext_tools.blobs.files import RENEWED_S, STALE_TEMPORARY_S, FileBlobs
from kontext_tools.errors import StorageFull
from support.bucket import Held

pytestmark = pytest.mark.anyio

KEY = "images/red-car-4k7q-1.png"
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
LARGE = bytes(range(256)) * 40_000 * 2
"""20 MB: S3 gets it in parts."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir(mode=0o700)
    return tmp_path / "data"


@pytest.fixture(params=["files", "s3"])
def blobs(request: pytest.FixtureRequest, folder: Path) -> Blobs:
    if request.param == "files":
        return FileBlobs(folder)
    return cast("Held", request.getfixturevalue("held")).blobs(folder)


def left_over(folder: Path) -> list[Path]:
    return list((folder / ".tmp").iterdir()) if (folder / ".tmp").exists() else []


async def test_what_is_written_is_read(blobs: Blobs, folder: Path) -> None:
    await blobs.write(KEY, b"picture")
    assert await blobs.read(KEY) == b"picture"
    assert left_over(folder) == []


@pytest.mark.parametrize("data", [b"", b"streamed", LARGE], ids=["none", "small", "large"])
async def test_what_was_streamed_to_a_temporary_file_is_kept_under_its_key(
    blobs: Blobs, folder: Path, data: bytes
) -> None:
    temporary = blobs.temporary()
    assert temporary.parent == folder / ".tmp" and temporary.read_bytes() == b""
    temporary.write_bytes(data)
    await blobs.keep(temporary, KEY)
    assert await blobs.read(KEY) == data
    assert left_over(folder) == []


async def test_temporary_files_never_share_a_name(blobs: Blobs) -> None:
    names = {blobs.temporary().name for _ in range(20)}
    assert len(names) == 20 and all(len(name) == 32 for name in names)


async def test_a_key_that_holds_nothing_is_none(blobs: Blobs) -> None:
    assert await blobs.read(KEY) is None
    await blobs.write(KEY, b"picture")
    assert await blobs.read("images") is None
    assert await blobs.read("images/other.png") is None


async def test_a_key_is_replaced_as_a_whole(blobs: Blobs) -> None:
    await blobs.write(KEY, b"a longer picture")
    await blobs.write(KEY, b"short", durable=False)
    assert await blobs.read(KEY) == b"short"


async def test_a_temporary_file_that_vanished_is_told_and_not_kept(blobs: Blobs) -> None:
    temporary = blobs.temporary()
    temporary.unlink()
    with pytest.raises(StorageFull):
        await blobs.keep(temporary, KEY)
    assert await blobs.read(KEY) is None


async def test_sweeping_removes_what_nobody_writes_any_more_and_nothing_else(
    blobs: Blobs, folder: Path, stale: Callable[[Path], None]
) -> None:
    await blobs.sweep()
    await blobs.write(KEY, b"picture")
    old, fresh = blobs.temporary(), blobs.temporary()
    stale(old)
    await blobs.sweep()
    assert left_over(folder) == [fresh]
    assert await blobs.read(KEY) == b"picture"


@pytest.fixture
def stale() -> Callable[[Path], None]:
    import os

    def make(path: Path) -> None:
        long_ago = time.time() - STALE_TEMPORARY_S - 60
        os.utime(path, (long_ago, long_ago))

    return make


async def test_what_is_removed_is_gone_and_what_was_not_there_is_as_well(blobs: Blobs) -> None:
    await blobs.write(KEY, b"one")
    ahead = datetime.now(UTC) + timedelta(days=1)
    assert await blobs.remove({KEY: ahead, "images/none.png": ahead, "nowhere/none.png": ahead}) == frozenset()
    assert await blobs.read(KEY) is None


async def test_what_was_written_since_is_left_for_an_hour(blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    await blobs.write(KEY, b"one")
    assert await blobs.remove({KEY: LONG_AGO}) == {KEY}
    later_s = time.time() + RENEWED_S
    monkeypatch.setattr(time, "time", lambda: later_s)
    assert await blobs.remove({KEY: LONG_AGO}) == frozenset()
    assert await blobs.read(KEY) is None


async def test_what_was_written_in_the_moment_before_goes_and_right_after_it_stays(blobs: Blobs) -> None:
    """Less than the whole second in which S3 itself tells times."""
    await blobs.write("images/before-4k7q-1.png", b"one")
    since = datetime.now(UTC)
    await blobs.write(KEY, b"two")
    assert await blobs.remove({"images/before-4k7q-1.png": since, KEY: since}) == {KEY}


async def test_what_was_renewed_since_is_left_for_an_hour(blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    await blobs.write(KEY, b"one")
    since = datetime.now(UTC)
    assert await blobs.renew(KEY)
    assert await blobs.remove({KEY: since}) == {KEY}
    later_s = time.time() + RENEWED_S
    monkeypatch.setattr(time, "time", lambda: later_s)
    assert await blobs.remove({KEY: since}) == frozenset()
    assert not await blobs.renew(KEY)
