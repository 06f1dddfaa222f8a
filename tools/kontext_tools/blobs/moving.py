"""The files of a data folder taken up into another place for blobs, under their keys.

What this is: pictures as delivered, the facts beside them, and sources; thumbnails are made again where they are looked
at. Nothing is removed here. What it is not: the rows that name them (`stores.moving`). Above: the command line. Below:
base, keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from kontext_tools.blobs.base import Blobs
from kontext_tools.blobs.keys import KEPT
from kontext_tools.errors import KontextError

AT_ONCE = 4
"""Each is held in memory meanwhile: 64 MB at most."""

Sent = dict[str, tuple[int, int]]
"""Keys, each with the size and the time of the file that went."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Files that have not gone up yet: how many, and their size together."""

    files: int
    size_bytes: int


def waiting(folder: Path, sent: Sent) -> Waiting:
    """Tell what of a data folder is still to go."""
    left = [size for key, (size, _) in _files(folder).items() if key not in sent]
    return Waiting(files=len(left), size_bytes=sum(left))


async def send_up(folder: Path, blobs: Blobs, sent: Sent, gone: Callable[[], None]) -> None:
    """Take up what is not in `sent`, or changed since, and note it there; a file that is gone by then is passed over.

    Args:
        folder: the data folder.
        blobs: where to.
        sent: what went before.
        gone: called after each file.

    Raises:
        StorageFull, StorageBusy: as `Blobs.keep`.
    """
    files = await anyio.to_thread.run_sync(_files, folder)
    todo = iter([(key, mark) for key, mark in files.items() if sent.get(key) != mark])

    failed = list[KontextError]()

    async def send() -> None:
        for key, mark in todo:
            try:
                data = await anyio.Path(folder / key).read_bytes()
            except FileNotFoundError:
                continue
            try:
                await blobs.write(key, data)
            except KontextError as error:
                failed.append(error)
                return
            sent[key] = mark
            gone()
            if failed:
                return

    async with anyio.create_task_group() as tasks:
        for _ in range(AT_ONCE):
            tasks.start_soon(send)
    if failed:
        raise failed[0]


def _files(folder: Path) -> Sent:
    found = sorted(path for kept in KEPT for path in (folder / kept).rglob("*") if path.is_file())
    facts = {path.relative_to(folder).as_posix(): path.stat() for path in found}
    return {key: (of.st_size, of.st_mtime_ns) for key, of in facts.items()}
