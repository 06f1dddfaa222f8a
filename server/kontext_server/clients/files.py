"""A client's file on the disk: read whole, written whole or not at all, backed up before we first change it.

What this is: bytes in, bytes out; through a link to what it leads to (people keep such files in a repository), with the
file's own mode. What it is not: what stands in it (`edits`). Above: work, looking. Below: refused, disk.

A backup lies beside the file, as `mcp.json.kontext-backup`, and is never written over: a later one is `…-2`, `…-3`.
"""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kontext_server.clients.refused import Refused
from kontext_tools import disk

MAX_BYTES = 16 * 1024 * 1024
"""A client's settings are a thousandth of it."""

SUFFIX = ".kontext-backup"
PRIVATE = 0o600
BOM = "\ufeff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A file as it was read.

    Attributes:
        path: as the client knows it.
        target: what that leads to.
        data: its bytes; `None` where there is no file.
        mode: its permissions.
    """

    path: Path
    target: Path
    data: bytes | None
    mode: int = PRIVATE

    def text(self) -> str:
        """Give the text without its byte order mark; nothing where there is no file. Raises Refused."""
        try:
            return (self.data or b"").decode("utf-8").removeprefix(BOM)
        except UnicodeDecodeError:
            raise Refused(f"{self.path} is not UTF-8.", fix=BY_HAND) from None

    def encoded(self, text: str) -> bytes:
        """Give a text as the file writes it: with a byte order mark where it has one. Raises Refused."""
        mark = BOM if (self.data or b"").startswith(BOM.encode()) else ""
        try:
            return (mark + text).encode("utf-8")
        except UnicodeEncodeError:
            raise Refused("The entry holds a path that is no UTF-8.", fix="Install kontext elsewhere.") from None


BY_HAND = "Change it by hand; kontext install CLIENT --print shows the entry."


def read(path: Path) -> Kept:
    """Read a client's file.

    Raises:
        Refused: it cannot be read, is no file, or is too large to be one of settings.
    """
    target = Path(os.path.realpath(path))
    try:
        found = target.stat()
        if not stat.S_ISREG(found.st_mode):
            raise Refused(f"{path} is no file.", fix="Move it away, and run the command again.")
        if found.st_size > MAX_BYTES:
            raise Refused(f"{path} is larger than 16 MiB.", fix=BY_HAND)
        return Kept(path=path, target=target, data=target.read_bytes(), mode=stat.S_IMODE(found.st_mode))
    except (FileNotFoundError, NotADirectoryError):
        return Kept(path=path, target=target, data=None)
    except OSError as error:
        raise Refused(f"{path} cannot be read ({error.strerror}).", fix="Give yourself the right to read it.") from None


def write(kept: Kept, data: bytes | None) -> None:
    """Put new bytes in the file's place, or take it away with `None`.

    Raises:
        Refused: it was changed since it was read, or cannot be written; it is as it was.
    """
    try:
        if data is None:
            _check_unchanged(kept)
            kept.target.unlink()
            return
        kept.target.parent.mkdir(parents=True, exist_ok=True)
        temporary = _written(kept.target.parent, data, kept.mode)
        try:
            _check_unchanged(kept)
            disk.replace(temporary, kept.target)
        finally:
            temporary.unlink(missing_ok=True)
        disk.sync_folder(kept.target.parent)
    except OSError as error:
        fix = "Close the client if it holds the file, and see that its folder can be written."
        raise Refused(f"{kept.path} cannot be written ({error.strerror}).", fix=fix) from None


def back_up(kept: Kept) -> Path:
    """Keep the bytes beside the file; give where, which is the newest backup if that holds the same. Raises Refused."""
    newest = newest_backup(kept.path)
    try:
        if newest is not None and newest.read_bytes() == kept.data:
            return newest
        place = _backup(kept.path, 1 if newest is None else _number(kept.path, newest) + 1)
        temporary = _written(kept.path.parent, kept.data or b"", kept.mode)
        try:
            # Another install may have taken the name: then neither is lost.
            os.link(temporary, place)
        except FileExistsError:
            raise Refused("Another install is under way.", fix="Run the command again.") from None
        except OSError:
            disk.replace(temporary, place)
        finally:
            temporary.unlink(missing_ok=True)
        return place
    except OSError as error:
        raise Refused(f"No backup of {kept.path} can be written ({error.strerror}).", fix="Make room for it.") from None


def newest_backup(path: Path) -> Path | None:
    """Give the newest backup of a client's file; `None` where there is none."""
    with suppress(OSError):
        numbers = [number for found in path.parent.iterdir() if (number := _number(path, found))]
        return _backup(path, max(numbers)) if numbers else None
    return None


def _backup(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}{SUFFIX}" + (f"-{number}" if number > 1 else ""))


def _number(path: Path, backup: Path) -> int:
    """Give which backup of the file that is, from 1; 0 where it is none."""
    if not backup.name.startswith(path.name + SUFFIX):
        return 0
    number = backup.name.removeprefix(path.name + SUFFIX)
    if not number:
        return 1
    return int(number[1:]) if number[0] == "-" and number[1:].isdecimal() and number[1:].isascii() else 0


def _written(folder: Path, data: bytes, mode: int) -> Path:
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".kontext-", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            disk.sync(file.fileno())
        temporary.chmod(mode)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _check_unchanged(kept: Kept) -> None:
    try:
        now = kept.target.read_bytes()
    except FileNotFoundError:
        now = None
    if now != kept.data:
        raise Refused(f"{kept.path} was changed meanwhile.", fix="Run the command again.")
