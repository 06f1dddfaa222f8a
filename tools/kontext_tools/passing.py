"""Passing a send on to the next provider: under `auto` alone, and only where nothing can have been charged.

What this is: the choice of the next one and the exchange of the reservation. What it is not: the first choice
(`choosing`), or by whose key (`accounts`). Above: submitting. Below: drafting, stores.base, budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from kontext_tools import drafting
from kontext_tools.accounts import Accounts
from kontext_tools.budget import Caps
from kontext_tools.choosing import AUTO
from kontext_tools.clocks import Clock
from kontext_tools.errors import Billed, BudgetExceeded, ConfirmationNeeded, Failure, NotConfigured
from kontext_tools.jobs import Job, Send
from kontext_tools.originals import can_go
from kontext_tools.stores.base import Handover, Store

PASSED_ON = frozenset({"auth_failed", "out_of_credit", "rate_limited", "provider_unavailable"})


class Passing:
    """Finds who serves next."""

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        clock: Clock,
        random: Random,
        *,
        caps: Caps,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._clock = clock
        self._random = random
        self._caps = caps

    async def pass_on(self, job: Job, send: Send, failure: Failure) -> bool:
        """Hand a send to the next provider that honours everything; false where it stays where it is."""
        if job.edit.provider.lower() != AUTO or failure.code not in PASSED_ON or failure.billed is not Billed.NO:
            return False
        party = await self._accounts.party(job.owner)
        for name in _after(send.provider, party.order):
            own_key = name in party.own
            try:
                provider = await self._accounts.by_name(job.owner, name, own_key=own_key)
            except NotConfigured:
                continue
            if provider.offer.refusals(job.edit) or not can_go(provider.offer, job.source):
                continue
            now = self._clock.now()
            passed = drafting.passed_on(job, send, provider.offer, now=now, random=self._random)
            sends = tuple(replace(one, own_key=own_key) for one in passed)
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


def _after(provider: str, order: Sequence[str]) -> Sequence[str]:
    """Give the names that come after one; none where it is not among them."""
    return order[order.index(provider) + 1 :] if provider in order else ()
