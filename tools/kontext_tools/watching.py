"""Looking at a job that the provider has: what it says is written, and what it finished is closed.

What this is: one look, and the reading of a snapshot into the send's next state. What it is not: the create
(`submitting`) or the end of a send (`finishing`). Above: steps, submitting. Below: finishing, gates, leases,
originals, providers.base.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

from kontext_tools import pacing, tracing
from kontext_tools.clocks import Clock
from kontext_tools.errors import Billed, Cancelled, Failure, OutcomeUnknown, ProviderError
from kontext_tools.finishing import Finishing
from kontext_tools.gates import Gates
from kontext_tools.hooks import Promises
from kontext_tools.jobs import Job, Send, SendState
from kontext_tools.leases import Leased
from kontext_tools.originals import Originals
from kontext_tools.providers.base import FetchFailed, Phase, Provider, Snapshot

GRACE_LOOKS = 3
"""So many looks may find a job unknown right after it was made: hosts are eventually consistent (WIRE.md D2)."""
GIVE_UP_S = 86_400.0


class Watching:
    """Asks providers about jobs and writes what they say."""

    def __init__(
        self,
        leased: Leased,
        finishing: Finishing,
        originals: Originals,
        gates: Gates,
        promises: Promises,
        clock: Clock,
        random: Random,
    ) -> None:
        self._leased = leased
        self._finishing = finishing
        self._originals = originals
        self._gates = gates
        self._promises = promises
        self._clock = clock
        self._random = random

    async def look(self, job: Job, send: Send, provider: Provider) -> None:
        """Ask once."""
        with tracing.span("kontext.look", job, send):
            await self._look(job, send, provider)

    async def _look(self, job: Job, send: Send, provider: Provider) -> None:
        assert send.remote_id is not None
        try:
            snapshot = await provider.fetch(send.remote_id)
        except FetchFailed as failed:
            await self._gates.failed(send.provider, failed.failure, own_key=send.own_key)
            await self._saw_nothing(send, failed)
            return
        await self._gates.answered(send.provider)
        if snapshot.phase not in (Phase.WAITING, Phase.WORKING):
            self._promises.ended(send)
        await self.absorb(job, send, provider, snapshot)
        # A process that was restarted may not have its copy yet; the lease is given back, so nothing waits for it.
        await self._originals.copy(job)

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
        await self._leased.save(replace(send, misses=send.misses + 1, due_at=due), release=True, durable=False)

    async def absorb(self, job: Job, send: Send, provider: Provider, snapshot: Snapshot) -> bool:
        """Write what the provider said; go on to the archive when it is done.

        Gives whether it goes on running although a cancel of the job was asked for.
        """
        now = self._clock.now()
        send = replace(
            send,
            remote_id=send.remote_id or snapshot.remote_id,
            cost=snapshot.cost or send.cost,
            progress=snapshot.progress,
            odd_word=snapshot.odd_word,
            misses=0,
        )
        if snapshot.phase is Phase.FAILED:
            failure = snapshot.failure or unreadable()
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
            await self._leased.save(ready, release=False, durable=not _can_be_asked_again(send))
            await self._finishing.finish(job, ready, provider, snapshot.outputs)
        else:
            return await self._still_running(job, send, snapshot, now)
        return False

    async def _still_running(self, job: Job, send: Send, snapshot: Snapshot, now: datetime) -> bool:
        age_s = (now - (send.sent_at or now)).total_seconds()
        if age_s > GIVE_UP_S:
            said = f" (it calls it {send.odd_word})" if send.odd_word else ""
            never = ProviderError(
                f"{job.provider} did not end the job within a day{said}; it may have been charged.",
                fix="Let a person look at the provider's own list of jobs; then call again with a new request_key.",
                billed=Billed.UNKNOWN,
            )
            await self._leased.save(
                replace(send, state=SendState.FAILED, failure=never.failure, ended_at=now), release=True
            )
            return False
        called = send.hooked and self._promises.keeps(send.provider)
        wait_s = pacing.next_look_s(age_s, self._random.uniform(-1, 1), called=called)
        running = replace(
            send,
            state=SendState.SUBMITTED,
            working=snapshot.phase is Phase.WORKING,
            due_at=now + timedelta(seconds=wait_s),
        )
        return await self._leased.save(running, release=True, durable=not _can_be_asked_again(send))


def _can_be_asked_again(send: Send) -> bool:
    """Whether what was just learnt of a send may be lost in a power cut: its remote id is on the disk."""
    return send.state is SendState.SUBMITTED


def unreadable() -> Failure:
    """Give the failure of an answer that came and could not be read."""
    return OutcomeUnknown(
        "The provider's answer could not be read: it may have been charged.",
        fix="Let a person look at the provider's own list of jobs; to try again on purpose, call again with a new "
        "request_key.",
    ).failure
