"""The create: the one act that costs money, and what follows where it gave no job.

What this is: the intent before the first byte, the verdict of a failure, another attempt, or the next provider. What it
is not: the looks afterwards (`watching`). Above: steps. Below: accounts, watching, passing, gates, leases, originals,
providers.base.

The one rule about money: a create goes out only after its intent is committed, and after an intent only proof that
nothing was taken leads back to `queued`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import TypeVar

import anyio

from kontext_tools import pacing, tracing
from kontext_tools.accounts import Accounts
from kontext_tools.clocks import Clock
from kontext_tools.drafting import order_of
from kontext_tools.errors import Failure, KontextError, ProviderError, StorageBusy, StorageFull
from kontext_tools.gates import Gates
from kontext_tools.hooks import Hooks
from kontext_tools.jobs import Job, Send, SendState
from kontext_tools.leases import Leased, LeaseLost
from kontext_tools.meters import Meter
from kontext_tools.originals import Originals
from kontext_tools.passing import Passing
from kontext_tools.providers.base import FetchFailed, Phase, Provider, Snapshot, SubmitFailed, Verdict
from kontext_tools.seeking import Seeking
from kontext_tools.stores.base import Store
from kontext_tools.watching import Watching, unreadable

BARRED_AGAIN_S = 5.0
WRITE_AGAIN_S = 1.0

T = TypeVar("T")

log = logging.getLogger(__name__)


class Submitting:
    """Sends creates."""

    def __init__(
        self,
        store: Store,
        leased: Leased,
        watching: Watching,
        passing: Passing,
        seeking: Seeking,
        originals: Originals,
        gates: Gates,
        accounts: Accounts,
        hooks: Hooks | None,
        clock: Clock,
        random: Random,
        meter: Meter,
    ) -> None:
        self._store = store
        self._leased = leased
        self._watching = watching
        self._passing = passing
        self._seeking = seeking
        self._originals = originals
        self._gates = gates
        self._accounts = accounts
        self._hooks = hooks
        self._clock = clock
        self._random = random
        self._meter = meter

    async def submit(self, job: Job, send: Send, provider: Provider) -> None:
        """Create a send at its provider, once."""
        with tracing.span("kontext.submit", job, send):
            # What nobody's call asked for, such as a plan's step, is traced below its create.
            await self._submit(job, replace(send, trace=send.trace or tracing.current()), provider)

    async def _submit(self, job: Job, send: Send, provider: Provider) -> None:
        now = self._clock.now()
        hook = None if self._hooks is None else self._hooks.hook(send, provider)
        going = replace(
            send,
            state=SendState.INTENT,
            hooked=hook is not None,
            attempts=send.attempts + 1,
            first_attempt_at=send.first_attempt_at or now,
        )
        committed = False

        async def intent() -> None:
            nonlocal committed, going
            sent_at = self._clock.now()
            going = replace(going, sent_at=sent_at)
            await self._leased.save(going, release=False)
            committed = True
            if going.attempts == 1:
                self._meter.waited(send.provider, (sent_at - job.created_at).total_seconds())

        try:
            order = order_of(job, going, await self._originals.attachment(job, provider.offer))
            snapshot = await provider.submit(replace(order, hook=hook), intent)
        except SubmitFailed as failed:
            unsent = failed.verdict is Verdict.UNKNOWN and not committed
            await self._not_submitted(job, going, Verdict.NOT_TAKEN if unsent else failed.verdict, failed.failure)
            return
        except LeaseLost:
            raise
        except KontextError as error:
            # Our own kept source cannot be read: that is known before anything went out.
            verdict = Verdict.UNKNOWN if committed else Verdict.REFUSED
            await self._not_submitted(job, going, verdict, error.failure)
            return
        except Exception:
            log.exception("the create of %s broke", job.id)
            verdict = Verdict.UNKNOWN if committed else Verdict.REFUSED
            await self._not_submitted(job, going, verdict, unreadable() if committed else _unmade())
            return
        if snapshot.remote_id is None and snapshot.phase in (Phase.WAITING, Phase.WORKING):
            # Taken, it says, and without an id there is nothing to ask about.
            await self._not_submitted(job, going, Verdict.UNKNOWN, unreadable())
            return
        sent = replace(going, remote_id=snapshot.remote_id)

        with suppress(KontextError):  # a gate that is not opened costs a wait; the id comes first
            await self._gates.answered(send.provider)
        if await self._until_written(partial(self._write_sent, job, sent, provider, snapshot)):
            await self._cancel(sent, provider)
        await self._originals.copy(job)

    async def _write_sent(self, job: Job, sent: Send, provider: Provider, snapshot: Snapshot) -> bool:
        try:
            return await self._watching.absorb(job, sent, provider, snapshot)
        except LeaseLost:
            # This process was stopped past its lease. The id must not be lost; the present holder goes on with it.
            if sent.remote_id is not None:
                await self._store.bind(sent, now=self._clock.now())
            raise

    async def _until_written(self, write: Callable[[], Awaitable[T]]) -> T:
        """Write what became of a create, however long the store can't be written: it stands nowhere else."""
        never = anyio.Event()
        while True:
            try:
                return await write()
            except (StorageBusy, StorageFull) as error:
                log.warning("what became of a create waits to be written: %s", error.failure.code)
                await self._clock.wait(never, WRITE_AGAIN_S)

    async def barred(self, job: Job, send: Send, failure: Failure) -> None:
        """Pass a send on, or let it wait, without asking a provider that has not answered for a while."""
        now = self._clock.now()
        since = send.first_attempt_at or now
        if (now - since).total_seconds() > pacing.ATTEMPTS_WITHIN_S:
            await self._give_up(job, send, failure)
        elif not await self._passing.pass_on(job, send, failure):
            await self._leased.later(replace(send, first_attempt_at=since), BARRED_AGAIN_S)

    async def _not_submitted(self, job: Job, send: Send, verdict: Verdict, failure: Failure) -> None:
        failure = self._accounts.told(send, failure)
        with suppress(KontextError):  # a gate that is not written costs a request; the verdict comes first
            await self._gates.failed(send.provider, failure, own_key=send.own_key)
        await self._until_written(lambda: self._write_not_submitted(job, send, verdict, failure))

    async def _write_not_submitted(self, job: Job, send: Send, verdict: Verdict, failure: Failure) -> None:
        now = self._clock.now()
        if verdict is Verdict.UNKNOWN:
            await self._leased.save(self._seeking.lost(send, failure), release=True)
        elif verdict is Verdict.NOT_TAKEN and (wait_s := self._again_s(send, failure, now)) is not None:
            due = now + timedelta(seconds=wait_s)
            await self._leased.save(replace(send, state=SendState.QUEUED, due_at=due), release=True)
        else:
            await self._give_up(job, send, failure)

    async def _give_up(self, job: Job, send: Send, failure: Failure) -> None:
        if not await self._passing.pass_on(job, send, failure):
            ended = replace(send, state=SendState.FAILED, failure=failure, ended_at=self._clock.now())
            await self._leased.save(ended, release=True)

    def _again_s(self, send: Send, failure: Failure, now: datetime) -> float | None:
        """Give the seconds until the next attempt; `None` when enough were made."""
        waited_s = (now - (send.first_attempt_at or now)).total_seconds()
        wait_s = failure.retry_after_s
        if wait_s is None:
            wait_s = pacing.back_off_s(send.attempts, self._random.uniform(-1, 1))
        if wait_s > pacing.LONGEST_RETRY_AFTER_S or send.attempts >= pacing.MAX_ATTEMPTS:
            return None
        return wait_s if waited_s + wait_s <= pacing.ATTEMPTS_WITHIN_S else None

    async def _cancel(self, sent: Send, provider: Provider) -> None:
        """Pass a cancel on that was asked for while the create was under way."""
        assert sent.remote_id is not None  # what runs without one is unknown
        try:
            await provider.cancel(sent.remote_id)
        except FetchFailed:
            log.info("a cancel got no answer")
        await self._store.poke(sent.job_id, now=self._clock.now())


def _unmade() -> Failure:
    return ProviderError(
        "The request could not be made; nothing was sent and nothing charged.",
        fix="Call again, or set provider to another one.",
    ).failure
