"""One step of a send: submit it, look at it, or finish it.

What this is: what happens to a claimed send until its lease is given back, with every row written before and after
the act. What it is not: when and by whom (`engine`), or the end of a send (`finishing`). Above: engine.
Below: finishing, originals, leases, providers.base, stores.base, jobs, pacing.

The one rule about money: a create goes out only after its intent is committed, and after an intent only proof that
nothing was taken leads back to `queued`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

from kontext_tools import pacing
from kontext_tools.archive import Archive
from kontext_tools.clocks import Clock
from kontext_tools.errors import Billed, Cancelled, Failure, KontextError, OutcomeUnknown, ProviderError
from kontext_tools.finishing import Finishing
from kontext_tools.jobs import Job, Send, SendState, dropped
from kontext_tools.leases import Leased, LeaseLost
from kontext_tools.originals import Originals
from kontext_tools.providers.base import (
    FetchFailed,
    Order,
    Phase,
    Provider,
    Snapshot,
    SubmitFailed,
    Verdict,
)
from kontext_tools.stores.base import Claim, Store

GRACE_LOOKS = 3
"""So many looks may find a job unknown right after it was made: hosts are eventually consistent (WIRE.md D2)."""
GIVE_UP_S = 86_400.0
NO_PROVIDER_AGAIN_S = 60.0

Tell = Callable[[], None]

log = logging.getLogger(__name__)


class Steps:
    """What to do with a claimed send."""

    def __init__(
        self,
        store: Store,
        providers: Mapping[str, Provider],
        originals: Originals,
        archive: Archive,
        clock: Clock,
        random: Random,
    ) -> None:
        self._store = store
        self._leased = Leased(store, clock)
        self._finishing = Finishing(self._leased, archive, clock)
        self._providers = providers
        self._originals = originals
        self._archive = archive
        self._clock = clock
        self._random = random

    async def sweep(self) -> None:
        """Remove what dead processes left half-written."""
        await self._archive.sweep()

    async def drive(self, claim: Claim, tell: Tell) -> None:
        """Take one step and give the lease back. `tell` is called at every change that somebody may wait for."""
        send = claim.send
        try:
            if claim.orphan:
                await self._orphaned(send)
                return
            job = await self._leased.job(send)
            provider = self._providers.get(job.provider)
            if send.state is SendState.QUEUED and job.cancel_requested:
                await self._drop(send)
            elif provider is None:
                await self._leased.later(send, NO_PROVIDER_AGAIN_S)
            elif send.state is SendState.QUEUED:
                await self._submit(job, send, provider, tell)
            elif send.state is SendState.SUBMITTED:
                await self._look(job, send, provider, tell)
            else:
                await self._finishing.finish(job, send, provider, ())
        except LeaseLost:
            log.info("the lease of %s is another's", send.job_id)

    async def _submit(self, job: Job, send: Send, provider: Provider, tell: Tell) -> None:
        now = self._clock.now()
        going = replace(
            send,
            state=SendState.INTENT,
            attempts=send.attempts + 1,
            first_attempt_at=send.first_attempt_at or now,
            sent_at=now,
        )
        committed = False

        async def intent() -> None:
            nonlocal committed
            await self._leased.save(going, release=False)
            committed = True

        order = Order(
            key=f"{job.id}:{send.n}",
            edit=job.edit,
            prompt=job.sent_prompt,
            seed=send.seed,
            count=send.count,
            image=self._originals.attachment(job, provider.offer),
        )
        try:
            snapshot = await provider.submit(order, intent)
        except SubmitFailed as failed:
            unsent = failed.verdict is Verdict.UNKNOWN and not committed
            await self._not_submitted(going, Verdict.NOT_TAKEN if unsent else failed.verdict, failed.failure)
            return
        except LeaseLost:
            raise
        except KontextError as error:
            # Our own kept source cannot be read: that is known before anything went out.
            verdict = Verdict.UNKNOWN if committed else Verdict.REFUSED
            await self._not_submitted(going, verdict, error.failure)
            return
        except Exception:
            log.exception("the create of %s broke", job.id)
            verdict = Verdict.UNKNOWN if committed else Verdict.REFUSED
            await self._not_submitted(going, verdict, _broke(committed))
            return
        sent = replace(going, remote_id=snapshot.remote_id)
        try:
            await self._absorb(job, sent, provider, snapshot, tell)
        except LeaseLost:
            # This process was stopped past its lease. The id must not be lost; the present holder goes on with it.
            await self._store.bind(sent, now=self._clock.now())
            raise
        await self._cancel_if_asked(job, provider, sent)
        await self._originals.copy(job)

    async def _not_submitted(self, send: Send, verdict: Verdict, failure: Failure) -> None:
        now = self._clock.now()
        if verdict is Verdict.UNKNOWN:
            await self._leased.save(replace(send, state=SendState.UNKNOWN, failure=failure, ended_at=now), release=True)
        elif verdict is Verdict.NOT_TAKEN and (wait_s := self._again_s(send, failure, now)) is not None:
            due = now + timedelta(seconds=wait_s)
            await self._leased.save(replace(send, state=SendState.QUEUED, due_at=due), release=True)
        else:
            await self._leased.save(replace(send, state=SendState.FAILED, failure=failure, ended_at=now), release=True)

    def _again_s(self, send: Send, failure: Failure, now: datetime) -> float | None:
        """Give the seconds until the next attempt; `None` when enough were made."""
        waited_s = (now - (send.first_attempt_at or now)).total_seconds()
        wait_s = failure.retry_after_s
        if wait_s is None:
            wait_s = pacing.back_off_s(send.attempts, self._random.uniform(-1, 1))
        if wait_s > pacing.LONGEST_RETRY_AFTER_S or send.attempts >= pacing.MAX_ATTEMPTS:
            return None
        return wait_s if waited_s + wait_s <= pacing.ATTEMPTS_WITHIN_S else None

    async def _look(self, job: Job, send: Send, provider: Provider, tell: Tell) -> None:
        assert send.remote_id is not None
        try:
            snapshot = await provider.fetch(send.remote_id)
        except FetchFailed as failed:
            await self._saw_nothing(send, failed)
            return
        await self._absorb(job, send, provider, snapshot, tell)
        # A process that was restarted may not have its copy yet; the lease is given back, so nothing waits for it.
        await self._originals.copy(job)

    async def _cancel_if_asked(self, job: Job, provider: Provider, sent: Send) -> None:
        """Pass a cancel on that was asked for while the create was under way."""
        now_known = await self._store.any_job(job.id)
        if now_known is None or not now_known.cancel_requested or now_known.status.ended or sent.remote_id is None:
            return
        try:
            await provider.cancel(sent.remote_id)
        except FetchFailed:
            log.info("a cancel got no answer")
        await self._store.poke(job.id, now=self._clock.now())

    async def _saw_nothing(self, send: Send, failed: FetchFailed) -> None:
        now = self._clock.now()
        age_s = (now - (send.sent_at or now)).total_seconds()
        if (failed.gone and send.misses + 1 >= GRACE_LOOKS) or age_s > GIVE_UP_S:
            lost = ProviderError(
                "The provider no longer knows the job it was given; it may have been charged.",
                fix="Let a person look at the provider's own list of jobs; then call again with a new request_key.",
                billed=Billed.UNKNOWN,
            )
            await self._leased.save(
                replace(send, state=SendState.FAILED, failure=lost.failure, ended_at=now), release=True
            )
            return
        wait_s = failed.failure.retry_after_s
        if wait_s is None:
            wait_s = pacing.back_off_s(send.misses + 1, self._random.uniform(-1, 1))
        due = now + timedelta(seconds=min(wait_s, pacing.LONGEST_RETRY_AFTER_S))
        await self._leased.save(replace(send, misses=send.misses + 1, due_at=due), release=True)

    async def _absorb(self, job: Job, send: Send, provider: Provider, snapshot: Snapshot, tell: Tell) -> None:
        """Write what the provider said; go on to the archive when it is done."""
        now = self._clock.now()
        send = replace(
            send,
            remote_id=send.remote_id or snapshot.remote_id,
            cost=snapshot.cost or send.cost,
            progress=snapshot.progress,
            misses=0,
        )
        if snapshot.phase is Phase.FAILED:
            failure = snapshot.failure or _broke(committed=True)
            await self._leased.save(replace(send, state=SendState.FAILED, failure=failure, ended_at=now), release=True)
        elif snapshot.phase is Phase.CANCELLED:
            cancelled = Cancelled(
                "The job was cancelled at the provider.",
                fix="Nothing is left to do; call edit_image or generate_image again for a new one.",
                billed=Billed.NO if send.price.amount == 0 else Billed.UNKNOWN,
            )
            ended = replace(send, state=SendState.CANCELLED, failure=cancelled.failure, ended_at=now)
            await self._leased.save(ended, release=True)
        elif snapshot.phase is Phase.DONE:
            urls = tuple((output.url, output.seed) for output in snapshot.outputs if output.url is not None)
            ready = replace(send, state=SendState.READY, pending_urls=urls, working=True)
            await self._leased.save(ready, release=False)
            tell()
            await self._finishing.finish(job, ready, provider, snapshot.outputs)
        else:
            await self._still_running(job, send, snapshot, now)
            tell()

    async def _still_running(self, job: Job, send: Send, snapshot: Snapshot, now: datetime) -> None:
        age_s = (now - (send.sent_at or now)).total_seconds()
        if age_s > GIVE_UP_S:
            never = ProviderError(
                f"{job.provider} did not end the job within a day; it may have been charged.",
                fix="Let a person look at the provider's own list of jobs; then call again with a new request_key.",
                billed=Billed.UNKNOWN,
            )
            await self._leased.save(
                replace(send, state=SendState.FAILED, failure=never.failure, ended_at=now), release=True
            )
            return
        wait_s = pacing.next_look_s(age_s, self._random.uniform(-1, 1))
        running = replace(
            send,
            state=SendState.SUBMITTED,
            working=snapshot.phase is Phase.WORKING,
            due_at=now + timedelta(seconds=wait_s),
        )
        await self._leased.save(running, release=True)

    async def _orphaned(self, send: Send) -> None:
        """End a send whose owner died between the intent and the answer: nobody knows, so nothing is sent again."""
        unknown = OutcomeUnknown(
            "The server was stopped right when the request went out: it may have been charged.",
            fix="Let a person look at the provider's own list of jobs; to try again on purpose, call again with a new "
            "request_key.",
        )
        ended = replace(send, state=SendState.UNKNOWN, failure=unknown.failure, ended_at=self._clock.now())
        await self._leased.save(ended, release=True)

    async def _drop(self, send: Send) -> None:
        await self._leased.save(dropped(send, self._clock.now()), release=True)


def _broke(committed: bool) -> Failure:
    if committed:
        return OutcomeUnknown(
            "The provider's answer could not be read: it may have been charged.",
            fix="Let a person look at the provider's own list of jobs; to try again on purpose, call again with a new "
            "request_key.",
        ).failure
    return ProviderError(
        "The request could not be made; nothing was sent and nothing charged.",
        fix="Call again, or set provider to another one.",
    ).failure
