"""The disk: a file is replaced and brought there on each system's own terms."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kontext_tools import disk

NO_COMMAND = 0x7FFF
"""That no system has."""


class Renaming:
    """Renames as Windows does: refuses so many times, for somebody holds the file."""

    def __init__(self, refusals: int) -> None:
        self.left = refusals
        self.waited_s: list[float] = []

    def rename(self, source: Path, target: Path) -> None:
        if self.left:
            self.left -= 1
            raise PermissionError("held")
        source.replace(target)

    def replace(self, source: Path, target: Path, system: str) -> None:
        disk.replace(source, target, system=system, rename=self.rename, wait=self.waited_s.append)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    new, old = tmp_path / "new", tmp_path / "old"
    new.write_bytes(b"new")
    old.write_bytes(b"old")
    return new, old


def test_on_windows_a_file_that_somebody_holds_for_a_moment_is_replaced(files: tuple[Path, Path]) -> None:
    held = Renaming(3)
    held.replace(*files, "win32")
    assert (files[1].read_bytes(), held.waited_s) == (b"new", [0.01, 0.02, 0.05])


def test_one_that_stays_held_is_told_within_a_second_and_the_old_one_stays(files: tuple[Path, Path]) -> None:
    held = Renaming(100)
    with pytest.raises(PermissionError):
        held.replace(*files, "win32")
    assert (files[0].read_bytes(), files[1].read_bytes()) == (b"new", b"old")
    assert 0.5 < sum(held.waited_s) <= 1


@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_elsewhere_a_refusal_is_final(files: tuple[Path, Path], system: str) -> None:
    held = Renaming(1)
    with pytest.raises(PermissionError):
        held.replace(*files, system)
    assert held.waited_s == []


def test_where_the_disks_own_cache_cannot_be_emptied_the_file_is_synced_all_the_same(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with files[0].open("rb") as file:
        disk.sync(file.fileno(), full=NO_COMMAND)
        assert synced == [file.fileno()]


def test_where_it_can_be_nothing_more_is_asked(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with files[0].open("rb") as file:
        disk.sync(file.fileno(), full=fcntl.F_GETFD)  # stands for F_FULLFSYNC: a command that is known
    assert synced == []


def test_a_folder_of_windows_is_not_opened(tmp_path: Path) -> None:
    disk.sync_folder(tmp_path)
    disk.sync_folder(tmp_path / "is-not-there", system="win32")
    with pytest.raises(FileNotFoundError):
        disk.sync_folder(tmp_path / "is-not-there", system="linux")
