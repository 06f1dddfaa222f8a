"""Passing a send on to the next provider: under `auto` alone, and only where nothing can have been charged.

What this is: the choice of the next one and the exchange of the reservation. What it is not: the first choice
(`choosing`). Above: submitting. Below: drafting, stores.base, budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

from kontext_tools import drafting
from kontext_tools.budget import Caps
from kontext_tools.choosing import AUTO
from kontext_tools.clocks import Clock
from kontext_tools.errors import Billed, BudgetExceeded, ConfirmationNeeded, Failure
from kontext_tools.jobs import Job, Send
from kontext_tools.originals import can_go
from kontext_tools.providers.base import Provider
from kontext_tools.stores.base import Handover, Store

PASSED_ON = frozenset({"auth_failed", "out_of_credit", "rate_limited", "provider_unavailable"})


class Passing:
    """Finds who serves next."""

    def __init__(
        self,
        store: Store,
        providers: Mapping[str, Provider],
        clock: Clock,
        random: Random,
        *,
        order: Sequence[str],
        caps: Caps,
    ) -> None:
        self._store = store
        self._providers = providers
        self._clock = clock
        self._random = random
        self._order = tuple(order)
        self._caps = caps

    async def pass_on(self, job: Job, send: Send, failure: Failure) -> bool:
        """Hand a send to the next provider that honours everything; false where it stays where it is."""
        if job.edit.provider.lower() != AUTO or failure.code not in PASSED_ON or failure.billed is not Billed.NO:
            return False
        for name in self._order[self._position(send) + 1 :]:
            provider = self._providers[name]
            if provider.offer.refusals(job.edit) or not can_go(provider.offer, job.source):
                continue
            now = self._clock.now()
            sends = tuple(drafting.passed_on(job, send, provider.offer, now=now, random=self._random))
            handover = Handover(
                sends=sends,
                provider=name,
                model=provider.offer.model,
                request=provider.request(drafting.first_order(replace(job, sends=sends), provider.offer)),
                warning=f"{send.provider} did not serve it ({failure.code}); {name} was asked instead.",
            )
            try:
                return await self._store.hand_over(send, handover, caps=self._caps, now=now)
            except (BudgetExceeded, ConfirmationNeeded):
                continue
        return False

    def _position(self, send: Send) -> int:
        return self._order.index(send.provider) if send.provider in self._order else len(self._order)
