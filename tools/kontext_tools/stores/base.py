"""A store remembers jobs.

What this is: the seam between the engine's rules and a database. Every look-up on behalf of a caller takes the
owner; what is another's and what does not exist read the same. What it is not: bytes (`blobs`) or rules of time
and money (`engine`, `budget`). Above: engine, studio. Below: jobs, budget, errors.

Any verb may raise `StorageBusy`, `StorageFull` or `StorageDamaged`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from typing import Any, Protocol

from kontext_tools.budget import Caps, Price, Spending, Unit
from kontext_tools.changes import Change
from kontext_tools.jobs import Job, Output, Send, Source
from kontext_tools.references import Ref
from kontext_tools.stores.figures import FigureStore
from kontext_tools.stores.finds import EVERYTHING, ImageRow, Page, Wanted
from kontext_tools.stores.forgets import ForgetStore
from kontext_tools.stores.journal import Journal
from kontext_tools.stores.keys import KeyStore, TicketStore
from kontext_tools.stores.plans import Admission as Admission
from kontext_tools.stores.plans import PlanStore
from kontext_tools.stores.tasks import TaskStore


class Leasehold(Protocol):
    """What names a send and the lease that it is held by: a claim, or the send as it was read under it."""

    @property
    def job_id(self) -> str:
        """Whose it is."""
        ...

    @property
    def n(self) -> int:
        """Its number within the job."""
        ...

    @property
    def fence(self) -> int:
        """The lease's number."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A send under this process's lease. A write under an older fence is refused.

    It names the send and does not hold it: a row that cannot be read stops its own step and no other.
    """

    job_id: str
    n: int
    fence: int
    orphan: bool = False
    """Whether it was found in `intent`: its owner died between the intent and the answer."""
    barred: bool = False
    """Whether its provider's gate is closed: it may be passed on, not sent."""
    probe: bool = False
    """Whether it is the one that tries whether a closed gate's provider answers again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobNews:
    """What a step learnt about the job as a whole; `None` leaves a field as it is."""

    source: Source | None = None
    change: Change | None = None
    warnings: tuple[str, ...] = ()


class Saved(IntEnum):
    """What became of a write under a lease; only `NO` is false."""

    NO = 0
    """The lease is another's now, the move is not allowed, or it was an intent after a cancel."""
    YES = 1
    CANCEL_ASKED = 2
    """It is written, and the job's cancel has been asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What takes a send's place at another provider, and how its job is told from then on."""

    sends: tuple[Send, ...]
    provider: str
    model: str
    request: dict[str, Any]
    warning: str


class Store(PlanStore, TaskStore, ForgetStore, FigureStore, Journal, KeyStore, TicketStore, Protocol):
    """Where jobs, their sends, their images, tasks, users' own keys and the ledger live."""

    async def open(self) -> None:
        """Open and migrate. A failure is kept and raised by every later verb, so that a server can start without."""
        ...

    async def close(self) -> None:
        """Let go of the database."""
        ...

    async def admit(self, job: Job, *, caps: Caps, price: Price, now: datetime, nonce: str | None = None) -> Admission:
        """Record a job and reserve its money in one transaction, or give the earlier job that it repeats.

        Args:
            job: with the price that a person agreed to, where one was asked.
            caps: held in the same transaction.
            price: of all its images.
            now: UTC.
            nonce: of that person's yes; burnt with the record.

        Raises:
            IdempotencyConflict: the request_key belongs to other arguments.
            OutcomeUnknown: an identical call ended unknown less than 24 hours ago.
            BudgetExceeded: the cap for a call or a day would be passed.
            ConfirmationNeeded: a person must be asked first, or their yes has bought its job already.
            LookupError: the id is taken; draw another.
        """
        ...

    async def job_of_key(self, owner: str, request_key: str) -> Job | None:
        """Give the job of a request_key."""
        ...

    async def job(self, owner: str, job_id: str) -> Job | None:
        """Give one of the owner's jobs."""
        ...

    async def any_job(self, job_id: str) -> Job | None:
        """Give a job to the engine, which serves every owner."""
        ...

    async def jobs(self, owner: str, *, limit: int, before: str | None = None) -> Sequence[Job]:
        """Give the owner's newest jobs, before an id where one is given."""
        ...

    async def images(self, owner: str, wanted: Wanted = EVERYTHING, *, limit: int, before: int | None = None) -> Page:
        """Give a page of the owner's images, newest first; `before` is where the page before it ended."""
        ...

    async def kin(self, owner: str, ref: Ref, *, limit: int) -> Sequence[ImageRow]:
        """Give the images that an image was made from and those made from it, so many of each, in no order."""
        ...

    async def recent_ids(self, owner: str, *, limit: int = 200) -> Sequence[str]:
        """Give ids of the owner's newest jobs, to find the nearest of a mistyped one."""
        ...

    async def claim(
        self, process: str, *, now: datetime, lease_until: datetime, limit: int, slots: Mapping[str, int]
    ) -> Sequence[Claim]:
        """Take sends that are due under a lease of this process, finished outputs first.

        What this process still holds is not taken anew, even where its lease ran out: it is driving it.

        Args:
            process: the claiming process's own name.
            now: UTC.
            lease_until: when the lease ends unless it is renewed.
            limit: at most so many.
            slots: creates in flight at once, by provider; a queued send beyond stays where it is.
        """
        ...

    async def renew(self, process: str, *, until: datetime) -> None:
        """Lengthen every lease that this process holds."""
        ...

    async def set_right(self, *, now: datetime, lease_until: datetime) -> None:
        """Pull in times that lie further ahead than any wait or lease: the clock was set back since they were set."""
        ...

    async def release(self, process: str) -> None:
        """Give back every lease that this process holds: it stops."""
        ...

    async def give_back(self, held: Leasehold, *, due_at: datetime, aside: bool = False) -> None:
        """Give back the lease of one send whose step did not end, under its fence; it is due again then.

        What is set aside, for it cannot be read, takes no slot from those that can be driven.
        """
        ...

    async def next_due(self, providers: Iterable[str]) -> datetime | None:
        """Give when the next unleased send at one of the providers is due."""
        ...

    async def save(
        self,
        send: Send,
        *,
        now: datetime,
        release: bool,
        outputs: Sequence[Output] = (),
        news: JobNews | None = None,
        durable: bool = True,
    ) -> Saved:
        """Write a send and what it brought, settle its money when it ends.

        An intent is refused once the job's cancel was asked for: nothing is sent after a cancel.

        Args:
            send: with the fence of its claim.
            now: UTC.
            release: whether the lease ends with this write.
            outputs: newly kept images.
            news: about the job as a whole.
            durable: whether it must outlive a power cut; what was only asked can be asked again.
        """
        ...

    async def hand_over(self, send: Send, handover: Handover, *, caps: Caps, now: datetime) -> bool:
        """Exchange a send that was not taken, and its reservation, for others; false where the lease is another's.

        Raises:
            BudgetExceeded: the job's price would pass a cap; nothing is changed.
            ConfirmationNeeded: it would pass what a person agreed to; nothing is changed.
        """
        ...

    async def gate(
        self, provider: str, *, creates_until: datetime | None = None, closed_until: datetime | None = None
    ) -> None:
        """Keep a provider's creates, or all that is asked of it, from being claimed; neither opens its gate."""
        ...

    async def bind(self, send: Send, *, now: datetime) -> bool:
        """Bind a remote id to its own send even after the lease was lost: the one write that is always allowed.

        False where the send has an id, or has ended otherwise than `unknown`. What was answered of the job before was
        not its end: an identical call joins it again.
        """
        ...

    async def held(self, provider: str, remote_ids: Sequence[str]) -> frozenset[str]:
        """Give those of a provider's ids that a send of ours holds."""
        ...

    async def has_rival(self, send: Send, *, within: timedelta) -> bool:
        """Whether another send may own what this one finds: on its way or unknown, whether or not it is looked for.

        Args:
            send: one that was sent.
            within: so near to it the other was sent, to the same provider with the same prompt and seed.
        """
        ...

    async def add_news(self, job_id: str, news: JobNews) -> None:
        """Write what was learnt about a job beside its sends: its source copy, a warning."""
        ...

    async def poke(self, job_id: str, *, now: datetime) -> None:
        """Make every running send of a job due at once."""
        ...

    async def request_cancel(self, owner: str, job_id: str, *, now: datetime) -> Job | None:
        """Note that a cancel was asked for; what is queued ends at once, unsent, its money released."""
        ...

    async def mark_delivered(self, job_id: str) -> None:
        """Note that a final answer was written to a call that was still open."""
        ...

    async def resolve(self, owner: str, job_id: str, *, charged: bool, now: datetime) -> Job | None:
        """Write what a person found out about an `unknown` job: its unknown sends fail, charged or not."""
        ...

    async def usage(self, owner: str, *, days: int) -> Sequence[Spending]:
        """Give the owner's ledger by day, provider and unit, newest first, for the newest days that have any."""
        ...

    async def spent(self, owner: str, *, day: str, unit: Unit) -> Decimal:
        """Give what the owner has spent or reserved on a UTC day, `2026-11-20`, in one unit."""
        ...
