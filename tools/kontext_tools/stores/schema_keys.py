"""The twelfth migration: users' own keys, and tickets. Above: schema. Below: nothing."""

from __future__ import annotations

import sqlite3


def m012_keys_and_tickets(db: sqlite3.Connection) -> None:
    """Create users' own keys, each sealed, and the tickets: what an address that works once stands for."""
    for statement in (
        """CREATE TABLE provider_keys (
            id TEXT PRIMARY KEY, owner TEXT NOT NULL, provider TEXT NOT NULL, sealed TEXT NOT NULL,
            entered_us INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
        "CREATE UNIQUE INDEX provider_keys_owners ON provider_keys (owner, provider)",
        """CREATE TABLE tickets (
            digest TEXT PRIMARY KEY, owner TEXT NOT NULL, purpose TEXT NOT NULL, about TEXT NOT NULL,
            ends_us INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX tickets_ends ON tickets (ends_us)",
    ):
        db.execute(statement)
