"""A drafted job meets the money: what it would cost and leave, or its record and reservation.

What this is: the only door to `Store.admit`; a person's yes is held here against what they were asked. What it is not:
the caps (`budget`) or the transaction (`stores`). Above: studio, planning, planner. Below: drafting, stores.base,
budget.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from random import Random

from kontext_tools import drafting
from kontext_tools.budget import Caps, Cost, Price, Unit, day_of, total
from kontext_tools.clocks import Clock
from kontext_tools.errors import ConfirmationNeeded, StorageBusy
from kontext_tools.jobs import Job
from kontext_tools.questions import Question, Yes
from kontext_tools.stores.base import Admission, Store
from kontext_tools.views import Quote

ID_DRAWS = 20

Admit = Callable[[Job, str | None], Awaitable[Admission]]
"""Records a job, with the nonce of the yes that it was agreed to with."""


class Admitting:
    """Records jobs under the caps of one operator."""

    def __init__(self, store: Store, clock: Clock, random: Random, *, caps: Caps) -> None:
        self._store = store
        self._clock = clock
        self._random = random
        self._caps = caps

    async def admit(self, job: Job, price: Price, yes: Yes | None) -> Admission:
        """Record a job and reserve its money, or give the earlier one that it repeats.

        Args:
            job: as drafted.
            price: of all its images.
            yes: what a person said yes to, if one was asked.

        Raises:
            BudgetExceeded: a cap would be passed; a yes lifts none.
            ConfirmationNeeded: a person must be asked first, with the question; also where the yes was to something
                else, or has bought its job already.
            IdempotencyConflict, OutcomeUnknown: as `Store.admit` says.
            StorageBusy: no id was free.
        """

        def admit(job: Job, nonce: str | None) -> Awaitable[Admission]:
            return self._store.admit(job, caps=self._caps, price=price, now=self._clock.now(), nonce=nonce)

        return await self._asking(
            job, drafting.question(job, [price], job.edit.num_images), yes, replace(job, agreed=price), admit
        )

    async def admit_plan(self, job: Job, prices: Sequence[Price], images: int, yes: Yes | None) -> Admission:
        """Record a plan, or give the earlier one that it repeats; its steps reserve their money when they start.

        Args:
            job: with its plan.
            prices: of all that is to be sent, one for each unit.
            images: how many pictures that is.
            yes: what a person said yes to, if one was asked.

        Raises:
            BudgetExceeded, ConfirmationNeeded, OutcomeUnknown, StorageBusy: as `admit`.
        """
        assert job.plan is not None

        def admit(job: Job, nonce: str | None) -> Awaitable[Admission]:
            return self._store.admit_plan(job, caps=self._caps, prices=prices, now=self._clock.now(), nonce=nonce)

        agreed = replace(job, plan=replace(job.plan, agreed=tuple(prices)))
        return await self._asking(job, drafting.question(job, prices, images), yes, agreed, admit)

    async def _asking(
        self,
        job: Job,
        question: Question,
        yes: Yes | None,
        agreed: Job,
        admit: Callable[[Job, str | None], Awaitable[Admission]],
    ) -> Admission:
        """Record a job under a free id, as agreed to where the yes is to this question."""
        nonce = None
        if yes is not None and yes.binding == question.yes.binding:
            job, nonce = agreed, yes.nonce
        for draw in range(1, ID_DRAWS):
            try:
                # A store's write runs in a thread to its end, whatever becomes of the call that waits for it.
                return await admit(job, nonce)
            except ConfirmationNeeded as error:
                error.about(question)
                raise
            except LookupError:
                job = drafting.renamed(job, self._random, draw)
        raise StorageBusy("No free job id was found; nothing was sent.", fix="Call again.")

    async def quote(self, job: Job, prices: Sequence[Price]) -> Quote:
        """Give what a job would cost and leave; nothing is recorded. Raises `BudgetExceeded` where a cap forbids it."""
        left = await self.left(job.owner)
        for price in prices:
            self._caps.check_call(price)
            if price.unit in left:
                self._caps.check_day(price, self._caps.daily[price.unit] - left[price.unit])
        asked = ("It is above KONTEXT_CONFIRM_ABOVE: a person is asked before it is sent.",)
        cost = total([Cost.listed(price) for price in prices])
        assert cost is not None
        return Quote(
            provider=job.provider,
            request=job.request,
            cost=cost,
            warnings=job.warnings + (asked if any(map(self._caps.asks_above, prices)) else ()),
            budget_left=left,
        )

    async def left(self, owner: str) -> Mapping[Unit, Decimal]:
        """Give what is left of today's budget, by unit."""
        day = day_of(self._clock.now())
        return {
            unit: cap - await self._store.spent(owner, day=day, unit=unit) for unit, cap in self._caps.daily.items()
        }
