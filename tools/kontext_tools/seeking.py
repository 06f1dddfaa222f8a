"""Looking for a job that may be there: its create went out and no readable answer came.

What this is: the search at a host that lists its jobs, from `unknown` to `submitted` or to an end that says what was
seen. What it is not: another create (none ever follows), or a claim that nothing was charged: absent from a list is no
proof. Above: steps, submitting. Below: accounts, leases, gates, originals, pacing, providers.base, stores.base.

A send is bound only where one job alone can be it: an id that no send of ours holds, among jobs that show what went
out, while no other send of ours that asked the same is without an id. Where the caller set no seed, one drawn for this
send alone goes out, which makes the job known from every other.

A host that calls names the job at an address that this send alone was sent with; so there are no rivals. What it names
is asked for with our key all the same, and ends in the same `Store.bind`.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from random import Random

import anyio

from kontext_tools import pacing, tracing
from kontext_tools.accounts import Accounts
from kontext_tools.clocks import Clock
from kontext_tools.drafting import order_of
from kontext_tools.errors import Failure, KontextError, NotConfigured
from kontext_tools.gates import Gates
from kontext_tools.jobs import Job, Send, SendState, Sought
from kontext_tools.leases import Leased
from kontext_tools.originals import Originals
from kontext_tools.providers.base import FetchFailed, Finder, Lost, Provider, finder_of
from kontext_tools.providers.hooks import caller_of
from kontext_tools.stores.base import Store

UNANSWERED_S = 86_400.0
"""A host that tells nothing for so long is not asked any more."""
RIVALS_WITHIN = timedelta(minutes=10)
"""Two creates that were sent further apart are told from each other by when their jobs were made."""
ASKED_AGAIN_S = (0.5, 1.5)
"""A host that called and does not answer is asked again after so many seconds: it may not call twice."""

log = logging.getLogger(__name__)


class Seeking:
    """Finds what lost creates have made."""

    def __init__(
        self,
        store: Store,
        leased: Leased,
        accounts: Accounts,
        originals: Originals,
        gates: Gates,
        clock: Clock,
        random: Random,
    ) -> None:
        self._store = store
        self._leased = leased
        self._accounts = accounts
        self._originals = originals
        self._gates = gates
        self._clock = clock
        self._random = random

    def lost(self, send: Send, failure: Failure) -> Send:
        """Give a send whose create got no readable answer as `unknown`, to be looked for where its host lists jobs."""
        now = self._clock.now()
        unknown = replace(send, state=SendState.UNKNOWN, failure=failure, ended_at=now)
        offer = self._accounts.offers.get(send.provider)
        if send.sent_at is None or offer is None or not offer.finds:
            return unknown
        due = now + timedelta(seconds=pacing.next_search_s(0, self._random.uniform(-1, 1)))
        return replace(unknown, sought=Sought.LOOKING, searches=0, misses=0, due_at=due)

    async def look(self, job: Job, send: Send, provider: Provider) -> None:
        """Ask the host once."""
        with tracing.span("kontext.search", job, send):
            await self._look(job, send, provider)

    async def _look(self, job: Job, send: Send, provider: Provider) -> None:
        finder = finder_of(provider)
        if finder is None:
            # Other settings than those under which it was lost: they may come back.
            await self._saw_nothing(send, None)
            return
        try:
            seen = await self._seen(job, send, provider, finder)
        except FetchFailed as failed:
            await self._gates.failed(send.provider, failed.failure, own_key=send.own_key)
            await self._saw_nothing(send, failed.failure.retry_after_s)
            return
        except KontextError as error:
            log.warning("what %s sent cannot be compared: %s", job.id, error.failure.code)
            await self._saw_nothing(send, None)
            return
        with suppress(KontextError):
            await self._gates.answered(send.provider)
        held = await self._store.held(send.provider, seen)
        free = [remote_id for remote_id in seen if remote_id not in held]
        in_doubt = len(free) > 1 or (
            bool(free) and send.own_seed is None and await self._store.has_rival(send, within=RIVALS_WITHIN)
        )
        if not free or in_doubt:
            await self._not_certain(send, Sought.SEVERAL if in_doubt else Sought.NOT_SHOWN)
        else:
            await self._bind(send, free[0])
            await self._store.give_back(send, due_at=self._clock.now())

    async def named(self, job: Job, send: Send, remote_id: str) -> bool:
        """Bind a job that its host's call named, once the host, asked, says that it may be this send's; else false.

        Raises:
            FetchFailed: the host did not tell.
        """
        try:
            provider = await self._accounts.adapter(job.owner, send)
        except NotConfigured:
            return False
        caller = caller_of(provider)
        if caller is None or await self._store.held(send.provider, [remote_id]):
            return False
        lost = await self._lost(job, send, provider)
        for wait_s in ASKED_AGAIN_S:
            try:
                return await caller.made(lost, remote_id) and await self._bind(send, remote_id)
            except FetchFailed:
                await self._clock.wait(anyio.Event(), wait_s)
        return await caller.made(lost, remote_id) and await self._bind(send, remote_id)

    async def _bind(self, send: Send, remote_id: str) -> bool:
        bound = await self._store.bind(replace(send, remote_id=remote_id), now=self._clock.now())
        if bound:
            log.info("%s was found at %s", send.job_id, send.provider)
        return bound

    async def _seen(self, job: Job, send: Send, provider: Provider, finder: Finder) -> list[str]:
        return list(await finder.find(await self._lost(job, send, provider)))

    async def _lost(self, job: Job, send: Send, provider: Provider) -> Lost:
        assert send.sent_at is not None
        order = order_of(job, send, await self._originals.attachment(job, provider.offer))
        return Lost(order=order, sent_at=send.sent_at, signed=send.own_seed is not None)

    async def _not_certain(self, send: Send, so_far: Sought) -> None:
        searches = send.searches + 1
        enough = searches >= pacing.SEARCHES
        wait_s = pacing.next_search_s(searches, self._random.uniform(-1, 1))
        seen = replace(send, searches=searches, misses=0, sought=so_far if enough else Sought.LOOKING)
        await self._leased.later(seen, wait_s)

    async def _saw_nothing(self, send: Send, asked_to_wait_s: float | None) -> None:
        now = self._clock.now()
        over = (now - (send.ended_at or now)).total_seconds() > UNANSWERED_S
        wait_s = pacing.next_search_s(send.misses, self._random.uniform(-1, 1))
        wait_s = max(wait_s, min(asked_to_wait_s or 0.0, pacing.LONGEST_SEARCH_WAIT_S))
        unseen = replace(send, misses=send.misses + 1, sought=Sought.UNANSWERED if over else Sought.LOOKING)
        await self._leased.later(unseen, wait_s)
