"""Blobs keep bytes: results as delivered, sources as sent.

What this is: the seam. What it is not: rows (`stores`), or what the bytes mean (`images`). Above: engine, studio,
sources. Below: errors. Implemented by `files` (one machine) and `s3` (many).
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol

from kontext_tools.errors import KontextError, StorageFull


class Blobs(Protocol):
    """Where bytes are kept, by key such as `images/red-car-4k7q-1.png`."""

    def temporary(self) -> Path:
        """Give a fresh path on this machine, for a stream to be written to; swept at start if left over."""
        ...

    async def keep(self, temporary: Path, key: str) -> None:
        """Make a temporary file durable under a key; it is gone from its place then, and still there where this fails.

        Raises:
            StorageFull: no space.
            StorageBusy: the place does not answer, or refuses us.
        """
        ...

    async def write(self, key: str, data: bytes, *, durable: bool = True) -> None:
        """Keep bytes under a key; whether a power cut may not undo that. Raises as `keep`."""
        ...

    async def read(self, key: str) -> bytes | None:
        """Give the bytes, or `None` where the key holds nothing.

        Raises:
            StorageBusy: the place does not answer: nobody knows whether it holds anything.
        """
        ...

    def path(self, key: str) -> Path | None:
        """Give the absolute path of a key, where blobs are files of this machine."""
        ...

    def key_of(self, path: Path) -> str | None:
        """Give the key of a path that lies within the blobs, else `None`."""
        ...

    async def address(self, key: str, *, expires_s: float) -> str | None:
        """Give an address that whoever knows it reads a key's bytes by, for so many seconds; `None` where none is.

        It is as secret as the picture. Whether the key holds anything is not asked.
        """
        ...

    async def renew(self, key: str) -> bool:
        """Note that what a key holds is wanted anew, so that `remove` leaves it; false where it holds nothing."""
        ...

    async def remove(self, keys: Mapping[str, datetime]) -> frozenset[str]:
        """Remove what keys hold, if they hold anything; it is gone for good when this returns.

        Args:
            keys: each with a moment, UTC, by the machine's own clock: what was written or renewed since is left for an
                hour, for somebody means to refer to it.

        Returns:
            Those that were left, or could not be removed.
        """
        ...

    async def sweep(self) -> None:
        """Remove temporary files that no living process writes."""
        ...


def storage_failure(error: OSError) -> KontextError:
    """Give the failure that an error of the file system stands for."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    what = "the disk is full" if full else "it is not writable or the disk failed"
    return StorageFull(
        f"The data folder cannot be written: {what}.",
        fix="A person must free space or mend the rights of KONTEXT_DATA_DIR; then call again.",
    )
