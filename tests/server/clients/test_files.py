"""A client's file on the disk: through links, with its mode, whole or not at all, backed up and never over a backup."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kontext_server.clients import files
from kontext_server.clients.refused import Refused


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "mcp.json"


def test_a_file_is_replaced_whole_and_keeps_its_mode(place: Path) -> None:
    place.write_bytes(b"{}")
    place.chmod(0o640)
    files.write(files.read(place), b'{"a": 1}')
    assert (place.read_bytes(), stat.S_IMODE(place.stat().st_mode)) == (b'{"a": 1}', 0o640)
    assert [found.name for found in place.parent.iterdir()] == ["mcp.json"]


def test_a_new_file_is_its_owners_alone_and_gets_its_folder(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b" / "mcp.json"
    files.write(files.read(place), b"{}")
    assert (place.read_bytes(), stat.S_IMODE(place.stat().st_mode)) == (b"{}", 0o600)


def test_a_link_is_written_through(tmp_path: Path, place: Path) -> None:
    kept = tmp_path / "dotfiles" / "cursor.json"
    kept.parent.mkdir()
    kept.write_bytes(b"{}")
    place.symlink_to(Path("dotfiles") / "cursor.json")
    backup = files.back_up(files.read(place))
    files.write(files.read(place), b"[]")
    assert place.is_symlink()
    assert (kept.read_bytes(), backup) == (b"[]", tmp_path / "mcp.json.kontext-backup")
    assert [found.name for found in kept.parent.iterdir()] == ["cursor.json"]


def test_a_file_that_changed_meanwhile_is_left_as_it_is(place: Path) -> None:
    place.write_bytes(b"{}")
    kept = files.read(place)
    place.write_bytes(b'{"theirs": 1}')
    for data in (b"ours", None):
        with pytest.raises(Refused, match="was changed meanwhile"):
            files.write(kept, data)
    assert [(found.name, found.read_bytes()) for found in place.parent.iterdir()] == [("mcp.json", b'{"theirs": 1}')]


def test_a_file_that_came_or_went_meanwhile_is_left_as_it_is(place: Path) -> None:
    kept = files.read(place)
    place.write_bytes(b"{}")
    with pytest.raises(Refused, match="was changed meanwhile"):
        files.write(kept, b"ours")
    kept = files.read(place)
    place.unlink()
    with pytest.raises(Refused, match="was changed meanwhile"):
        files.write(kept, b"ours")
    assert list(place.parent.iterdir()) == []


def test_a_backup_is_never_written_over_and_the_newest_is_found(place: Path) -> None:
    made: list[tuple[str, bytes]] = []
    for content in (b"1", b"1", *(str(n).encode() for n in range(2, 12)), b"11"):
        place.write_bytes(content)
        backup = files.back_up(files.read(place))
        made.append((backup.name.partition(".kontext-backup")[2], backup.read_bytes()))
        assert files.newest_backup(place) == backup
    numbered = [(f"-{n}", str(n).encode()) for n in range(2, 12)]
    assert made == [("", b"1"), ("", b"1"), *numbered, ("-11", b"11")]


@pytest.mark.parametrize("name", ["mcp.json.kontext-backup-x", "mcp.json.kontext-backup-\u0663", "mcp.json.bak", "mcp"])
def test_another_file_is_no_backup(place: Path, name: str) -> None:
    place.with_name(name).write_bytes(b"x")
    assert files.newest_backup(place) is None


def test_a_backup_has_the_files_mode(place: Path) -> None:
    place.write_bytes(b"{}")
    place.chmod(0o640)
    assert stat.S_IMODE(files.back_up(files.read(place)).stat().st_mode) == 0o640


def test_a_byte_order_mark_is_no_part_of_the_text_and_stays(place: Path) -> None:
    place.write_bytes(b"\xef\xbb\xbf{}")
    kept = files.read(place)
    assert (kept.text(), kept.encoded("[]")) == ("{}", b"\xef\xbb\xbf[]")


@pytest.mark.parametrize("data", ['{"a": 1}'.encode("utf-16"), b'{"a": "\xe9"}'], ids=["utf-16", "latin-1"])
def test_what_is_not_utf_8_is_refused(place: Path, data: bytes) -> None:
    place.write_bytes(data)
    with pytest.raises(Refused, match="is not UTF-8"):
        files.read(place).text()


def test_what_is_no_file_or_too_large_is_refused(tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match="is no file"):
        files.read(tmp_path)
    monkeypatch.setattr(files, "MAX_BYTES", 3)
    place.write_bytes(b"{  }")
    with pytest.raises(Refused, match="larger than"):
        files.read(place)


def test_a_file_in_the_place_of_a_folder_is_told_when_it_is_written(tmp_path: Path) -> None:
    (tmp_path / ".cursor").write_bytes(b"")
    kept = files.read(tmp_path / ".cursor" / "mcp.json")
    assert kept.data is None
    with pytest.raises(Refused, match="cannot be written"):
        files.write(kept, b"{}")


@pytest.mark.skipif(os.name == "nt", reason="a mode of Windows forbids nothing")
def test_a_folder_that_cannot_be_written_is_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> tuple[int, str]:
        raise OSError(28, "No space left on device")

    place.write_bytes(b"{}")
    monkeypatch.setattr("tempfile.mkstemp", full)
    with pytest.raises(Refused, match=r"cannot be written \(No space left on device\)"):
        files.write(files.read(place), b"[]")
    with pytest.raises(Refused, match="No backup of"):
        files.back_up(files.read(place))
    assert place.read_bytes() == b"{}"
