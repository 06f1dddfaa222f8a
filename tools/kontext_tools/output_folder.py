"""The operator's own folder (KONTEXT_OUTPUT_DIR): each finished image once more, under a readable name.

What this is: a courtesy to people who look with a file manager. Nothing is overwritten, and what fails is logged and
no more. What it is not: what rows vouch for (`blobs`). Above: archive. Below: shelf, jobs.
"""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

import anyio.to_thread

from kontext_tools.errors import KontextError
from kontext_tools.jobs import Output
from kontext_tools.shelf import Shelf

MOST_OF_A_NAME = 100

log = logging.getLogger(__name__)


class OutputFolder:
    """Copies images that are kept."""

    def __init__(self, folder: Path, shelf: Shelf) -> None:
        self._folder = folder
        self._shelf = shelf

    async def copy(self, job_id: str, output: Output) -> None:
        """Copy one image as `{job_id}-{n}.{extension}`; where that is taken, with a number behind."""
        try:
            data = await self._shelf.read(output.blob, output.facts)
            stem = f"{job_id}-{output.n}"
            await anyio.to_thread.run_sync(partial(self._written, stem, f".{output.facts.extension}", data))
        except KontextError as error:
            log.warning("the copy to KONTEXT_OUTPUT_DIR failed: %s", error.failure.code)
        except OSError as error:
            log.warning("the copy to KONTEXT_OUTPUT_DIR failed: %s", error.strerror)

    def _written(self, stem: str, suffix: str, data: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for attempt in range(MOST_OF_A_NAME):
            try:
                with (self._folder / f"{stem}{f'-{attempt + 1}' if attempt else ''}{suffix}").open("xb") as out:
                    out.write(data)
                return
            except FileExistsError:
                continue
