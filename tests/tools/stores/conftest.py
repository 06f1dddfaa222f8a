"""A store on a database of the test's own: once in SQLite, once in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from support.places import AnyStore, Place, PostgresPlace, SqlitePlace
from support.postgres import Server


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty database."""
    if request.param == "sqlite":
        return SqlitePlace(tmp_path / "kontext.db")
    server: Server = request.getfixturevalue("postgres")
    return PostgresPlace(server, server.new_schema())


@pytest.fixture
async def store(place: Place, anyio_backend: str) -> AsyncGenerator[AnyStore]:
    """An open store on it, closed at the end."""
    made = place.store()
    await made.open()
    yield made
    await made.close()
