"""Files of a data folder taken up into another place: each under its key, once, and what changed meanwhile anew."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from kontext_tools.blobs.files import FileBlobs
from kontext_tools.blobs.moving import Sent, Waiting, send_up, waiting
from kontext_tools.errors import StorageBusy

pytestmark = pytest.mark.anyio

KEYS = ("images/red-car-4k7q-1.png", "images/red-car-4k7q-1.json", "sources/ab.png")


class Refusing(FileBlobs):
    """A place that takes some, and then no more."""

    def __init__(self, folder: Path, takes: int) -> None:
        super().__init__(folder)
        self._takes = takes

    async def write(self, key: str, data: bytes, *, durable: bool = True) -> None:
        """Keep bytes, or refuse."""
        if not self._takes:
            raise StorageBusy("The storage does not answer.", fix="Run it again.")
        self._takes -= 1
        await super().write(key, data, durable=durable)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder: what is kept, and what can be made again."""
    for key in (*KEYS, "thumbs/ab-256.webp", "kontext.db", ".tmp/half"):
        path = tmp_path / "data" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(key.encode())
    return tmp_path / "data"


async def test_what_cannot_be_made_again_goes_up_under_its_key_and_stays_here(folder: Path, tmp_path: Path) -> None:
    there, sent, gone = FileBlobs(tmp_path / "there"), Sent(), list[None]()
    assert waiting(folder, sent) == Waiting(files=3, size_bytes=sum(map(len, KEYS)))
    await send_up(folder, there, sent, lambda: gone.append(None))
    assert {key: await there.read(key) for key in KEYS} == {key: key.encode() for key in KEYS}
    assert await there.read("thumbs/ab-256.webp") is None
    assert (len(gone), sorted(sent), waiting(folder, sent).files) == (3, sorted(KEYS), 0)
    assert all((folder / key).exists() for key in KEYS)


async def test_a_second_time_only_what_is_new_or_changed_goes(folder: Path, tmp_path: Path) -> None:
    there, sent, gone = FileBlobs(tmp_path / "there"), Sent(), list[None]()
    await send_up(folder, there, sent, lambda: None)
    (folder / KEYS[0]).write_bytes(b"another picture")
    (folder / "images" / "new-day-1111-1.png").write_bytes(b"new")
    await send_up(folder, there, sent, lambda: gone.append(None))
    assert len(gone) == 2
    assert await there.read(KEYS[0]) == b"another picture"
    assert await there.read("images/new-day-1111-1.png") == b"new"


async def test_a_refusal_is_raised_as_it_is_and_what_went_before_is_known(folder: Path, tmp_path: Path) -> None:
    sent = Sent()
    with anyio.fail_after(10), pytest.raises(StorageBusy):
        await send_up(folder, Refusing(tmp_path / "there", takes=2), sent, lambda: None)
    assert len(sent) == 2 and waiting(folder, sent).files == 1
    await send_up(folder, FileBlobs(tmp_path / "there"), sent, lambda: None)
    assert sorted(sent) == sorted(KEYS)


async def test_a_file_that_is_deleted_meanwhile_is_passed_over(folder: Path, tmp_path: Path) -> None:
    sent = Sent()

    def delete() -> None:
        for key in KEYS:
            (folder / key).unlink(missing_ok=True)

    await send_up(folder, FileBlobs(tmp_path / "there"), sent, delete)
    assert 1 <= len(sent) <= 3 and waiting(folder, {}).files == 0


async def test_a_folder_without_pictures_has_nothing_to_send(tmp_path: Path) -> None:
    assert waiting(tmp_path, {}) == Waiting(files=0, size_bytes=0)
    await send_up(tmp_path, FileBlobs(tmp_path / "there"), {}, lambda: None)
