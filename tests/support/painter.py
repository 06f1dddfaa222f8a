"""A provider whose answer depends on the prompt, for the fates of a plan's steps."""

from __future__ import annotations

from collections import Counter
from typing import Any

from kontext_tools.providers.base import CancelOutcome, Intent, Offer, Order, Phase, Snapshot
from support.scripted import OFFER, Step, done, waiting
from support.workshop import output


class Painter:
    """Paints each order in a colour of its own, but for the prompts whose fate a test sets.

    Attributes:
        fates: what becomes of a create by its prompt; `waiting()` is a job that runs until the test takes it away.
        creates: orders whose create went out.
        cancels: remote ids that were to be cancelled.
    """

    def __init__(self, fates: dict[str, Step] | None = None, *, offer: Offer = OFFER) -> None:
        self.offer = offer
        self.fates = fates or {}
        self.creates: list[Order] = []
        self.cancels: list[str] = []
        self._prompts: dict[str, str] = {}

    @property
    def sent(self) -> Counter[str]:
        """How often each prompt was sent."""
        return Counter(order.prompt for order in self.creates)

    def request(self, order: Order) -> dict[str, Any]:
        """Give something for people."""
        return {"prompt": order.prompt}

    async def submit(self, order: Order, intent: Intent) -> Snapshot:
        """Commit the intent, and do what the prompt's fate says."""
        await intent()
        self.creates.append(order)
        remote_id = f"r{len(self.creates)}"
        self._prompts[remote_id] = order.prompt
        if order.prompt in self.fates:
            fate = await done(self.fates[order.prompt])
            return waiting(remote_id) if fate.phase is Phase.WAITING else fate
        return self._painted(remote_id, order.count)

    async def fetch(self, remote_id: str) -> Snapshot:
        """Give the picture, unless its prompt waits yet."""
        if remote_id in self.cancels:
            return Snapshot(phase=Phase.CANCELLED, remote_id=remote_id)
        return waiting(remote_id) if self._prompts[remote_id] in self.fates else self._painted(remote_id, 1)

    async def cancel(self, remote_id: str) -> CancelOutcome:
        """Take the cancel."""
        self.cancels.append(remote_id)
        return CancelOutcome.ACCEPTED

    def _painted(self, remote_id: str, count: int) -> Snapshot:
        first = 40 * int(remote_id[1:])
        colours = (f"hsl({(first + 9 * n) % 360}, 80%, 50%)" for n in range(count))
        return Snapshot(phase=Phase.DONE, remote_id=remote_id, outputs=tuple(output(colour) for colour in colours))
