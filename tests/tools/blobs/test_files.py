"""Bytes in a folder: durable, private, and told where the disk refuses."""

from __future__ import annotations

import errno
import os
import stat
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kontext_tools.blobs.base import storage_failure
from kontext_tools.blobs.files import RENEWED_S, STALE_TEMPORARY_S, FileBlobs
from kontext_tools.errors import StorageFull

pytestmark = pytest.mark.anyio

KEY = "images/red-car-4k7q-1.png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir(mode=0o700)
    return tmp_path / "data"


@pytest.fixture
def blobs(folder: Path) -> FileBlobs:
    return FileBlobs(folder)


def modes_of(*paths: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in paths}


def left_over(folder: Path) -> list[Path]:
    return list((folder / ".tmp").iterdir())


async def test_what_is_written_is_read(blobs: FileBlobs, folder: Path) -> None:
    await blobs.write(KEY, b"picture")
    assert await blobs.read(KEY) == b"picture"
    assert blobs.path(KEY) == folder / "images" / "red-car-4k7q-1.png"
    assert left_over(folder) == []


async def test_files_and_folders_are_their_owners_alone(blobs: FileBlobs, folder: Path) -> None:
    old = os.umask(0)
    try:
        await blobs.write(KEY, b"picture")
        temporary = blobs.temporary()
    finally:
        os.umask(old)
    assert modes_of(folder / "images", folder / ".tmp", folder / KEY, temporary) == {
        "images": 0o700,
        ".tmp": 0o700,
        "red-car-4k7q-1.png": 0o600,
        temporary.name: 0o600,
    }


@pytest.mark.parametrize(
    ("inside", "key"),
    [
        ("images/red-car-4k7q-1.png", "images/red-car-4k7q-1.png"),
        ("images/../sources/a.png", "sources/a.png"),
        ("../elsewhere/a.png", None),
        ("../data-evil/a.png", None),
    ],
)
def test_a_path_within_the_folder_has_its_key_and_one_outside_has_none(
    blobs: FileBlobs, folder: Path, inside: str, key: str | None
) -> None:
    assert blobs.key_of(folder / inside) == key


async def test_a_folder_that_a_file_stands_in_the_way_of_is_told_as_storage_full(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    blobs = FileBlobs(tmp_path / "data")
    with pytest.raises(StorageFull):
        blobs.temporary()
    with pytest.raises(StorageFull) as caught:
        await blobs.write(KEY, b"picture")
    assert caught.value.failure.retryable and "KONTEXT_DATA_DIR" in caught.value.failure.fix


async def test_a_write_that_fails_leaves_nothing_behind(blobs: FileBlobs, folder: Path) -> None:
    (folder / "images").write_text("not a folder")
    with pytest.raises(StorageFull):
        await blobs.write(KEY, b"picture")
    assert left_over(folder) == []


async def test_a_disk_that_fills_up_amid_a_write_leaves_the_old_bytes(
    blobs: FileBlobs, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await blobs.write(KEY, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageFull, match="the disk is full"):
            await blobs.write(KEY, b"new")
    assert await blobs.read(KEY) == b"old"
    assert left_over(folder) == []


@pytest.mark.parametrize("durable", [True, False])
async def test_only_what_a_power_cut_must_not_undo_waits_for_the_disk(
    blobs: FileBlobs, folder: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    waited: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", waited.append)
        await blobs.write(KEY, b"picture", durable=durable)
    assert (len(waited) > 0) is durable
    assert await blobs.read(KEY) == b"picture"
    assert left_over(folder) == []
    assert modes_of(folder / KEY) == {"red-car-4k7q-1.png": 0o600}


async def test_sweeping_removes_what_nobody_writes_any_more_and_nothing_else(blobs: FileBlobs, folder: Path) -> None:
    await blobs.sweep()
    await blobs.write(KEY, b"picture")
    stale, fresh = blobs.temporary(), blobs.temporary()
    long_ago = time.time() - STALE_TEMPORARY_S - 60
    os.utime(stale, (long_ago, long_ago))
    os.utime(folder / KEY, (long_ago, long_ago))
    await blobs.sweep()
    assert left_over(folder) == [fresh]
    assert await blobs.read(KEY) == b"picture"


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "the disk is full"), (errno.EDQUOT, "the disk is full"), (errno.EACCES, "not writable")],
)
def test_an_error_of_the_file_system_is_told_by_its_kind(number: int, words: str) -> None:
    assert words in str(storage_failure(OSError(number, "text of the system")))


LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


async def test_what_is_removed_is_gone_and_what_was_not_there_is_as_well(blobs: FileBlobs, folder: Path) -> None:
    await blobs.write(KEY, b"one")
    ahead = datetime.now(UTC) + timedelta(days=1)
    assert await blobs.remove({KEY: ahead, "images/none.png": ahead, "nowhere/none.png": ahead}) == frozenset()
    assert list((folder / "images").iterdir()) == []


async def test_what_cannot_be_removed_keeps_no_other_from_being(blobs: FileBlobs, folder: Path) -> None:
    await blobs.write(KEY, b"one")
    (folder / "images" / "stuck.png").mkdir()
    ahead = datetime.now(UTC) + timedelta(days=1)
    assert await blobs.remove({"images/stuck.png": ahead, KEY: ahead}) == {"images/stuck.png"}
    assert await blobs.read(KEY) is None


async def test_what_was_written_or_renewed_since_is_left_for_an_hour(
    blobs: FileBlobs, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / KEY
    await blobs.write(KEY, b"one")
    assert await blobs.remove({KEY: LONG_AGO}) == {KEY}
    os.utime(path, (0, 0))
    assert await blobs.renew(KEY)
    assert await blobs.remove({KEY: LONG_AGO}) == {KEY}
    written_s = path.stat().st_mtime
    monkeypatch.setattr(time, "time", lambda: written_s + RENEWED_S)
    assert await blobs.remove({KEY: LONG_AGO}) == frozenset()
    assert not await blobs.renew(KEY)
