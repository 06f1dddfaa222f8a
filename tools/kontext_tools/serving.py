"""From an edit to a job that could be recorded: who serves it, with a source that reaches them.

What this is: the one way from an edit to a draft, for a call of its own and for a step of a plan. What it is not: the
record and its money (`admitting`), nor the pure parts (`choosing`, `drafting`). Above: studio, planning, planner.
Below: drafting, accounts, choosing, inputs, originals.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from random import Random

from kontext_tools import drafting
from kontext_tools.accounts import Accounts, Party
from kontext_tools.budget import Price
from kontext_tools.choosing import Choice, choose
from kontext_tools.clocks import Clock
from kontext_tools.edits import Edit
from kontext_tools.inputs import Input, Inputs
from kontext_tools.jobs import Job, Source
from kontext_tools.originals import Originals, can_go
from kontext_tools.providers.base import Offer
from kontext_tools.views import Call

Load = Callable[[], Awaitable[Input]]
"""Gives the source of an edit, once it is sure that somebody would serve it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """A job that could be recorded, and the price of all its images."""

    job: Job
    price: Price


class Serving:
    """Finds who serves.

    Args:
        inputs: what is loaded.
        originals: where a picture can be fetched.
        accounts: who serves whom, by whose key.
        clock: what a job's times are from.
        random: what ids are drawn from.
    """

    def __init__(self, inputs: Inputs, originals: Originals, accounts: Accounts, clock: Clock, random: Random) -> None:
        self._inputs = inputs
        self._originals = originals
        self._accounts = accounts
        self._clock = clock
        self._random = random

    @property
    def offers(self) -> dict[str, Offer]:
        """What each provider that may be asked here can do and costs, the sandbox last."""
        return self._accounts.offers

    async def party(self, owner: str) -> Party:
        """Give who would serve an owner."""
        return await self._accounts.party(owner)

    async def choice(self, edit: Edit, owner: str, *, unreachable: Collection[str] = ()) -> Choice:
        """Give who would serve an owner's edit, whatever its source. Raises as `choosing.choose`."""
        party = await self._accounts.party(owner)
        return choose(
            edit,
            party.offers,
            order=party.order,
            unreachable=unreachable,
            withheld=party.withheld,
            own=party.own,
            page=party.page,
        )

    async def draft(self, tool: str, edit: Edit, load: Load | None, call: Call, *, key_digest: str = "") -> Drafted:
        """Draft a job; refused here, before anything is recorded.

        Args:
            tool: the verb.
            edit: as it was asked.
            load: gives its source, `None` for a generation.
            call: whose it is, and its request_key.
            key_digest: of the arguments as given, where there is a request_key.

        Raises:
            Refusal: no provider takes it, or its source cannot be read or sent.
        """
        choice, loaded = await self._served(edit, call.owner, load)
        job = drafting.draft(
            tool, choice, loaded, call, key_digest=key_digest, now=self._clock.now(), random=self._random
        )
        provider = await self._accounts.by_name(call.owner, job.provider, own_key=choice.own_key)
        request = provider.request(drafting.first_order(job, choice.offer))
        return Drafted(job=replace(job, request=request), price=choice.offer.price.times(edit.num_images))

    async def _served(self, edit: Edit, owner: str, load: Load | None) -> tuple[Choice, Input | None]:
        """Find who serves, with a source that reaches it: by address, as bytes, or by an earlier result's address."""
        choice = await self.choice(edit, owner)
        if load is None:
            return choice, None
        loaded = await load()
        unreachable: set[str] = set()
        while True:
            source = await self._reaching(choice.offer, owner, loaded.source)
            if source is not None:
                return choice, replace(loaded, source=source)
            unreachable.add(choice.offer.name)
            choice = await self.choice(edit, owner, unreachable=unreachable)

    async def _reaching(self, offer: Offer, owner: str, source: Source) -> Source | None:
        if can_go(offer, source):
            return source
        if offer.takes_bytes:
            return await self._inputs.fetched(source)
        return await self._originals.addressed(owner, source)
