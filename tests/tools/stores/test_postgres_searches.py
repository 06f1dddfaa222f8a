"""What PostgreSQL's planner can do with the questions of every step: each has an index, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from kontext_tools.stores import sql_claims, sql_finds, sql_reads
from kontext_tools.stores.base import Claim
from kontext_tools.stores.database import Rows
from kontext_tools.stores.finds import Wanted
from kontext_tools.stores.postgres_connection import connected, migrated
from kontext_tools.stores.postgres_database import PostgresDatabase
from support.fake_clock import START
from support.places import PostgresPlace
from support.postgres import Server
from support.rows import a_send

CLAIM = Claim(job_id="red-car-4k7q", n=1, fence=1)
TEN_MINUTES = timedelta(minutes=10)
QUESTIONS: dict[str, Callable[[PostgresDatabase], object]] = {
    "claim": lambda db: sql_claims.claim(db, "one", now=START, lease_until=START, limit=9, slots={"fal": 4}),
    "held_of": lambda db: sql_claims.held_of(db, "one", [CLAIM]),
    "next_due": lambda db: sql_claims.next_due(db, ["fal"]),
    "renew": lambda db: sql_claims.renew(db, "one", until=START),
    "release": lambda db: sql_claims.release(db, "one"),
    "set_right": lambda db: sql_claims.set_right(db, now=START, lease_until=START),
    "give_back": lambda db: sql_claims.give_back(db, CLAIM, due_at=START, aside=False),
    "held": lambda db: sql_reads.held(db, "fal", ["r1", "r2"]),
    "has_rival": lambda db: sql_reads.has_rival(db, a_send("red-car-4k7q", sent_at=START), within=TEN_MINUTES),
    "job": lambda db: sql_reads.job(db, "red-car-4k7q", owner="ann"),
    "jobs": lambda db: sql_reads.jobs(db, "ann", limit=9, before="red-car-4k7q"),
    "newest_twin": lambda db: sql_reads.newest_twin(db, "ann", "f"),
    "images": lambda db: sql_finds.images(db, "ann", Wanted(), limit=9, before=5),
    "words": lambda db: sql_finds.images(db, "ann", Wanted(words=("car",), since=START), limit=9, before=5),
}


class Explaining(PostgresDatabase):
    """Tells how each statement is carried out."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.plans: list[str] = []

    def execute(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = (), /) -> Rows:
        """Note the plan, then do it."""
        self.plans += [row for (row,) in super().execute(f"EXPLAIN {sql}", values)]
        return super().execute(sql, values)


@pytest.fixture
def place(postgres: Server) -> PostgresPlace:
    return PostgresPlace(postgres, postgres.new_schema())


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_question_needs_to_read_all_the_sends_jobs_or_images(place: PostgresPlace, question: str) -> None:
    with closing(connected(place.url, busy_s=5)) as connection:
        migrated(connection)
        # Where tables are empty a walk is cheapest: forbidden, it is left only to what has no index.
        connection.execute(b"SET enable_seqscan = off")
        with connection.transaction():
            db = Explaining(connection, place.schema)
            QUESTIONS[question](db)
    # Providers and plans that run are few.
    walks = [plan for plan in db.plans for many in ("sends", "jobs", "outputs") if f"Seq Scan on {many}" in plan]
    assert (walks, bool(db.plans)) == ([], True)
