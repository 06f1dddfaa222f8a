"""What a person who looks after a database is told of it, whatever kind it is.

What it is not: the questions (`sqlite_health`, `postgres_health`). Above: the server's doctor. Below: nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """What no server has ended yet.

    Attributes:
        running: how many jobs stand in each status that is no end, by its word.
        unknown: ids of jobs that may have been charged, newest first.
        stale: sends that were about to go out when their process died.
    """

    running: Mapping[str, int]
    unknown: tuple[str, ...]
    stale: int


class Health(Protocol):
    """Questions to one database; nothing is made, migrated or moved."""

    @property
    def known(self) -> int:
        """The schema that this program makes there."""
        ...

    def version(self) -> int:
        """Check that it is sound and give its schema's number; 0 is one that nothing was written to.

        Raises:
            StorageDamaged: it is not sound, or newer than this program.
            StorageBusy: another holds it, or it cannot be reached.
            StorageFull: it cannot be opened.
        """
        ...

    def leftovers(self, *, now: datetime) -> Leftovers:
        """Tell what is still to be ended. Raises as `version`."""
        ...

    def newest_blobs(self, *, limit: int) -> list[str]:
        """Give the keys of the newest images. Raises as `version`."""
        ...
