"""A host's call at a hook: proven, then taken as a hint that leads to one look with our key.

What this is: everything between an address that somebody asked for and the engine: whose hook it is, how much of it is
borne, whether the host proves itself, whether the same call has come before. What it is not: HTTP (`web.webhooks`), or
a signature's form (the adapters). Nothing is read or asked for before the address is proven. Above: the server. Below:
buckets, engine, hooks, providers.hooks.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import TypeVar

from kontext_tools.buckets import Bucket, Rate
from kontext_tools.clocks import Clock
from kontext_tools.engine import Engine
from kontext_tools.hooks import MOST_REMEMBERED, Hooks, Place
from kontext_tools.providers.base import Offer
from kontext_tools.providers.hooks import Knock, caller_of

OF_ONE_SEND = Rate(burst=10, per_s=1)
"""Calls for one send; hosts make two or three."""

K = TypeVar("K")
V = TypeVar("V")


class Callbacks:
    """Takes calls. What it remembers is this process's own: it spares looks, and no promise rests on it.

    Args:
        hooks: where hosts were asked to call.
        offers: of the providers that somebody may be served by.
        engine: who looks.
        clock: what it lives by.
    """

    def __init__(self, hooks: Hooks, offers: Mapping[str, Offer], engine: Engine, clock: Clock) -> None:
        self._hooks = hooks
        self._offers = offers
        self._engine = engine
        self._clock = clock
        self._buckets: OrderedDict[Place, Bucket] = OrderedDict()
        self._heard: OrderedDict[tuple[str, str], None] = OrderedDict()

    def place(self, provider: str, job_id: str, n: str, proof: str) -> Place | None:
        """Give whom an address is for; `None` where it is none of ours, or its host does not call."""
        place = self._hooks.place(provider, job_id, n, proof)
        offer = None if place is None else self._offers.get(place.provider)
        return None if offer is None or offer.call_bytes == 0 else place

    def lets(self, place: Place) -> bool:
        """Whether one more call is borne at this moment."""
        now_s = self._clock.monotonic()
        bucket = self._buckets.get(place) or Bucket.full(OF_ONE_SEND, now_s)
        _remember(self._buckets, place, bucket)
        return not bucket.take(now_s)

    def most_bytes(self, place: Place) -> int:
        """Give how long a call's body may be."""
        return self._offers[place.provider].call_bytes

    async def take(self, place: Place, headers: Mapping[str, str], body: bytes) -> bool:
        """Look at a send, for its host called; false where the call does not prove that it is the host's.

        Args:
            place: of a proven address.
            headers: by lower-case names.
            body: as it came.

        Raises:
            FetchFailed: the host did not tell what the call is held against; it should call again.
            KontextError: the store failed; likewise.
        """
        # The send's own adapter: what a call is signed with may be the account's.
        caller = caller_of(await self._engine.provider_of(place))
        if caller is None:
            return False
        knock = Knock(headers=headers, body=body, at=self._clock.now())
        told = await caller.hear(knock, self._hooks.secret(place))
        if told is None:
            return False
        event = (str(place), told.event or hashlib.sha256(body).hexdigest())
        if event not in self._heard:
            await self._engine.heard(place, told.remote_id)
            # Not before: a call that led to nothing may come again.
            _remember(self._heard, event, None)
        return True


def _remember(kept: OrderedDict[K, V], name: K, value: V) -> None:
    kept[name] = value
    kept.move_to_end(name)
    if len(kept) > MOST_REMEMBERED:
        kept.popitem(last=False)
