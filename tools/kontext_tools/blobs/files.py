"""Blobs as files of this machine: temporary file, fsync, rename, fsync of the folder.

Above: app, engine, studio. Below: disk, errors. Files 0600, folders 0700.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import anyio.lowlevel
import anyio.to_thread

from kontext_tools import disk
from kontext_tools.blobs.base import storage_failure
from kontext_tools.folders import make_private

T = TypeVar("T")

log = logging.getLogger(__name__)

RENEWED_S = 3600.0
"""So long what was written or renewed since it became trash is left: a call that read it records its job in seconds."""
STALE_TEMPORARY_S = 3600.0
"""A temporary file that nobody has touched for so long belongs to no living process: a download takes minutes."""


class FileBlobs:
    """Keeps bytes under one folder. See `blobs.base.Blobs` for the verbs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._temporary = folder / ".tmp"

    def temporary(self) -> Path:
        """Give a fresh path in the folder's own `.tmp`."""
        try:
            make_private(self._temporary)
            path = self._temporary / secrets.token_hex(16)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except OSError as error:
            raise storage_failure(error) from error
        return path

    async def keep(self, temporary: Path, key: str) -> None:
        """Make a temporary file durable under a key."""
        await _in_thread(lambda: self._keep(temporary, self._path(key)))

    async def write(self, key: str, data: bytes, *, durable: bool = True) -> None:
        """Keep bytes under a key; the same key is replaced as a whole or not at all."""

        def write() -> None:
            temporary = self.temporary()
            try:
                temporary.write_bytes(data)
                self._keep(temporary, self._path(key), durable=durable)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise

        await _in_thread(write)

    async def read(self, key: str) -> bytes | None:
        """Give the bytes, or `None`."""

        def read() -> bytes | None:
            try:
                return self._path(key).read_bytes()
            except OSError:
                # What cannot be read is as good as removed: whoever asks says so, and serves nothing.
                return None

        return await _in_thread(read)

    def path(self, key: str) -> Path | None:
        """Give a key's absolute path."""
        return self._path(key)

    def key_of(self, path: Path) -> str | None:
        """Give the key of a path within the folder."""
        try:
            inside = Path(os.path.abspath(path)).relative_to(os.path.abspath(self._folder))  # noqa: PTH100  # no symlink is followed
        except ValueError:
            return None
        return inside.as_posix()

    async def address(self, key: str, *, expires_s: float) -> None:  # noqa: ARG002  # the seam's
        """Give `None`: a file of this machine has no address."""
        await anyio.lowlevel.checkpoint()

    async def renew(self, key: str) -> bool:
        """Set a file's time to now."""

        def renew() -> bool:
            now_ns = time.time_ns()  # left to the system it would lag behind by a tick
            try:
                os.utime(self._path(key), ns=(now_ns, now_ns))
            except FileNotFoundError:
                return False
            return True

        return await _in_thread(renew)

    async def remove(self, keys: Mapping[str, datetime]) -> frozenset[str]:
        """Remove the files of keys, durable; give those that were left."""

        def remove() -> frozenset[str]:
            left = {key for key, since in keys.items() if not _unlinked(self._path(key), since.timestamp())}
            for folder in {self._path(key).parent for key in keys}:
                if folder.is_dir():
                    disk.sync_folder(folder)
            return frozenset(left)

        return await _in_thread(remove)

    async def sweep(self) -> None:
        """Remove temporary files that nobody writes any more."""

        def sweep() -> None:
            if not self._temporary.is_dir():
                return
            for path in self._temporary.iterdir():
                _sweep_if_stale(path)

        await _in_thread(sweep)

    def _path(self, key: str) -> Path:
        return self._folder.joinpath(*key.split("/"))

    def _keep(self, temporary: Path, path: Path, *, durable: bool = True) -> None:
        make_private(path.parent)
        if durable:
            with temporary.open("rb+") as file:
                disk.sync(file.fileno())
        disk.replace(temporary, path)
        if durable:
            disk.sync_folder(path.parent)


def _unlinked(path: Path, since_s: float) -> bool:
    try:
        written_s = path.stat().st_mtime
        if written_s > since_s and abs(time.time() - written_s) < RENEWED_S:
            return False
        path.unlink()
    except FileNotFoundError:
        return True
    except OSError as error:
        log.warning("a deleted file is still there: %s", error.strerror)
        return False
    return True


def _sweep_if_stale(path: Path) -> None:
    # It may be renamed meanwhile, or be none of ours: a sweep never keeps a server from starting.
    with suppress(OSError):
        if time.time() - path.stat().st_mtime > STALE_TEMPORARY_S:
            path.unlink()


async def _in_thread(work: Callable[[], T]) -> T:
    try:
        return await anyio.to_thread.run_sync(work)
    except OSError as error:
        raise storage_failure(error) from error
