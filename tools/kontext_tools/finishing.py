"""The last step of a send: its outputs archived, dead links asked for once more, the row closed.

What this is: what happens between `ready` and `completed`. What it is not: the files (`archive`). Above: steps.
Below: archive, leases, providers.base.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from kontext_tools import pacing, tracing
from kontext_tools.archive import Archive, Kept, dead_link
from kontext_tools.budget import Cost
from kontext_tools.clocks import Clock
from kontext_tools.jobs import Job, Send, SendState
from kontext_tools.leases import Leased
from kontext_tools.providers.base import FetchFailed, Phase, Provider, RemoteOutput

LOST_LOOKS = 6
"""So many broken downloads of one link, and it counts as dead."""
REASKS = 1
REFETCHES = 1
"""A link that gave no whole picture is fetched again so often, before the result counts as invalid."""
FULL_AGAIN_S = 30.0
WAITS_S = 7 * 86_400.0
"""A picture that waits at a machine that never comes back is waited for so long."""


class Finishing:
    """Closes sends whose provider is done."""

    def __init__(self, leased: Leased, archive: Archive, clock: Clock) -> None:
        self._leased = leased
        self._archive = archive
        self._clock = clock

    async def finish(self, job: Job, send: Send, provider: Provider, outputs: Sequence[RemoteOutput]) -> None:
        """Archive finished outputs; what broke is fetched or asked for once more, what is kept stays kept."""
        if not outputs:
            outputs = tuple(RemoteOutput(url=url, seed=seed) for url, seed in send.pending_urls)
        with tracing.span("kontext.archive", job, send):
            kept = await self._archive.keep(job, send, outputs)
        misses = send.misses + (kept.not_now and kept.failure is None)
        send = replace(send, waits_at=kept.waits_at or send.waits_at)
        if (kept.expired or kept.not_now) and await self._waits_elsewhere(send):
            # Another machine's server has it: that one keeps it, at one of its turns.
            due = self._clock.now() + timedelta(seconds=FULL_AGAIN_S)
            await self._leased.save(replace(send, due_at=due), release=True, outputs=kept.outputs, news=kept.news)
        elif kept.not_now and misses < LOST_LOOKS:
            wait_s = FULL_AGAIN_S if kept.failure is not None else pacing.back_off_s(misses, 0)
            due = self._clock.now() + timedelta(seconds=wait_s)
            later = replace(send, misses=misses, failure=kept.failure, due_at=due)
            await self._leased.save(later, release=True, outputs=kept.outputs, news=kept.news)
        elif kept.broken and send.refetches < REFETCHES:
            due = self._clock.now() + timedelta(seconds=pacing.back_off_s(1, 0))
            again = replace(send, refetches=send.refetches + 1, failure=None, due_at=due)
            await self._leased.save(again, release=True, outputs=kept.outputs, news=kept.news)
        elif (kept.expired or kept.not_now) and send.remote_id is not None and send.reasks < REASKS:
            asked = replace(send, misses=0 if kept.not_now else send.misses, reasks=send.reasks + 1)
            await self._leased.save(asked, release=False, outputs=kept.outputs, news=kept.news)
            await self._reask(asked, provider)
        else:
            await self._end(send, kept)

    async def _waits_elsewhere(self, send: Send) -> bool:
        """Whether a picture of a send waits at another machine, and not for too long yet."""
        if not send.waits_at or await self._archive.waits_here(send.waits_at):
            return False
        return (self._clock.now() - (send.sent_at or self._clock.now())).total_seconds() < WAITS_S

    async def _end(self, send: Send, kept: Kept) -> None:
        news = replace(kept.news, warnings=(*kept.refused, *kept.news.warnings))
        if kept.total and (kept.expired or kept.not_now) and kept.failure is not None:
            missing = f"{kept.total} of {send.count} images were kept. {kept.failure.message}"
            news = replace(news, warnings=(*news.warnings, missing))
        ended = replace(
            send,
            state=SendState.COMPLETED if kept.total else SendState.FAILED,
            failure=None if kept.total else kept.failure or dead_link(),
            cost=send.cost or Cost.listed(send.price),
            # Where a picture is missing, the addresses stay for a person to try.
            pending_urls=() if kept.total >= send.count else send.pending_urls,
            waits_at="",
            ended_at=self._clock.now(),
        )
        await self._leased.save(ended, release=True, outputs=kept.outputs, news=news)
        await self._archive.let_go(ended)

    async def _reask(self, send: Send, provider: Provider) -> None:
        assert send.remote_id is not None
        try:
            snapshot = await provider.fetch(send.remote_id)
        except FetchFailed:
            await self._leased.later(replace(send, reasks=send.reasks - 1), pacing.back_off_s(send.reasks, 0))
            return
        if snapshot.phase in (Phase.WAITING, Phase.WORKING) and send.misses + 1 < LOST_LOOKS:
            # It was done and says that it is not: it may change its mind once more.
            again = replace(send, reasks=send.reasks - 1, misses=send.misses + 1)
            await self._leased.later(again, pacing.back_off_s(again.misses, 0))
            return
        urls = tuple((output.url, output.seed) for output in snapshot.outputs if output.url is not None)
        fresh = replace(send, pending_urls=urls)
        await self._leased.save(fresh, release=False)
        await self.finish(await self._leased.job(send), fresh, provider, snapshot.outputs)
