"""One step of a claimed send: who takes it.

What this is: the fork to submitting, watching, finishing or seeking, and what becomes of a send without a provider or
without its key. What it is not: when and by whom a send is claimed (`engine`). Above: engine. Below: accounts,
submitting, watching, finishing, seeking, leases.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from random import Random

from kontext_tools.accounts import Accounts, Locked, waits_for_key
from kontext_tools.archive import Archive
from kontext_tools.budget import Caps
from kontext_tools.clocks import Clock
from kontext_tools.errors import Billed, Failure, NotConfigured, OutcomeUnknown
from kontext_tools.finishing import Finishing
from kontext_tools.gates import Gates, not_answering
from kontext_tools.hooks import Hooks, Place, Promises
from kontext_tools.jobs import Job, Send, SendState, dropped
from kontext_tools.leases import Leased, LeaseLost
from kontext_tools.meters import UNMETERED, Meter
from kontext_tools.originals import Originals
from kontext_tools.passing import Passing
from kontext_tools.providers.base import Provider
from kontext_tools.seeking import Seeking
from kontext_tools.stores.base import Claim, Store
from kontext_tools.submitting import Submitting
from kontext_tools.watching import GIVE_UP_S, Watching

LOST_AGAIN_S = 1.0
KEY_AGAIN_S = 15.0
"""A send whose key is not there is looked at so often; whoever asks for its status has it looked at now."""

log = logging.getLogger(__name__)


class Steps:
    """What to do with a claimed send."""

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        originals: Originals,
        archive: Archive,
        clock: Clock,
        random: Random,
        *,
        caps: Caps | None = None,
        hooks: Hooks | None = None,
        meter: Meter = UNMETERED,
    ) -> None:
        """Take what every step needs.

        `caps` are for passing a send on; with `hooks`, hosts are asked to call; `meter` is told of ends.
        """
        self._store = store
        self._accounts = accounts
        self._archive = archive
        self._clock = clock
        self._leased = Leased(store, clock, meter)
        self._finishing = Finishing(self._leased, archive, clock)
        self._gates = gates = Gates(store, clock)
        self._promises = promises = Promises()
        self._watching = Watching(self._leased, self._finishing, originals, gates, promises, clock, random)
        passing = Passing(store, accounts, clock, random, caps=caps or Caps.none())
        self._seeking = seeking = Seeking(store, self._leased, accounts, originals, gates, clock, random)
        self._submitting = Submitting(
            store,
            self._leased,
            self._watching,
            passing,
            seeking,
            originals,
            gates,
            accounts,
            hooks,
            clock,
            random,
            meter,
        )

    async def sweep(self) -> None:
        """Remove what dead processes left half-written, or half deleted."""
        await self._archive.sweep()
        for job_id, n in await self._archive.waiting():
            job = await self._store.any_job(job_id)
            sends = () if job is None else job.sends
            send = next((one for one in sends if one.first_output <= n < one.first_output + one.count), None)
            if job is None or send is None or send.state.ended:
                await self._archive.drop(job_id, n)

    async def provider_of(self, place: Place) -> Provider | None:
        """Give the adapter that a hook's send is driven by; `None` where the send or its key is there no more."""
        job, send = await self._at(place)
        if job is None or send is None:
            return None
        with suppress(NotConfigured):
            return await self._accounts.adapter(job.owner, send)
        return None

    async def _at(self, place: Place) -> tuple[Job | None, Send | None]:
        job = await self._store.any_job(place.job_id)
        sends = () if job is None else job.sends
        return job, next((one for one in sends if (one.n, one.provider) == (place.n, place.provider)), None)

    async def heard(self, place: Place, remote_id: str | None) -> bool:
        """Take a proven call of a send's host, which names a job; give whether there is something to look at.

        Raises:
            FetchFailed: the create's answer has not come, and the host did not tell of the job that the call named.
        """
        self._promises.came(place)
        job, send = await self._at(place)
        if job is None or send is None:
            return False
        if send.remote_id is None and remote_id is not None and send.state in (SendState.INTENT, SendState.UNKNOWN):
            return await self._seeking.named(job, send, remote_id) or send.state is SendState.INTENT
        return not send.state.ended

    async def drive(self, claim: Claim) -> None:
        """Take one step and give the lease back."""
        try:
            job, send = await self._leased.claimed(claim)
            if claim.orphan:
                await self._orphaned(send)
            else:
                await self._drive(job, send, claim)
        except LeaseLost:
            log.info("the lease of %s is another's", claim.job_id)
            # Or it is ours, and an older owner bound its remote id meanwhile: it would be renewed with the others.
            await self._leased.back(claim, LOST_AGAIN_S)

    async def _drive(self, job: Job, send: Send, claim: Claim) -> None:
        if claim.probe:
            self._gates.probing(send.provider)
        if send.state is SendState.QUEUED and job.cancel_requested:
            await self._leased.save(dropped(send, self._clock.now()), release=True)
            return
        try:
            provider = await self._accounts.adapter(job.owner, send)
        except NotConfigured as missing:
            await self._without_key(job, send, claim, missing.failure)
            return
        if waits_for_key(send):
            send = replace(send, failure=None)
        if send.state is SendState.UNKNOWN:
            await self._seeking.look(job, send, provider)
        elif claim.barred:
            await self._submitting.barred(job, send, not_answering(send.provider))
        elif send.state is SendState.QUEUED:
            await self._submitting.submit(job, send, provider)
        elif send.state is SendState.SUBMITTED:
            await self._watching.look(job, send, provider)
        else:
            await self._finish(job, send, provider)

    async def _without_key(self, job: Job, send: Send, claim: Claim, failure: Failure) -> None:
        """Do what needs no key; else say what is missing, and look again whether it is there, for a day.

        Meanwhile nothing is asked of the provider by any other key, and no other send waits for this one's slot.
        """
        if send.state in (SendState.READY, SendState.UNKNOWN):
            locked = Locked(self._accounts.offers[send.provider], failure)
            look = self._seeking.look if send.state is SendState.UNKNOWN else self._finish
            await look(job, send, locked)
            return
        now = self._clock.now()
        if (now - (send.sent_at or job.created_at)).total_seconds() > GIVE_UP_S:
            told = replace(failure, billed=Billed.NO if send.sent_at is None else Billed.UNKNOWN)
            ended = replace(send, state=SendState.FAILED, failure=told, ended_at=now)
            await self._leased.save(ended, release=True)
            return
        if send.failure != failure:
            await self._leased.save(replace(send, failure=failure), release=False)
        await self._leased.back(claim, KEY_AGAIN_S, aside=True)

    async def _finish(self, job: Job, send: Send, provider: Provider) -> None:
        await self._finishing.finish(job, send, provider, ())

    async def _orphaned(self, send: Send) -> None:
        """End a send whose owner died between the intent and the answer: nobody knows, so nothing is sent again."""
        unknown = OutcomeUnknown(
            "The server was stopped right when the request went out: it may have been charged.",
            fix="Let a person look at the provider's own list of jobs; to try again on purpose, call again with a new "
            "request_key.",
        )
        await self._leased.save(self._seeking.lost(send, unknown.failure), release=True)
