"""Migrations: in order, each once, all or nothing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator

import pytest
from inline_snapshot import snapshot

from kontext_tools.stores import schema


@pytest.fixture
def db() -> Generator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield connection
    connection.close()


def tables(db: sqlite3.Connection) -> list[str]:
    found = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
    return [row[0] for row in found]


def test_an_empty_database_gets_every_table(db: sqlite3.Connection) -> None:
    schema.migrate(db)
    assert tables(db) == snapshot(
        [
            "answers",
            "forgotten",
            "gates",
            "image_words",
            "image_words_config",
            "image_words_content",
            "image_words_data",
            "image_words_docsize",
            "image_words_idx",
            "jobs",
            "journal",
            "ledger",
            "outputs",
            "plans",
            "provider_keys",
            "runs",
            "sends",
            "tasks",
            "tickets",
            "trash",
        ]
    )
    assert schema.version_of(db) == len(schema.MIGRATIONS)


def test_migrating_again_changes_nothing(db: sqlite3.Connection) -> None:
    schema.migrate(db)
    before = list(db.iterdump())
    schema.migrate(db)
    assert list(db.iterdump()) == before


def test_only_what_is_missing_is_applied(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    schema.migrate(db)

    def second(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE later (id TEXT) STRICT")

    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, second))
    schema.migrate(db)
    assert "later" in tables(db)
    assert schema.version_of(db) == len(schema.MIGRATIONS)


def test_a_migration_that_breaks_leaves_everything_as_it_was(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE half (id TEXT) STRICT")
        connection.execute("this is no SQL")

    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, breaks))
    with pytest.raises(sqlite3.OperationalError):
        schema.migrate(db)
    assert tables(db) == []
    assert schema.version_of(db) == 0
    assert not db.in_transaction


def test_sends_of_before_there_were_searches_are_not_looked_for_and_keep_their_ids(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:2])
        schema.migrate(db)
    db.execute(
        """INSERT INTO jobs (id, owner, tool, status, label, prompt, provider, created_us, fingerprint, key_digest, doc)
            VALUES ('red-car-4k7q', 'ann', 'edit_image', 'unknown', '', 'p', 'fal', 0, 'f', 'd', '{}')"""
    )
    for n, state in enumerate(("queued", "submitted", "ready", "unknown", "completed"), start=1):
        db.execute(
            "INSERT INTO sends (job_id, n, provider, state, due_us, doc) VALUES ('red-car-4k7q', ?, 'fal', ?, 0, ?)",
            (n, state, json.dumps({"remote_id": f"r{n}" if n > 1 else None})),
        )
    schema.migrate(db)
    rows = db.execute("SELECT state, remote_id, searched FROM sends ORDER BY n").fetchall()
    assert rows == snapshot(
        [("queued", None, 0), ("submitted", "r2", 0), ("ready", "r3", 0), ("unknown", None, 0), ("completed", None, 0)]
    )


@pytest.mark.parametrize("statement", ["UPDATE ledger SET delta_nano = 0", "DELETE FROM ledger"])
def test_the_ledger_is_append_only_in_the_database_itself(db: sqlite3.Connection, statement: str) -> None:
    schema.migrate(db)
    db.execute(
        """INSERT INTO ledger (at_us, day, owner, job_id, n, provider, entry, delta_nano, unit, basis)
            VALUES (0, '2026-11-20', 'ann', 'red-car-4k7q', 1, 'fal', 'reserved', 1, 'usd', 'list_price')"""
    )
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute(statement)
    assert db.execute("SELECT delta_nano FROM ledger").fetchall() == [(1,)]


def test_the_ledger_takes_no_entry_of_another_name(db: sqlite3.Connection) -> None:
    schema.migrate(db)
    with pytest.raises(sqlite3.IntegrityError):
        db.execute(
            """INSERT INTO ledger (at_us, day, owner, job_id, n, provider, entry, delta_nano, unit, basis)
                VALUES (0, '2026-11-20', 'ann', 'red-car-4k7q', 1, 'fal', 'gift', 1, 'usd', 'list_price')"""
        )
