"""The part of the store's seam that deletes: jobs that ended, with all that is theirs.

What this is: the rule of what may go, pure, which a store applies inside its transaction; what goes; and the trash, the
keys of files whose rows are gone, kept until the files are gone too. What it is not: the files (`blobs`), or who may
ask for it (`studio`). Above: base, trash, forgetting. Below: errors.

What stays: the ledger and burnt answers, and the ids of what was deleted, for no id may ever come twice: both name
their job by it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from kontext_tools.errors import InvalidArgument


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What can only be deleted as one: a job, or a plan with the jobs that it made.

    Attributes:
        job_id: the job or the plan.
        parts: a plan's own steps' jobs.
        plan_id: the plan that made this job.
        running: one of them, or of those that the plan took over, that has not ended.
        unknown: one of these whose fate is not known, or that of one of its sends.
        ended_at: of the job or the plan, UTC.
        last_ended_at: the latest end of them all, UTC.
        heirs: other plans that took over runs of it.
    """

    job_id: str
    parts: tuple[str, ...] = ()
    plan_id: str | None = None
    running: str | None = None
    unknown: str | None = None
    ended_at: datetime | None = None
    last_ended_at: datetime | None = None
    heirs: frozenset[str] = frozenset()

    @property
    def ids(self) -> tuple[str, ...]:
        """All jobs of it."""
        return (self.job_id, *self.parts)


class Hold(StrEnum):
    """Why a job stays."""

    STEP = "step"
    """A plan made it, which stays."""
    RUNNING = "running"
    UNKNOWN = "unknown"
    NEEDED = "needed"
    """A running job starts from one of its pictures."""
    TAKEN_OVER = "taken_over"
    """A plan that stays took over a run of it."""
    YOUNGER = "younger"
    """A plan one of whose parts ended too late."""
    CHANGED = "changed"
    """It may go no more: something happened to it since it was looked at."""


def holds(unit: Unit, going: Collection[str], needed: Mapping[str, str]) -> tuple[Hold, str] | None:
    """Give why a unit may not be deleted and the job, or the jobs, that say so; `None` where it may.

    Args:
        unit: as it stands.
        going: ids of what is deleted with it.
        needed: by the id of a job whose picture a running one starts from, that one.
    """
    if unit.plan_id is not None and unit.plan_id not in going:
        return Hold.STEP, unit.plan_id
    if unit.running is not None:
        return Hold.RUNNING, unit.running
    if unit.unknown is not None:
        return Hold.UNKNOWN, unit.unknown
    child = next((needed[one] for one in unit.ids if one in needed), None)
    if child is not None:
        return Hold.NEEDED, child
    heirs = sorted(unit.heirs.difference(going))
    return (Hold.TAKEN_OVER, " ".join(heirs)) if heirs else None


def refusal(unit: Unit, hold: Hold, by: str) -> InvalidArgument:
    """Give the refusal to delete a unit."""
    own = by == unit.job_id
    which = unit.job_id if own else f"{by}, a step of {unit.job_id},"
    told = {
        Hold.STEP: (f"{unit.job_id} is a step of {by}", f"delete the whole plan: kontext delete {by}"),
        Hold.RUNNING: (f"{which} still runs", f"cancel it first: kontext cancel {unit.job_id}"),
        Hold.UNKNOWN: (
            f"{which} may have been charged",
            f"say first what became of it: kontext jobs --resolve {by} charged|not-charged",
        ),
        Hold.NEEDED: (f"{by} is being made from {unit.job_id}", f"wait for it or cancel it: kontext cancel {by}"),
        Hold.TAKEN_OVER: (
            f"{by.replace(' ', ' and ')} took over steps of {unit.job_id}",
            f"delete them together: kontext delete {unit.job_id} {by}",
        ),
    }
    why, fix = told[hold]
    return InvalidArgument(f"{why}; nothing was deleted.", fix=f"{fix[0].upper()}{fix[1:]}", field="job_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Going:
    """What goes.

    Attributes:
        job_ids: plans before the jobs that they made.
        images: their pictures.
        size_bytes: of these pictures; sources may be shared, and are not counted.
        children: pictures that were made from one of them, and stay without their "before".
    """

    job_ids: tuple[str, ...] = ()
    images: int = 0
    size_bytes: int = 0
    children: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Old:
    """What can go of all that ended before a moment.

    Attributes:
        units: the ids of each unit, the newest first: what took over from another goes before it.
        going: all of them together.
        skipped: units that ended before too, by why they stay.
    """

    units: tuple[tuple[str, ...], ...] = ()
    going: Going = field(default_factory=Going)
    skipped: Counter[Hold] = field(default_factory=Counter[Hold])


@dataclass(frozen=True, slots=True, kw_only=True)
class Trashed:
    """A key whose row is gone.

    Attributes:
        number: of its own; the same key may come again.
        key: of the file.
        since: when the row went, UTC, by the machine's own clock, as files' times are.
    """

    number: int
    key: str
    since: datetime


class ForgetStore(Protocol):
    """Where jobs are deleted."""

    async def going(self, owner: str, job_ids: Sequence[str]) -> Going:
        """Give what would go with the owner's jobs. Raises as `forget` does."""
        ...

    async def forget(self, owner: str, job_ids: Sequence[str]) -> Going:
        """Delete the owner's jobs that ended, plans with the jobs that they made: all or none, in one transaction.

        The keys of their files go to the trash. What was made from their pictures has no "before" any more.

        Raises:
            NotFound: there is no such job.
            InvalidArgument: one of them must stay; see `holds`.
        """
        ...

    async def old(self, owner: str, *, before: datetime) -> Old:
        """Give what can go of the owner's jobs that ended before a moment, UTC."""
        ...

    async def trash(self) -> Sequence[Trashed]:
        """Give the keys in the trash that no row refers to; what one refers to again is taken out of it."""
        ...

    async def empty_trash(self, trashed: Sequence[Trashed]) -> None:
        """Take keys out of the trash: their files are gone."""
        ...

    async def wipe(self) -> None:
        """Overwrite the words of what was deleted, as far as can be done beside others that use the database."""
        ...
