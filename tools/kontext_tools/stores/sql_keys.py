"""Sealed keys and tickets: the verbs of `stores.keys`, and their statements. Above: sql_store. Below: database,
records.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kontext_tools.blobs import keys
from kontext_tools.stores import records
from kontext_tools.stores.database import Database, Transactions
from kontext_tools.stores.keys import SealedKey, Ticket

_KEY = "id, owner, provider, sealed, entered_us"
_TICKET = "digest, owner, purpose, about, ends_us"


class SqlKeys(Transactions):
    """What of the store has to do with users' own keys, and with addresses that work once."""

    async def keep_key(self, key: SealedKey) -> None:
        """Keep a key in the place of the one before."""
        await self._write(lambda db: _keep(db, key))

    async def drop_key(self, owner: str, provider: str) -> bool:
        """Remove a key."""
        return await self._write(lambda db: _drop(db, owner, provider))

    async def own_key(self, owner: str, provider: str) -> SealedKey | None:
        """Give an owner's key at a provider."""
        return await self._read(lambda db: _own_key(db, owner, provider))

    async def own_keys(self, owner: str) -> list[SealedKey]:
        """Give an owner's keys."""
        return await self._read(lambda db: _own_keys(db, owner))

    async def add_ticket(self, ticket: Ticket, *, now: datetime) -> None:
        """Record a ticket."""
        await self._write(lambda db: _add(db, ticket, now))

    async def ticket(self, digest: str, purpose: str, *, now: datetime) -> Ticket | None:
        """Give a ticket."""
        return await self._read(lambda db: _ticket(db, digest, purpose, now))

    async def take_ticket(
        self, digest: str, purpose: str, *, now: datetime, then: Ticket | None = None
    ) -> Ticket | None:
        """Use a ticket up."""
        return await self._write(lambda db: _take(db, digest, purpose, now, then))


def _keep(db: Database, key: SealedKey) -> None:
    db.alone(key.owner)
    _drop(db, key.owner, key.provider)
    db.execute(
        f"INSERT INTO provider_keys ({_KEY}) VALUES (?, ?, ?, ?, ?)",  # noqa: S608  # constant
        (key.id, key.owner, key.provider, key.sealed, records.to_us(key.entered_at)),
    )


def _drop(db: Database, owner: str, provider: str) -> bool:
    gone = db.execute("DELETE FROM provider_keys WHERE owner = ? AND provider = ?", (owner, provider))
    return bool(gone.rowcount)


def _own_key(db: Database, owner: str, provider: str) -> SealedKey | None:
    row = db.execute(
        f"SELECT {_KEY} FROM provider_keys WHERE owner = ? AND provider = ?",  # noqa: S608  # constant
        (owner, provider),
    ).fetchone()
    return None if row is None else _key_from(row)


def _own_keys(db: Database, owner: str) -> list[SealedKey]:
    rows = db.execute(
        f"SELECT {_KEY} FROM provider_keys WHERE owner = ? ORDER BY provider",  # noqa: S608  # constant
        (owner,),
    ).fetchall()
    return [_key_from(row) for row in rows]


def _key_from(row: tuple[Any, ...]) -> SealedKey:
    key_id, owner, provider, sealed, entered_us = row
    return SealedKey(id=key_id, owner=owner, provider=provider, sealed=sealed, entered_at=records.from_us(entered_us))


def _add(db: Database, ticket: Ticket, now: datetime) -> None:
    over = (records.to_us(now),)
    for (about,) in db.execute("SELECT about FROM tickets WHERE ends_us <= ? AND about <> ''", over).fetchall():
        for key in keys.sources_in(about):
            db.execute("INSERT INTO trash (key) VALUES (?)", (key,))
    db.execute("DELETE FROM tickets WHERE ends_us <= ?", over)
    _insert(db, ticket)


def _insert(db: Database, ticket: Ticket) -> None:
    db.execute(
        f"INSERT INTO tickets ({_TICKET}) VALUES (?, ?, ?, ?, ?)",  # noqa: S608  # constant
        (ticket.digest, ticket.owner, ticket.purpose, ticket.about, records.to_us(ticket.ends_at)),
    )


def _ticket(db: Database, digest: str, purpose: str, now: datetime) -> Ticket | None:
    row = db.execute(
        f"SELECT {_TICKET} FROM tickets WHERE digest = ? AND purpose = ? AND ends_us > ?",  # noqa: S608  # constant
        (digest, purpose, records.to_us(now)),
    ).fetchone()
    if row is None:
        return None
    _, owner, _, about, ends_us = row
    return Ticket(digest=digest, owner=owner, purpose=purpose, about=about, ends_at=records.from_us(ends_us))


def _take(db: Database, digest: str, purpose: str, now: datetime, then: Ticket | None) -> Ticket | None:
    found = _ticket(db, digest, purpose, now)
    if found is None:
        return None
    gone = db.execute("DELETE FROM tickets WHERE digest = ? AND purpose = ?", (digest, purpose))
    if not gone.rowcount:
        return None
    if then is not None:
        _insert(db, then)
    return found
