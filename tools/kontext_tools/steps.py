"""One step of a send: submit it, look at it, or archive what it brought.

What this is: what happens to a claimed send until its lease is given back, with every row written before and after
the act. What it is not: when and by whom (`engine`), or bytes on their way in (`archive`). Above: engine.
Below: archive, providers.base, stores.base, jobs, pacing.

The one rule about money: a create goes out only after its intent is committed, and after an intent only proof that
nothing was taken leads back to `queued`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

from kontext_tools import pacing
from kontext_tools.archive import Archive, Kept, dead_link
from kontext_tools.budget import Cost
from kontext_tools.clocks import Clock
from kontext_tools.errors import Billed, Cancelled, Failure, KontextError, OutcomeUnknown, ProviderError
from kontext_tools.jobs import Job, Output, Send, SendState, dropped
from kontext_tools.providers.base import (
    FetchFailed,
    Order,
    Phase,
    Provider,
    RemoteOutput,
    Snapshot,
    SubmitFailed,
    Verdict,
)
from kontext_tools.stores.base import Claim, JobNews, Store

GRACE_LOOKS = 3
"""So many looks may find a job unknown right after it was made: hosts are eventually consistent (WIRE.md D2)."""
GIVE_UP_S = 86_400.0
REASKS = 1
NO_PROVIDER_AGAIN_S = 60.0
FULL_AGAIN_S = 30.0
LOST_LOOKS = 6
"""So many broken downloads of one link, and it counts as dead."""

Tell = Callable[[], None]

log = logging.getLogger(__name__)


class LeaseLost(Exception):
    """The send is another process's now, or was cancelled: nothing may be sent or written."""


class Steps:
    """What to do with a claimed send."""

    def __init__(
        self, store: Store, providers: Mapping[str, Provider], archive: Archive, clock: Clock, random: Random
    ) -> None:
        self._store = store
        self._providers = providers
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
            job = await self._job(send)
            provider = self._providers.get(job.provider)
            if send.state is SendState.QUEUED and job.cancel_requested:
                await self._drop(send)
            elif provider is None:
                await self._later(send, NO_PROVIDER_AGAIN_S)
            elif send.state is SendState.QUEUED:
                await self._submit(job, send, provider, tell)
            elif send.state is SendState.SUBMITTED:
                await self._look(job, send, provider, tell)
            else:
                await self._finish(job, send, provider, ())
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
            await self._save(going, release=False)
            committed = True

        order = Order(
            key=f"{job.id}:{send.n}",
            edit=job.edit,
            prompt=job.sent_prompt,
            seed=send.seed,
            count=send.count,
            image=self._archive.attachment(job, provider.offer),
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
        await self._archive.copy_source(job)

    async def _not_submitted(self, send: Send, verdict: Verdict, failure: Failure) -> None:
        now = self._clock.now()
        if verdict is Verdict.UNKNOWN:
            await self._save(replace(send, state=SendState.UNKNOWN, failure=failure, ended_at=now), release=True)
        elif verdict is Verdict.NOT_TAKEN and (wait_s := self._again_s(send, failure, now)) is not None:
            due = now + timedelta(seconds=wait_s)
            await self._save(replace(send, state=SendState.QUEUED, due_at=due), release=True)
        else:
            await self._save(replace(send, state=SendState.FAILED, failure=failure, ended_at=now), release=True)

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
        await self._archive.copy_source(job)

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
            await self._save(replace(send, state=SendState.FAILED, failure=lost.failure, ended_at=now), release=True)
            return
        wait_s = failed.failure.retry_after_s
        if wait_s is None:
            wait_s = pacing.back_off_s(send.misses + 1, self._random.uniform(-1, 1))
        due = now + timedelta(seconds=min(wait_s, pacing.LONGEST_RETRY_AFTER_S))
        await self._save(replace(send, misses=send.misses + 1, due_at=due), release=True)

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
            await self._save(replace(send, state=SendState.FAILED, failure=failure, ended_at=now), release=True)
        elif snapshot.phase is Phase.CANCELLED:
            cancelled = Cancelled(
                "The job was cancelled at the provider.",
                fix="Nothing is left to do; call edit_image or generate_image again for a new one.",
                billed=Billed.NO if send.price.amount == 0 else Billed.UNKNOWN,
            )
            ended = replace(send, state=SendState.CANCELLED, failure=cancelled.failure, ended_at=now)
            await self._save(ended, release=True)
        elif snapshot.phase is Phase.DONE:
            urls = tuple((output.url, output.seed) for output in snapshot.outputs if output.url is not None)
            ready = replace(send, state=SendState.READY, pending_urls=urls, working=True)
            await self._save(ready, release=False)
            tell()
            await self._finish(job, ready, provider, snapshot.outputs)
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
            await self._save(replace(send, state=SendState.FAILED, failure=never.failure, ended_at=now), release=True)
            return
        wait_s = pacing.next_look_s(age_s, self._random.uniform(-1, 1))
        running = replace(
            send,
            state=SendState.SUBMITTED,
            working=snapshot.phase is Phase.WORKING,
            due_at=now + timedelta(seconds=wait_s),
        )
        await self._save(running, release=True)

    async def _finish(self, job: Job, send: Send, provider: Provider, outputs: Sequence[RemoteOutput]) -> None:
        """Archive finished outputs; a link that broke is asked for once more, what is kept stays kept."""
        if not outputs:
            outputs = tuple(RemoteOutput(url=url, seed=seed) for url, seed in send.pending_urls)
        kept = await self._archive.keep(job, send, outputs)
        misses = send.misses + (kept.not_now and kept.failure is None)
        if kept.not_now and misses < LOST_LOOKS:
            wait_s = FULL_AGAIN_S if kept.failure is not None else pacing.back_off_s(misses, 0)
            due = self._clock.now() + timedelta(seconds=wait_s)
            later = replace(send, misses=misses, failure=kept.failure, due_at=due)
            await self._save(later, release=True, outputs=kept.outputs, news=kept.news)
        elif (kept.expired or kept.not_now) and send.remote_id is not None and send.reasks < REASKS:
            asked = replace(send, misses=0, reasks=send.reasks + 1)
            await self._save(asked, release=False, outputs=kept.outputs, news=kept.news)
            await self._reask(asked, provider)
        else:
            await self._end(send, kept)

    async def _end(self, send: Send, kept: Kept) -> None:
        ended = replace(
            send,
            state=SendState.COMPLETED if kept.total else SendState.FAILED,
            failure=None if kept.total else kept.failure or dead_link(),
            cost=send.cost or Cost.listed(send.price),
            pending_urls=(),
            ended_at=self._clock.now(),
        )
        await self._save(ended, release=True, outputs=kept.outputs, news=kept.news)

    async def _reask(self, send: Send, provider: Provider) -> None:
        assert send.remote_id is not None
        try:
            snapshot = await provider.fetch(send.remote_id)
        except FetchFailed:
            await self._later(replace(send, reasks=send.reasks - 1), pacing.back_off_s(send.reasks, 0))
            return
        urls = tuple((output.url, output.seed) for output in snapshot.outputs if output.url is not None)
        fresh = replace(send, pending_urls=urls)
        await self._save(fresh, release=False)
        await self._finish(await self._job(send), fresh, provider, snapshot.outputs)

    async def _orphaned(self, send: Send) -> None:
        """End a send whose owner died between the intent and the answer: nobody knows, so nothing is sent again."""
        unknown = OutcomeUnknown(
            "The server was stopped right when the request went out: it may have been charged.",
            fix="Let a person look at the provider's own list of jobs; to try again on purpose, call again with a new "
            "request_key.",
        )
        ended = replace(send, state=SendState.UNKNOWN, failure=unknown.failure, ended_at=self._clock.now())
        await self._save(ended, release=True)

    async def _drop(self, send: Send) -> None:
        await self._save(dropped(send, self._clock.now()), release=True)

    async def _later(self, send: Send, wait_s: float) -> None:
        await self._save(replace(send, due_at=self._clock.now() + timedelta(seconds=wait_s)), release=True)

    async def _job(self, send: Send) -> Job:
        job = await self._store.any_job(send.job_id)
        if job is None:
            raise LeaseLost
        return job

    async def _save(
        self, send: Send, *, release: bool, outputs: Sequence[Output] = (), news: JobNews | None = None
    ) -> None:
        written = await self._store.save(send, now=self._clock.now(), release=release, outputs=outputs, news=news)
        if not written:
            raise LeaseLost


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
