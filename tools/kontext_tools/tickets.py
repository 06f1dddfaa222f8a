"""Tickets: addresses of ours that work once, for a while, and say nothing by themselves.

What this is: how the words of such an address are drawn and looked up. What it is not: a page (`kontext_server.web`),
or a proof of who opens it: who holds a ticket may be anybody. Above: app, surface, web. Below: stores.keys, clocks.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from datetime import timedelta

from kontext_tools.clocks import Clock
from kontext_tools.stores.keys import Ticket, TicketStore

WORDS_BYTES = 32
"""256 random bits: nobody guesses one."""


class Tickets:
    """Tickets over one store."""

    def __init__(self, store: TicketStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def issue(self, owner: str, purpose: str, *, lasts: timedelta, about: str = "") -> str:
        """Give the words of a new ticket, which stand nowhere else; it is on the disk when this returns."""
        words = secrets.token_urlsafe(WORDS_BYTES)
        now = self._clock.now()
        await self._store.add_ticket(
            Ticket(digest=_digest(words), owner=owner, purpose=purpose, about=about, ends_at=now + lasts), now=now
        )
        return words

    async def seen(self, words: str, purpose: str) -> Ticket | None:
        """Give what words stand for, unused; what is over, used, for something else and never was read the same."""
        return await self._store.ticket(_digest(words), purpose, now=self._clock.now())

    async def become(self, words: str, purpose: str, other: str, *, lasts: timedelta, about: str) -> bool:
        """Use a ticket up for what its words stand for from then on; false where it was not there to be used."""
        now = self._clock.now()
        digest = _digest(words)
        ticket = await self._store.ticket(digest, purpose, now=now)
        if ticket is None:
            return False
        then = replace(ticket, purpose=other, about=about, ends_at=now + lasts)
        return await self._store.take_ticket(digest, purpose, now=now, then=then) is not None

    async def taken(self, words: str, purpose: str) -> Ticket | None:
        """Use a ticket up; of all who ask, one gets it."""
        return await self._store.take_ticket(_digest(words), purpose, now=self._clock.now())


def _digest(words: str) -> str:
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()
