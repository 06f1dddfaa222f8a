"""A SQLite store in a folder of the test's own."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from kontext_tools.stores.sqlite import SqliteStore


@pytest.fixture
async def store(tmp_path: Path, anyio_backend: str) -> AsyncGenerator[SqliteStore]:
    """An open, empty store, closed at the end."""
    made = SqliteStore(tmp_path / "kontext.db", busy_s=0.05)
    await made.open()
    yield made
    await made.close()
