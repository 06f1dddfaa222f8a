"""Where a picture waits that has come and cannot be kept: its storage is on other machines and does not answer.

What this is: a folder of this machine's data folder, a file for each picture, durable once the storage has failed. A
provider's link may be dead long before the storage is back. What it is not: a place that is served from, or one that
other machines see: a send that waits says at which place (`Send.waits_at`). Above: archive. Below: disk.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from kontext_tools import disk
from kontext_tools.folders import make_private

_NAME = re.compile(r"(?P<job>.+)-(?P<n>[0-9]+)")
_PLACE = "place"
_TRIES = 3


class Waiting:
    """Pictures that wait. `take` and `drop` are one call of the system each where nothing waits, as is usual.

    Args:
        folder: made when first needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def hold(self, temporary: Path, job_id: str, n: int) -> None:
        """Give a whole picture a second name here, before it goes where it may not arrive.

        Where the file system has no second names, nothing waits: then it is fetched anew, while its link lives.
        """
        for _ in range(_TRIES):
            try:
                make_private(self._folder)
                os.link(temporary, self._path(job_id, n))
            except FileNotFoundError:  # another process took the empty folder away between the two
                continue
            except OSError:
                return
            return

    def settle(self, job_id: str, n: int) -> str:
        """Bring a picture that waits to the disk; give this place's name, empty where it does not wait here."""
        try:
            descriptor = os.open(self._path(job_id, n), os.O_RDWR)
            try:
                disk.sync(descriptor)
            finally:
                os.close(descriptor)
            name = self.name() or self._named()
            disk.sync_folder(self._folder)
        except OSError:
            return ""
        return name

    def take(self, job_id: str, n: int, temporary: Path) -> bool:
        """Put a picture that waits in a temporary file's place as well; false where none does."""
        path = self._path(job_id, n)
        if not path.exists():
            return False
        try:
            temporary.unlink()
            os.link(path, temporary)
        except OSError:
            return False
        return True

    def drop(self, job_id: str, n: int) -> None:
        """Let go of a picture: it is kept, or nobody waits for it any more."""
        with suppress(OSError):
            self._path(job_id, n).unlink()
            self._folder.rmdir()  # where nothing else waits, or ever did

    def waiting(self) -> Iterator[tuple[str, int]]:
        """Give what waits: jobs' ids and numbers of pictures."""
        names = [path.name for path in self._folder.iterdir()] if self._folder.is_dir() else []
        for found in map(_NAME.fullmatch, sorted(names)):
            if found is not None:
                yield found["job"], int(found["n"])

    def name(self) -> str:
        """Give the place's own name; empty where nothing has ever waited here."""
        try:
            return (self._folder / _PLACE).read_text("ascii")
        except (OSError, ValueError):
            return ""

    def _named(self) -> str:
        """Name the place; of processes that do so at once, one does."""
        temporary = self._folder / f"{_PLACE}.{secrets.token_hex(8)}"
        temporary.write_text(secrets.token_hex(16), "ascii")
        try:
            with suppress(FileExistsError):
                os.link(temporary, self._folder / _PLACE)
        finally:
            temporary.unlink()
        return self.name()

    def _path(self, job_id: str, n: int) -> Path:
        return self._folder / f"{job_id}-{n}"
