"""What was written reaches the disk, and a name its file, on each system's own terms.

What this is: the three calls that differ between systems where something must outlive a power cut or replace another
file. What it is not: where anything is kept (`blobs`, `stores`). Above: blobs, sandbox, the command line's files.
Below: nothing.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

_AGAIN_AFTER_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Windows: a virus scanner looks at a new file, a reader holds an old one, each for a moment."""


def sync(descriptor: int, *, full: int | None = None) -> None:
    """Bring an open file to the disk.

    Args:
        descriptor: of the file.
        full: the command for `fcntl` that also empties the disk's own cache; by default this system's. On macOS `fsync`
            leaves it to the disk when it writes (fsync(2) there), so that a power cut could undo it.

    Raises:
        OSError: the disk failed or is full.
    """
    command = _FULL_SYNC if full is None else full
    if command is not None:
        # A network folder knows no such command.
        with contextlib.suppress(OSError):
            _fcntl(descriptor, command)
            return
    os.fsync(descriptor)


def sync_folder(folder: Path, *, system: str = sys.platform) -> None:
    """Bring a folder's names to the disk. On Windows it cannot be opened, and NTFS keeps a journal of its names."""
    if system == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def replace(
    temporary: Path,
    path: Path,
    *,
    system: str = sys.platform,
    rename: Callable[[Path, Path], None] = os.replace,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Put a file in another's place, whole or not at all; called in a worker thread.

    Args:
        temporary: the new file, closed.
        path: its name from now on.
        system: as `sys.platform` names it. On Windows no open file is replaced: it is tried for about a second.
        rename: does it once.
        wait: waits so many seconds.

    Raises:
        OSError: it cannot be done.
    """
    for wait_s in _AGAIN_AFTER_S if system == "win32" else ():
        try:
            rename(temporary, path)
        except PermissionError:
            wait(wait_s)
        else:
            return
    rename(temporary, path)


def _full_sync() -> int | None:
    if sys.platform == "win32":
        return None
    import fcntl

    return getattr(fcntl, "F_FULLFSYNC", None)


def _fcntl(descriptor: int, command: int) -> None:
    if sys.platform != "win32":
        import fcntl

        fcntl.fcntl(descriptor, command)


_FULL_SYNC = _full_sync()
