"""Files of this machine: which are kept from a model on each system, told by names, drives and marks."""

from __future__ import annotations

import stat
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import SimpleNamespace

import pytest

from kontext_tools.files import is_kept_away, is_marked_hidden, lies_in, on_drive_of, path_in_address

HOME = PureWindowsPath(r"C:\Users\ada\Pictures")


@pytest.mark.parametrize(
    ("name", "linux", "darwin", "win32"),
    [
        (".ssh", True, True, True),
        ("Library", False, True, False),
        ("LIBRARY", False, True, False),
        ("library", False, True, False),
        ("AppData", False, False, True),
        ("appdata", False, False, True),
        ("Holiday", False, False, False),
    ],
)
def test_what_programs_keep_is_known_in_any_case_where_the_system_takes_any(
    name: str, linux: bool, darwin: bool, win32: bool
) -> None:
    assert [is_kept_away(name, system) for system in ("linux", "darwin", "win32")] == [linux, darwin, win32]


def test_a_picture_below_a_folder_of_programs_is_kept_from_a_model(tmp_path: Path) -> None:
    picture = tmp_path / "lIbrary" / "Caches" / "cat.png"
    assert [lies_in(picture, tmp_path, system=system) for system in ("linux", "darwin", "win32")] == [True, False, True]


@pytest.mark.parametrize("marked", ["Holiday", "Holiday/Trash", "Holiday/Trash/cat.png"])
def test_a_picture_in_or_below_what_bears_the_mark_is_kept_from_a_model(tmp_path: Path, marked: str) -> None:
    picture = tmp_path / "Holiday" / "Trash" / "cat.png"
    assert not lies_in(picture, tmp_path, is_hidden_at=(tmp_path / marked).__eq__)
    # The folder that a person allowed is their own choice, hidden or not.
    assert lies_in(picture, tmp_path, is_hidden_at=tmp_path.__eq__)


@pytest.mark.parametrize(
    ("status", "hidden"),
    [
        (SimpleNamespace(st_file_attributes=stat.FILE_ATTRIBUTE_HIDDEN | stat.FILE_ATTRIBUTE_DIRECTORY), True),
        (SimpleNamespace(st_file_attributes=stat.FILE_ATTRIBUTE_ARCHIVE), False),
        (SimpleNamespace(st_flags=stat.UF_HIDDEN), True),
        (SimpleNamespace(st_flags=0), False),
        (SimpleNamespace(), False),
    ],
)
def test_what_the_system_hides_by_a_mark_is_hidden(status: object, hidden: bool) -> None:
    assert is_marked_hidden(status) is hidden


@pytest.mark.parametrize(
    ("path", "near"),
    [
        (r"C:\Users\ada\Pictures\cat.png", True),
        (r"c:\anywhere\cat.png", True),
        (r"D:\cat.png", False),
        (r"\\host\share\cat.png", False),
        (r"//host/share/cat.png", False),
        (r"\\?\C:\Users\ada\Pictures\cat.png", False),
        (r"\\.\pipe\cat.png", False),
        (r"\\host@SSL\DavWWWRoot\cat.png", False),
    ],
)
def test_on_windows_a_path_of_another_drive_or_machine_is_known_by_its_text(path: str, near: bool) -> None:
    assert on_drive_of(PureWindowsPath(path), [HOME]) is near


def test_a_share_that_was_named_as_a_folder_may_be_read_and_elsewhere_no_path_names_a_drive() -> None:
    share = PureWindowsPath(r"\\nas\photos")
    assert on_drive_of(PureWindowsPath(r"\\NAS\photos\cat.png"), [HOME, share])
    assert not on_drive_of(PureWindowsPath(r"\\nas\other\cat.png"), [HOME, share])
    assert on_drive_of(PurePosixPath("//host/share/cat.png"), [PurePosixPath("/home/ada")])


@pytest.mark.parametrize(
    ("path", "windows"),
    [("/C:/cat.png", "C:/cat.png"), ("/c:", "c:"), ("/cat.png", "/cat.png"), ("/C:cat.png", "/C:cat.png")],
)
def test_a_file_address_with_a_drive_is_a_path_of_windows(path: str, windows: str) -> None:
    assert path_in_address(path, system="win32") == windows
    assert path_in_address(path, system="linux") == path
