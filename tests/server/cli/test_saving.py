"""Where results are copied to."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import pytest

from kontext_server.cli import saving
from kontext_tools.errors import InvalidArgument


@pytest.fixture
def results() -> list[bytes]:
    return [b"picture 1", b"picture 2"]


def test_the_first_gets_the_name_and_the_others_a_number(tmp_path: Path, results: list[bytes]) -> None:
    places = saving.copy(results, tmp_path / "cat.jpg", force=False)
    assert [place.name for place in places] == ["cat.jpg", "cat-2.jpg"]
    assert [place.read_bytes() for place in places] == [b"picture 1", b"picture 2"]


@pytest.mark.parametrize("taken", ["cat.png", "cat-2.png"])
def test_a_taken_name_is_refused_before_anything_is_sent(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).touch()
    with pytest.raises(InvalidArgument, match="not overwritten") as refused:
        saving.check(tmp_path / "cat.png", 2, force=False)
    assert refused.value.failure.field == "output"
    saving.check(tmp_path / "cat.png", 2, force=True)


def test_a_folder_is_refused_even_by_force(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="is a folder"):
        saving.check(tmp_path, 1, force=True)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="does not exist"):
        saving.check(tmp_path / "new" / "cat.png", 1, force=False)


def test_a_file_that_came_in_between_is_not_overwritten(tmp_path: Path, results: list[bytes]) -> None:
    place = tmp_path / "cat.png"
    place.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        saving.copy(results[:1], place, force=False)
    assert place.read_bytes() == b"mine"


def test_by_force_the_new_one_takes_the_old_ones_place(tmp_path: Path, results: list[bytes]) -> None:
    place = tmp_path / "cat.png"
    place.write_bytes(b"mine")
    saving.copy(results[:1], place, force=True)
    assert place.read_bytes() == b"picture 1"
    assert {path.name for path in tmp_path.iterdir()} == {"cat.png"}


@pytest.mark.parametrize("force", [True, False])
def test_a_copy_that_fails_leaves_nothing_half_written(
    tmp_path: Path, results: list[bytes], monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(OSError, match="No space"):
        saving.copy(results[:1], tmp_path / "cat.png", force=force)
    assert {path.name for path in tmp_path.iterdir()} == set()


def test_a_copy_that_fails_is_closed_before_it_is_removed(
    tmp_path: Path, results: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows removes no open file: the half copy would stay, and its error hide the first."""
    opened: list[BinaryIO] = []
    closed_at_removal: list[bool] = []

    def full(_: object, target: BinaryIO) -> None:
        opened.append(target)
        raise OSError(28, "No space left on device")

    def unlink(path: Path, missing_ok: bool = False) -> None:
        closed_at_removal.append(opened[0].closed)

    monkeypatch.setattr("shutil.copyfileobj", full)
    monkeypatch.setattr(Path, "unlink", unlink)
    with pytest.raises(OSError, match="No space"):
        saving.copy(results[:1], tmp_path / "cat.png", force=False)
    assert closed_at_removal == [True]


@pytest.mark.parametrize("force", [False, True])
def test_a_text_is_written_whole_and_nothing_is_left_beside_it(tmp_path: Path, *, force: bool) -> None:
    page = tmp_path / "page.html"
    saving.write("line\n猫\n", page, force=force)
    assert page.read_bytes() == "line\n猫\n".encode()
    assert list(tmp_path.iterdir()) == [page]


def test_a_text_replaces_a_file_by_force_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("mine")
    with pytest.raises(FileExistsError):
        saving.write("new", page, force=False)
    assert page.read_text() == "mine"
    saving.write("new", page, force=True)
    assert page.read_text() == "new"
    assert list(tmp_path.iterdir()) == [page]


def test_a_text_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        saving.write("half \ud800", page, force=True)
    assert page.read_text() == "old"
    assert list(tmp_path.iterdir()) == [page]
