"""Folders: there, writable or readable, private, with space, and on a disk whose locks hold.

Above: checkup. Below: settings. Nothing is made but a temporary file that has no name.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import anyio.to_thread

from kontext_server.doctor.case import Case
from kontext_server.doctor.configuration import OTHERS
from kontext_server.doctor.findings import Finding, fail, ok, warn
from kontext_server.secret_key import FILE as SECRET_FILE

WARN_BYTES = 1 << 30
FAIL_BYTES = 100 << 20

NETWORK = frozenset({"nfs", "nfs3", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "fuse.rclone", "9p", "afs", "davfs"})
"""File systems on which SQLite's locks or its shared memory are not to be relied on (sqlite.org/wal.html: all processes
must be on one machine)."""

SYNCED = re.compile(
    r"onedrive\b.*|dropbox\b.*|google ?drive\b.*|icloud ?drive|mobile documents|cloudstorage", re.IGNORECASE
)
"""Folders that a program copies while they are written."""


async def look(case: Case) -> Sequence[Finding]:
    """Look at the data folder, the folder for copies, and the folders that inputs are read from."""
    return await anyio.to_thread.run_sync(
        lambda: [*_data(case), *_space(case), *_rights(case), *_place(case), *_output(case), _roots(case)]
    )


def _data(case: Case) -> Sequence[Finding]:
    name, folder = "data folder", case.read.kontext_data_dir
    mend = "Set KONTEXT_DATA_DIR to an absolute path of a folder that you may write to."
    if not folder.is_absolute():
        return [fail(name, "KONTEXT_DATA_DIR is no absolute path", mend, of_settings=True)]
    if folder.exists():
        wrong = _unwritable(folder)
        return [ok(name, f"{folder}") if wrong is None else fail(name, f"{folder} {wrong}", mend, of_settings=True)]
    wrong = _unwritable(_nearest(folder))
    if wrong is not None:
        return [fail(name, f"{folder} cannot be made: {_nearest(folder)} {wrong}", mend, of_settings=True)]
    return [ok(name, f"{folder} is made at the first start")]


def _space(case: Case) -> Sequence[Finding]:
    place = _nearest(case.read.kontext_data_dir)
    free = case.free_bytes(place)
    amount = f"{free / 1e9:.1f} GB" if free >= WARN_BYTES else f"{free / 1e6:.0f} MB"
    told, mend = f"{amount} are free at {place}", "Free space there, or set KONTEXT_DATA_DIR elsewhere."
    if free < FAIL_BYTES:
        return [fail("space", f"{told}: a paid picture could not be kept", mend)]
    return [warn("space", told, mend) if free < WARN_BYTES else ok("space", told)]


def _rights(case: Case) -> Sequence[Finding]:
    """Look whether other users of this machine may look in."""
    folder = case.read.kontext_data_dir
    if os.name == "nt" or not folder.is_dir():
        return []
    wanted = {folder: "700", folder / "kontext.db": "600", folder / SECRET_FILE: "600"}
    open_ = [(path, mode) for path, mode in wanted.items() if path.exists() and path.stat().st_mode & OTHERS]
    if not open_:
        return []
    names = ", ".join(path.name if path != folder else "the folder itself" for path, _ in open_)
    mend = " && ".join(f"chmod {mode} '{path}'" for path, mode in open_)
    return [warn("privacy", f"rights in the data folder let other users of this machine in: {names}", mend)]


def _place(case: Case) -> Sequence[Finding]:
    folder = case.read.kontext_data_dir
    if case.read.kontext_database_url is not None:
        return []
    mend = "Set KONTEXT_DATA_DIR to a folder on this machine's own disk that no program copies elsewhere."
    kind = _file_system(case.mounts, folder)
    if kind in NETWORK:
        return [warn("disk", f"the data folder is on a network file system ({kind}): the database may break", mend)]
    synced = next((part for part in folder.parts if SYNCED.fullmatch(part)), None)
    if synced is not None:
        return [warn("disk", f"the data folder is in a synced folder ({synced}): the database may break", mend)]
    return []


def _output(case: Case) -> Sequence[Finding]:
    folder = case.read.kontext_output_dir
    if folder is None:
        return []
    wrong = _unwritable(_nearest(folder))
    if wrong is None:
        return [ok("output folder", f"{folder}" if folder.exists() else f"{folder} is made with the first picture")]
    mend = "Set KONTEXT_OUTPUT_DIR to a folder that you may write to, or unset it."
    return [fail("output folder", f"{folder} {wrong}: finished pictures are not copied", mend, of_settings=True)]


def _roots(case: Case) -> Finding:
    name, roots = "image folders", case.read.image_roots
    closed = [str(root) for root in roots if not _readable(root)]
    told = ", ".join(closed)
    mend = "Make the folder, allow this program to read it, or set KONTEXT_IMAGE_ROOTS to folders that are there."
    if len(closed) == len(roots):
        cause = f"a model can read no picture of this machine: {told or 'none is named'}"
        return warn(name, cause, mend)
    if closed and case.read.kontext_image_roots is not None:
        return warn(name, f"not there, or not to be read: {told}", mend)
    return ok(name, f"{', '.join(str(root) for root in roots if str(root) not in closed)}")


def _unwritable(folder: Path) -> str | None:
    """Tell why no file can be written in a folder; `None` where one can."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"cannot be written ({error.strerror})"


def _readable(folder: Path) -> bool:
    try:
        next(folder.iterdir(), None)
    except OSError:
        return False
    return True


def _nearest(folder: Path) -> Path:
    """Give the folder, or the nearest one above it that is there."""
    return next((path for path in (folder, *folder.parents) if path.exists()), Path(folder.anchor or "."))


def _file_system(mounts: Path, folder: Path) -> str | None:
    """Give the kind of file system that a folder lies on, where the system tells."""
    try:
        lines = [line.split() for line in mounts.read_text("utf-8", "replace").splitlines()]
    except OSError:
        return None
    # Blanks in a path stand there as octal numbers.
    kinds = {Path(re.sub(r"\\([0-7]{3})", _octal, line[1])): line[2] for line in lines if len(line) > 2}
    return next((kinds[path] for path in (folder, *folder.parents) if path in kinds), None)


def _octal(found: re.Match[str]) -> str:
    return chr(int(found[1], 8))
