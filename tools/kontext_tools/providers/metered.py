"""A provider whose requests are counted.

What this is: the provider itself, with each verb's outcome and time told to a meter. What it is not: an adapter, or
what is done with the counts. Above: app. Below: base, clocks, meters.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from kontext_tools.clocks import Clock
from kontext_tools.meters import Meter
from kontext_tools.providers.base import (
    CancelOutcome,
    FetchFailed,
    Finder,
    Intent,
    Lost,
    Offer,
    Order,
    Provider,
    Snapshot,
    SubmitFailed,
)

SUBMIT, FETCH, CANCEL, FIND = "submit", "fetch", "cancel", "find"


class Metered:
    """Does what another provider does. See `base.Provider` and `base.Finder`."""

    def __init__(self, provider: Provider, meter: Meter, clock: Clock) -> None:
        self._provider = provider
        self._meter = meter
        self._clock = clock

    @property
    def offer(self) -> Offer:
        """What it can do and costs."""
        return self._provider.offer

    def request(self, order: Order) -> dict[str, Any]:
        """Give the create's body for people to read."""
        return self._provider.request(order)

    async def submit(self, order: Order, intent: Intent) -> Snapshot:
        """Create a job."""
        with self._asking(SUBMIT):
            return await self._provider.submit(order, intent)

    async def fetch(self, remote_id: str) -> Snapshot:
        """Look at a job."""
        with self._asking(FETCH):
            return await self._provider.fetch(remote_id)

    async def cancel(self, remote_id: str) -> CancelOutcome:
        """Ask for a job to be cancelled."""
        with self._asking(CANCEL):
            return await self._provider.cancel(remote_id)

    async def find(self, lost: Lost) -> Sequence[str]:
        """Give the ids that a lost create may have made; asked only where the offer says that the host tells."""
        assert isinstance(self._provider, Finder)
        with self._asking(FIND):
            return await self._provider.find(lost)

    @contextmanager
    def _asking(self, kind: str) -> Generator[None]:
        began, outcome = self._clock.monotonic(), "broke"
        try:
            yield
            outcome = "ok"
        except SubmitFailed as failed:
            outcome = failed.verdict.value
            raise
        except FetchFailed as failed:
            outcome = failed.failure.code
            raise
        finally:
            self._meter.asked(self.offer.name, kind, outcome, self._clock.monotonic() - began)
