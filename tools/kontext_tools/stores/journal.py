"""The journal: what happened to whose jobs, in the order in which it was committed, by whatever process.

What this is: the part of the Store seam that tells a listener what is new since it looked last. It is short: who looks
seldom is told that it missed something. What it is not: the jobs (`base`) or whom a happening is told (the surface).
Above: base, studio. Below: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

Mark = int | str
"""Where a listener stands, in its database's own words."""


class What(StrEnum):
    """What kind of thing happened."""

    JOB = "job"
    """A job was recorded or removed, or its status changed."""
    IMAGE = "image"
    """An image was kept or removed."""
    MONEY = "money"
    """The ledger has a new entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One thing that happened; `n` is the image's number where it is one, else 0."""

    owner: str
    job_id: str
    what: What
    n: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tidings:
    """What happened since a mark.

    Attributes:
        mark: to be given at the next look.
        happenings: oldest first.
        missed: whether there was more than is kept: anything may have changed.
    """

    mark: Mark
    happenings: tuple[Happening, ...] = ()
    missed: bool = False


class Journal(Protocol):
    """Tells what is new."""

    async def tidings(self, since: Mark | None) -> Tidings:
        """Give what happened since a mark, everybody's; from `None` nothing but the mark of this moment."""
        ...

    async def stirred(self) -> None:
        """Return when another process wrote, or may have; it is a hint, for one who waits at a time.

        Never, where the database gives none: whoever waits looks by itself from time to time as well.
        """
        ...
