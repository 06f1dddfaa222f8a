"""The journal where writers commit in another order than they began, and where a server is not what it was."""

from __future__ import annotations

from contextlib import closing

import pytest

from kontext_tools.stores.journal import Happening, Mark, What
from kontext_tools.stores.postgres import PostgresStore
from kontext_tools.stores.postgres_connection import connected
from support.places import PostgresPlace
from support.postgres import Server
from support.rows import a_job, admit

pytestmark = pytest.mark.anyio

ROW = b"INSERT INTO journal (owner, job_id, what, n) VALUES ('ann', $1, 'job', 0)"


@pytest.fixture
def place(postgres: Server) -> PostgresPlace:
    return PostgresPlace(postgres, postgres.new_schema())


async def told(store: PostgresStore, mark: Mark) -> tuple[list[str], Mark]:
    tidings = await store.tidings(mark)
    assert not tidings.missed
    assert {happening.what for happening in tidings.happenings} <= {What.JOB}
    return [happening.job_id for happening in tidings.happenings], tidings.mark


async def test_what_began_first_and_is_committed_last_is_told_once_and_holds_nothing_up(place: PostgresPlace) -> None:
    store = place.store()
    await store.open()
    mark = (await store.tidings(None)).mark
    with closing(connected(place.url, busy_s=5)) as early, closing(connected(place.url, busy_s=5)) as late:
        early.execute(b"BEGIN")
        early.execute(ROW, ["early"])
        late.execute(ROW, ["late"])
        job_ids, mark = await told(store, mark)
        assert job_ids == ["late"]
        late.execute(ROW, ["latest"])
        early.execute(b"COMMIT")
        job_ids, mark = await told(store, mark)
        assert job_ids == ["early", "latest"]
        # A mark taken while one is under way hears of it, too.
        early.execute(b"BEGIN")
        early.execute(ROW, ["under way"])
        begun = (await store.tidings(None)).mark
        early.execute(b"COMMIT")
        assert (await told(store, begun))[0] == (await told(store, mark))[0] == ["under way"]
        early.execute(b"BEGIN")
        early.execute(ROW, ["undone"])
        early.execute(b"ROLLBACK")
        assert (await told(store, (await told(store, mark))[1]))[0] == []
    await store.close()


async def test_the_journal_stays_short_and_says_when_a_look_came_too_late(place: PostgresPlace) -> None:
    store = place.store()
    await admit(store, a_job())
    mark = (await store.tidings(None)).mark
    with closing(connected(place.url, busy_s=5)) as db:
        recent: Mark = ""
        for block in range(3):
            db.execute(
                b"""INSERT INTO journal (owner, job_id, what, n)
                    SELECT 'ann', 'j', 'job', 0 FROM GENERATE_SERIES(1, 1000)"""
            )
            if block == 1:
                recent = (await store.tidings(None)).mark
    ((kept,),) = place.rows("SELECT COUNT(*) FROM journal")
    late = await store.tidings(mark)
    assert (late.missed, len(late.happenings)) == (True, kept)
    assert 1024 <= kept < 1024 + 256
    assert (await store.tidings(late.mark)).happenings == ()
    assert not (await store.tidings(late.mark)).missed
    assert len((await store.tidings(recent)).happenings) == 1000
    await store.close()


async def test_a_mark_of_a_server_that_was_put_back_from_a_copy_has_missed_something(place: PostgresPlace) -> None:
    store = place.store()
    await store.open()
    ahead = "900000000:900000000:"
    tidings = await store.tidings(ahead)
    assert tidings.missed and tidings.mark != ahead
    # Rows that came with a copy from a server whose count was further are not told over and over.
    place.rows("INSERT INTO journal (xact, owner, job_id, what, n) VALUES ('900000000', 'ann', 'old', 'job', 0)")
    assert (await store.tidings(tidings.mark)).happenings == ()
    await store.close()


async def test_what_another_process_committed_is_told(place: PostgresPlace) -> None:
    one, other = place.store(), place.store()
    mark = (await one.tidings(None)).mark
    await admit(other, a_job(owner="bob"))
    assert Happening(owner="bob", job_id="red-car-4k7q", what=What.JOB) in (await one.tidings(mark)).happenings
    await one.close()
    await other.close()
