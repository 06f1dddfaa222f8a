"""A store keeps users' own provider keys, sealed, and tickets, what an address that works once stands for.

What this is: the values and the parts of the seam that hold them. What it is not: the sealing (`sealing`),
what a key is used for (`keyring`) or how a ticket's words are drawn (`tickets`). Above: keyring, tickets, stores.base.
Below: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedKey:
    """One owner's key at one provider; there is one of each at most.

    Attributes:
        id: drawn anew each time that a key is entered.
        owner: whose it is.
        provider: what it is for, by name.
        sealed: the key under our seal, as text.
        entered_at: UTC.
    """

    id: str
    owner: str
    provider: str
    sealed: str = field(repr=False)
    entered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What an address that works once stands for.

    Attributes:
        digest: sha-256 of the words in the address, in hex: who reads the row cannot write the address.
        owner: whose it is.
        purpose: what it opens; one for another purpose is none.
        about: what more its purpose keeps of it.
        ends_at: when it is forgotten, UTC.
    """

    digest: str
    owner: str
    purpose: str
    about: str = ""
    ends_at: datetime


class KeyStore(Protocol):
    """Where sealed keys live."""

    async def keep_key(self, key: SealedKey) -> None:
        """Keep a key in the place of the one that its owner had at its provider, durable before this returns."""
        ...

    async def drop_key(self, owner: str, provider: str) -> bool:
        """Remove an owner's key at once, durable before this returns; false where there is none."""
        ...

    async def own_key(self, owner: str, provider: str) -> SealedKey | None:
        """Give an owner's key at a provider."""
        ...

    async def own_keys(self, owner: str) -> list[SealedKey]:
        """Give an owner's keys, by provider."""
        ...


class TicketStore(Protocol):
    """Where tickets live."""

    async def add_ticket(self, ticket: Ticket, *, now: datetime) -> None:
        """Record a ticket, durable before this returns.

        Those that are over by then are forgotten, and the keys of sources that they name go into the trash with that.
        """
        ...

    async def ticket(self, digest: str, purpose: str, *, now: datetime) -> Ticket | None:
        """Give a ticket while its time is not over and it was not used."""
        ...

    async def take_ticket(
        self, digest: str, purpose: str, *, now: datetime, then: Ticket | None = None
    ) -> Ticket | None:
        """Use a ticket up: of all who ask, in all processes, one gets it; `then` takes its place in the same write."""
        ...
