"""The verbs of a store, each one piece of work in one transaction, whatever the database.

What this is: the async face, one verb after the other. What it is not: the statements (`sql_admits`, `sql_writes`,
`sql_claims`, `sql_plans`, `sql_ledger`, `sql_reads`, `sql_finds`), the verbs of tasks (`sql_tasks`), of deletion
(`sql_forgets`), of figures (`sql_figures`) and of keys (`sql_keys`), or how a transaction runs (`sqlite`, `postgres`).
Above: these. Below: those, database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from kontext_tools.budget import Caps, Price, Spending, Unit
from kontext_tools.errors import Failure
from kontext_tools.jobs import Job, Output, Send
from kontext_tools.references import Ref
from kontext_tools.stores import (
    sql_admits,
    sql_claims,
    sql_finds,
    sql_ledger,
    sql_plans,
    sql_reads,
    sql_writes,
)
from kontext_tools.stores.base import Admission, Claim, Handover, JobNews, Leasehold, Saved
from kontext_tools.stores.finds import EVERYTHING, ImageRow, Page, Wanted
from kontext_tools.stores.sql_figures import SqlFigures
from kontext_tools.stores.sql_forgets import SqlForgets
from kontext_tools.stores.sql_keys import SqlKeys
from kontext_tools.stores.sql_tasks import SqlTasks


class SqlStore(SqlTasks, SqlForgets, SqlFigures, SqlKeys):
    """Jobs in a database. See `stores.base.Store` for the verbs; `tidings` and `wipe` are each database's own."""

    async def admit(self, job: Job, *, caps: Caps, price: Price, now: datetime, nonce: str | None = None) -> Admission:
        """Record a job and reserve its money, or give the earlier one that it repeats."""
        return await self._write(lambda db: sql_admits.admit(db, job, caps=caps, price=price, now=now, nonce=nonce))

    async def admit_plan(
        self, job: Job, *, caps: Caps, prices: Sequence[Price], now: datetime, nonce: str | None = None
    ) -> Admission:
        """Record a plan, or give the earlier one that it repeats."""
        return await self._write(
            lambda db: sql_admits.admit_plan(db, job, caps=caps, prices=prices, now=now, nonce=nonce)
        )

    async def next_plan_due(self) -> datetime | None:
        """Give when the next plan is to be looked at."""
        return await self._read(sql_plans.next_due)

    async def claim_plans(
        self, process: str, *, now: datetime, lease_until: datetime, again_at: datetime, limit: int
    ) -> Sequence[str]:
        """Take due plans under a lease."""
        return await self._write(
            lambda db: sql_plans.claim(db, process, now=now, lease_until=lease_until, again_at=again_at, limit=limit),
            durable=False,
        )

    async def rest_plan(self, process: str, plan_id: str, *, now: datetime) -> bool:
        """Give a plan's lease back, and end it where nothing is left to do."""
        return await self._write(lambda db: sql_plans.rest(db, process, plan_id, now=now))

    async def leave_run(self, plan_id: str, step: str, run: int, *, failure: Failure | None) -> None:
        """Note that a run will not start."""
        await self._write(lambda db: sql_plans.leave(db, plan_id, step, run, failure=failure))

    async def claim(
        self, process: str, *, now: datetime, lease_until: datetime, limit: int, slots: Mapping[str, int]
    ) -> Sequence[Claim]:
        """Take due sends under a lease."""
        return await self._write(
            lambda db: sql_claims.claim(db, process, now=now, lease_until=lease_until, limit=limit, slots=slots),
            durable=False,
        )

    async def renew(self, process: str, *, until: datetime) -> None:
        """Lengthen this process's leases."""
        await self._write(lambda db: sql_claims.renew(db, process, until=until), durable=False)

    async def set_right(self, *, now: datetime, lease_until: datetime) -> None:
        """Pull in times that a clock which was set back left ahead."""
        await self._write(lambda db: sql_claims.set_right(db, now=now, lease_until=lease_until), durable=False)

    async def release(self, process: str) -> None:
        """Give this process's leases back."""
        await self._write(lambda db: sql_claims.release(db, process), durable=False)

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
        """Write a send under its fence."""
        return await self._write(
            lambda db: sql_writes.save(db, send, now=now, release=release, outputs=outputs, news=news),
            durable=durable,
        )

    async def hand_over(self, send: Send, handover: Handover, *, caps: Caps, now: datetime) -> bool:
        """Exchange a send that was not taken for others."""
        return await self._write(lambda db: sql_writes.hand_over(db, send, handover, caps=caps, now=now))

    async def gate(
        self, provider: str, *, creates_until: datetime | None = None, closed_until: datetime | None = None
    ) -> None:
        """Hold a provider's creates back, or all that is asked of it."""
        await self._write(
            lambda db: sql_claims.gate(db, provider, creates_until=creates_until, closed_until=closed_until),
            durable=False,
        )

    async def bind(self, send: Send, *, now: datetime) -> bool:
        """Bind a remote id to its own send."""
        return await self._write(lambda db: sql_writes.bind(db, send, now=now))

    async def add_news(self, job_id: str, news: JobNews) -> None:
        """Write what was learnt about a job."""
        await self._write(lambda db: sql_writes.add_news(db, job_id, news))

    async def poke(self, job_id: str, *, now: datetime) -> None:
        """Make a job's running sends due."""
        await self._write(lambda db: sql_writes.poke(db, job_id, now=now), durable=False)

    async def request_cancel(self, owner: str, job_id: str, *, now: datetime) -> Job | None:
        """Note a cancel; end what is queued."""
        return await self._write(lambda db: sql_writes.request_cancel(db, owner, job_id, now=now))

    async def mark_delivered(self, job_id: str) -> None:
        """Note that the final answer went out."""
        await self._write(lambda db: sql_writes.mark_delivered(db, job_id))

    async def job_of_key(self, owner: str, request_key: str) -> Job | None:
        """Give the job of a request_key."""
        return await self._read(lambda db: sql_reads.job_of_key(db, owner, request_key))

    async def job(self, owner: str, job_id: str) -> Job | None:
        """Give one of the owner's jobs."""
        return await self._read(lambda db: sql_reads.job(db, job_id, owner=owner))

    async def any_job(self, job_id: str) -> Job | None:
        """Give a job to the engine."""
        return await self._read(lambda db: sql_reads.job(db, job_id))

    async def jobs(self, owner: str, *, limit: int, before: str | None = None) -> Sequence[Job]:
        """Give the owner's newest jobs."""
        return await self._read(lambda db: sql_reads.jobs(db, owner, limit=limit, before=before))

    async def images(self, owner: str, wanted: Wanted = EVERYTHING, *, limit: int, before: int | None = None) -> Page:
        """Give a page of the owner's images."""
        return await self._read(lambda db: sql_finds.images(db, owner, wanted, limit=limit, before=before))

    async def kin(self, owner: str, ref: Ref, *, limit: int) -> Sequence[ImageRow]:
        """Give what an image was made from and what was made from it."""
        return await self._read(lambda db: sql_finds.kin(db, owner, ref, limit=limit))

    async def recent_ids(self, owner: str, *, limit: int = 200) -> Sequence[str]:
        """Give ids of the newest jobs."""
        return await self._read(lambda db: sql_reads.recent_ids(db, owner, limit=limit))

    async def give_back(self, held: Leasehold, *, due_at: datetime, aside: bool = False) -> None:
        """Give one lease back, unfinished."""
        await self._write(lambda db: sql_claims.give_back(db, held, due_at=due_at, aside=aside), durable=False)

    async def resolve(self, owner: str, job_id: str, *, charged: bool, now: datetime) -> Job | None:
        """Write what a person found out about an unknown job."""
        return await self._write(lambda db: sql_writes.resolve(db, owner, job_id, charged=charged, now=now))

    async def usage(self, owner: str, *, days: int) -> Sequence[Spending]:
        """Give the ledger by day, provider and unit."""
        return await self._read(lambda db: sql_ledger.usage(db, owner, days=days))

    async def held(self, provider: str, remote_ids: Sequence[str]) -> frozenset[str]:
        """Give those of a provider's ids that a send holds."""
        return await self._read(lambda db: sql_reads.held(db, provider, remote_ids))

    async def has_rival(self, send: Send, *, within: timedelta) -> bool:
        """Whether another send may own what this one finds."""
        return await self._read(lambda db: sql_reads.has_rival(db, send, within=within))

    async def next_due(self, providers: Iterable[str]) -> datetime | None:
        """Give when the next send is due."""
        return await self._read(lambda db: sql_claims.next_due(db, providers))

    async def spent(self, owner: str, *, day: str, unit: Unit) -> Decimal:
        """Give what was spent or reserved on a day."""
        return await self._read(lambda db: sql_reads.spent(db, owner, day=day, unit=unit))
