"""What an operator watches of SQLite's store: never a walk over all jobs."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from kontext_tools.stores import sql_figures
from kontext_tools.stores.sqlite import SqliteStore

pytestmark = pytest.mark.anyio

TODAY = "2026-11-20"


async def test_none_of_them_walks_a_table(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "kontext.db")
    await store.open()
    await store.figures(day=TODAY)
    await store.close()
    db = sqlite3.connect(tmp_path / "kontext.db")
    plans: list[str] = []
    for name, values in (("_JOBS", ()), ("_SENDS", ()), ("_SPENT", (TODAY,))):
        plans += [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {getattr(sql_figures, name)}", values)]
    db.close()
    walked = [step for step in plans if step.startswith("SCAN") and "INDEX" not in step]
    assert {step.split()[1] for step in walked} <= {"owners", "moves", "CONSTANT"}
    assert "SEARCH ledger USING INDEX ledger_days (owner=? AND unit=? AND day=?)" in plans
    assert "SEARCH jobs USING INDEX sqlite_autoindex_jobs_1 (id=?)" in plans, plans
