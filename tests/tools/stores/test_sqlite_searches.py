"""What SQLite's planner does with the questions of every step."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from kontext_tools.stores import schema, sql_claims, sql_reads
from kontext_tools.stores.base import Claim
from kontext_tools.stores.sqlite_database import SqliteDatabase
from support.fake_clock import START
from support.rows import a_send

pytestmark = pytest.mark.anyio


TEN_MINUTES = timedelta(minutes=10)


Asks = Callable[[SqliteDatabase], object]


CLAIM = Claim(job_id="red-car-4k7q", n=1, fence=1)


QUESTIONS: dict[str, Asks] = {
    "claim": lambda db: sql_claims.claim(db, "one", now=START, lease_until=START, limit=9, slots={"fal": 4}),
    "next_due": lambda db: sql_claims.next_due(db, ["fal"]),
    "renew": lambda db: sql_claims.renew(db, "one", until=START),
    "release": lambda db: sql_claims.release(db, "one"),
    "set_right": lambda db: sql_claims.set_right(db, now=START, lease_until=START),
    "give_back": lambda db: sql_claims.give_back(db, CLAIM, due_at=START, aside=False),
    "held": lambda db: sql_reads.held(db, "fal", ["r1", "r2"]),
    "has_rival": lambda db: sql_reads.has_rival(db, a_send("red-car-4k7q", sent_at=START), within=TEN_MINUTES),
}


@pytest.mark.parametrize("question", QUESTIONS)
async def test_no_question_reads_through_all_the_sends_there_ever_were(tmp_path: Path, question: str) -> None:
    said: list[str] = []
    with closing(sqlite3.connect(tmp_path / "k.db", isolation_level=None, factory=SqliteDatabase)) as db:
        schema.migrate(db)
        db.set_trace_callback(said.append)
        QUESTIONS[question](db)
        db.set_trace_callback(None)
        plans = [row[3] for statement in said for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert any("sends" in plan for plan in plans)
    assert "SCAN sends" not in plans
