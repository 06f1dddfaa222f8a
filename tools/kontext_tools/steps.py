"""One step of a claimed send: who takes it.

What this is: the fork to submitting, watching, finishing or seeking, and the two ends that need no provider. What it
is not: when and by whom a send is claimed (`engine`). Above: engine. Below: submitting, watching, finishing, seeking,
leases.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from random import Random

from kontext_tools.archive import Archive
from kontext_tools.budget import Caps
from kontext_tools.clocks import Clock
from kontext_tools.errors import OutcomeUnknown
from kontext_tools.finishing import Finishing
from kontext_tools.gates import Gates, not_answering
from kontext_tools.hooks import Hooks, Place, Promises
from kontext_tools.jobs import Job, Send, SendState, dropped
from kontext_tools.leases import Leased, LeaseLost
from kontext_tools.originals import Originals
from kontext_tools.passing import Passing
from kontext_tools.providers.base import Provider
from kontext_tools.seeking import Seeking
from kontext_tools.stores.base import Claim, Store
from kontext_tools.submitting import Submitting
from kontext_tools.watching import Watching

LOST_AGAIN_S = 1.0

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
        *,
        order: Sequence[str] = (),
        caps: Caps | None = None,
        hooks: Hooks | None = None,
    ) -> None:
        """Take what every step needs.

        `order` and `caps` are for passing a send on to the next provider; with `hooks`, hosts are asked to call.
        """
        self._store = store
        self._providers = providers
        self._archive = archive
        self._clock = clock
        self._leased = Leased(store, clock)
        self._finishing = Finishing(self._leased, archive, clock)
        self._gates = gates = Gates(store, clock)
        self._promises = promises = Promises()
        self._watching = Watching(self._leased, self._finishing, originals, gates, promises, clock, random)
        passing = Passing(store, providers, clock, random, order=order, caps=caps or Caps.none())
        self._seeking = seeking = Seeking(store, self._leased, providers, originals, gates, clock, random)
        self._submitting = Submitting(
            store, self._leased, self._watching, passing, seeking, originals, gates, hooks, clock, random
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

    async def heard(self, place: Place, remote_id: str | None) -> bool:
        """Take a proven call of a send's host, which names a job; give whether there is something to look at.

        Raises:
            FetchFailed: the create's answer has not come, and the host did not tell of the job that the call named.
        """
        self._promises.came(place)
        job = await self._store.any_job(place.job_id)
        send = next((one for one in job.sends if one.n == place.n), None) if job is not None else None
        if job is None or send is None or send.provider != place.provider:
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
        provider = self._providers[send.provider]
        if claim.probe:
            self._gates.probing(send.provider)
        if send.state is SendState.QUEUED and job.cancel_requested:
            await self._leased.save(dropped(send, self._clock.now()), release=True)
        elif send.state is SendState.UNKNOWN:
            await self._seeking.look(job, send)
        elif claim.barred:
            await self._submitting.barred(job, send, not_answering(send.provider))
        elif send.state is SendState.QUEUED:
            await self._submitting.submit(job, send, provider)
        elif send.state is SendState.SUBMITTED:
            await self._watching.look(job, send, provider)
        else:
            await self._finishing.finish(job, send, provider, ())

    async def _orphaned(self, send: Send) -> None:
        """End a send whose owner died between the intent and the answer: nobody knows, so nothing is sent again."""
        unknown = OutcomeUnknown(
            "The server was stopped right when the request went out: it may have been charged.",
            fix="Let a person look at the provider's own list of jobs; to try again on purpose, call again with a new "
            "request_key.",
        )
        await self._leased.save(self._seeking.lost(send, unknown.failure), release=True)
