"""A provider that does what a test says, for the engine's own rules; the wires are tested against the simulator."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from kontext_tools.budget import Price, Unit
from kontext_tools.providers.base import (
    CancelOutcome,
    FetchFailed,
    Intent,
    Offer,
    Order,
    Phase,
    Snapshot,
    SubmitFailed,
)

Step = Snapshot | SubmitFailed | FetchFailed | Exception | Callable[[], Awaitable[Snapshot]]

OFFER = Offer(
    name="core.today",
    model="black-forest-labs/flux-kontext-pro",
    price=Price(amount=Decimal(120), unit=Unit.CREDIT),
    typical_s=10,
    evidence="made up for a test",
)


def waiting(remote_id: str = "r1", **facts: Any) -> Snapshot:
    """Give a job that was taken and has not begun."""
    return Snapshot(phase=Phase.WAITING, remote_id=remote_id, **facts)


class Scripted:
    """Answers creates and looks from two lists; the last look repeats for ever.

    Attributes:
        creates: orders whose create went out, after their intent.
        looks: how often it was asked for a job.
        cancels: remote ids that were to be cancelled.
        before_intent: a failure that comes before the create, as an upload's would.
    """

    def __init__(self, *, creates: list[Step], looks: list[Step] | None = None, offer: Offer = OFFER) -> None:
        self.offer = offer
        self.creates: list[Order] = []
        self.looks = 0
        self.cancels: list[str] = []
        self.cancel_outcome: CancelOutcome | FetchFailed = CancelOutcome.ACCEPTED
        self.before_intent: SubmitFailed | Exception | None = None
        self._on_create = creates
        self._on_look = looks or []

    def request(self, order: Order) -> dict[str, Any]:
        """Give something for people."""
        return {"prompt": order.prompt}

    async def submit(self, order: Order, intent: Intent) -> Snapshot:
        """Commit the intent and do what the list says."""
        if self.before_intent is not None:
            raise self.before_intent
        await intent()
        self.creates.append(order)
        return await done(self._on_create.pop(0) if len(self._on_create) > 1 else self._on_create[0])

    async def fetch(self, remote_id: str) -> Snapshot:
        """Do what the list says."""
        assert remote_id
        self.looks += 1
        return await done(self._on_look.pop(0) if len(self._on_look) > 1 else self._on_look[0])

    async def cancel(self, remote_id: str) -> CancelOutcome:
        """Note it."""
        self.cancels.append(remote_id)
        if isinstance(self.cancel_outcome, FetchFailed):
            raise self.cancel_outcome
        return self.cancel_outcome


async def done(step: Step) -> Snapshot:
    """Do a step."""
    if isinstance(step, Exception):
        raise step
    return step if isinstance(step, Snapshot) else await step()
