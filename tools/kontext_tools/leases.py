"""Writing under a lease: every write of a step says whose it is, or fails.

What this is: the one way in which a step writes its send. What it is not: claiming and renewing (`engine`). Above:
steps, finishing. Below: stores.base.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from kontext_tools import tracing
from kontext_tools.clocks import Clock
from kontext_tools.jobs import Job, Output, Send
from kontext_tools.meters import UNMETERED, Meter
from kontext_tools.stores.base import Claim, JobNews, Saved, Store


class LeaseLost(Exception):
    """The send is another process's now, or was cancelled: nothing may be sent or written."""


class Leased:
    """Reads and writes on behalf of a step that holds the lease of a send."""

    def __init__(self, store: Store, clock: Clock, meter: Meter = UNMETERED) -> None:
        self._store = store
        self._clock = clock
        self._meter = meter

    async def job(self, send: Send) -> Job:
        """Give the send's job as it stands. Raises `LeaseLost` where it was deleted."""
        job = await self._store.any_job(send.job_id)
        if job is None:
            raise LeaseLost
        return job

    async def claimed(self, claim: Claim) -> tuple[Job, Send]:
        """Give a claimed send and its job. Raises `LeaseLost` where the job was deleted or another claimed it since."""
        job = await self._store.any_job(claim.job_id)
        if job is None or (send := job.sends[claim.n - 1]).fence != claim.fence:
            raise LeaseLost
        return job, send

    async def save(
        self,
        send: Send,
        *,
        release: bool,
        outputs: Sequence[Output] = (),
        news: JobNews | None = None,
        durable: bool = True,
    ) -> bool:
        """Write a send and what it brought; give whether a cancel of its job was asked for.

        `durable` is false for what a power cut may undo.

        Raises:
            LeaseLost: the lease is another's, or a cancel was asked for before this intent.
        """
        now = self._clock.now()
        tracing.note(send)
        saved = await self._store.save(send, now=now, release=release, outputs=outputs, news=news, durable=durable)
        if not saved:
            raise LeaseLost
        if send.ended_at is not None and send.state.ended:
            took_s = None if send.sent_at is None else (send.ended_at - send.sent_at).total_seconds()
            self._meter.ended(send.provider, send.state.value, took_s)
        return saved is Saved.CANCEL_ASKED

    async def later(self, send: Send, wait_s: float) -> None:
        """Give the send back, as it stands, due again in so many seconds."""
        due = self._clock.now() + timedelta(seconds=wait_s)
        await self.save(replace(send, due_at=due), release=True, durable=False)

    async def back(self, claim: Claim, wait_s: float, *, aside: bool = False) -> None:
        """Give the lease back without a write of the send, where it is ours; it is due again in so many seconds.

        What is set aside takes no slot from those that can be driven.
        """
        await self._store.give_back(claim, due_at=self._clock.now() + timedelta(seconds=wait_s), aside=aside)
