"""What happened to whose jobs, in order, from whatever process, for whoever looks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from inline_snapshot import snapshot

from kontext_tools.jobs import SendState
from kontext_tools.stores.journal import Happening, Tidings, What
from support.fake_clock import START
from support.places import AnyStore, Place
from support.rows import a_job, admit, an_output, claim_all

pytestmark = pytest.mark.anyio


async def _complete(store: AnyStore) -> None:
    """Bring the one due send through all its states."""
    (taken,) = await claim_all(store, lease_until=START + timedelta(seconds=10))
    for state in (SendState.INTENT, SendState.SUBMITTED, SendState.READY):
        await store.save(replace(taken.send, state=state, remote_id="r1"), now=START, release=False)
    done = replace(taken.send, state=SendState.COMPLETED, ended_at=START)
    await store.save(done, now=START, release=True, outputs=[an_output()])


def _told(tidings: Tidings) -> list[tuple[str, str, int]]:
    assert {(happening.owner, happening.job_id) for happening in tidings.happenings} <= {("ann", "red-car-4k7q")}
    return [(happening.what.name, happening.job_id, happening.n) for happening in tidings.happenings]


async def test_a_jobs_life_is_told_in_its_order(store: AnyStore) -> None:
    mark = (await store.tidings(None)).mark
    await admit(store, a_job())
    admitted = await store.tidings(mark)
    await _complete(store)
    rest = await store.tidings(admitted.mark)
    assert _told(admitted) == snapshot([("JOB", "red-car-4k7q", 0), ("MONEY", "red-car-4k7q", 0)])
    assert _told(rest) == snapshot(
        [
            ("JOB", "red-car-4k7q", 0),
            ("IMAGE", "red-car-4k7q", 1),
            ("MONEY", "red-car-4k7q", 0),
            ("JOB", "red-car-4k7q", 0),
        ]
    )
    assert not admitted.missed and not rest.missed


async def test_what_was_told_is_not_told_again_and_what_was_before_the_mark_never(store: AnyStore) -> None:
    await admit(store, a_job())
    first = await store.tidings(None)
    assert first.happenings == ()
    assert await store.tidings(first.mark) == first
    await _complete(store)
    second = await store.tidings(first.mark)
    assert second.happenings
    assert await store.tidings(second.mark) == Tidings(mark=second.mark)


async def test_leases_and_looks_are_no_news(store: AnyStore) -> None:
    await admit(store, a_job())
    before = await store.tidings(None)
    await claim_all(store, lease_until=START + timedelta(seconds=10))
    await store.poke("red-car-4k7q", now=START)
    await store.renew("one", until=START + timedelta(seconds=20))
    await store.mark_delivered("red-car-4k7q")
    assert await store.tidings(before.mark) == before


async def test_what_another_process_did_is_told(store: AnyStore, place: Place) -> None:
    mark = (await store.tidings(None)).mark
    other = place.store()
    await admit(other, a_job(owner="bob"))
    await other.close()
    assert Happening(owner="bob", job_id="red-car-4k7q", what=What.JOB) in (await store.tidings(mark)).happenings


async def test_what_is_removed_is_told(store: AnyStore, place: Place) -> None:
    await admit(store, a_job())
    await _complete(store)
    mark = (await store.tidings(None)).mark
    for table, column in (("outputs", "job_id"), ("sends", "job_id"), ("jobs", "id")):
        place.rows(f"DELETE FROM {table} WHERE {column} = 'red-car-4k7q'")
    assert _told(await store.tidings(mark)) == snapshot([("IMAGE", "red-car-4k7q", 1), ("JOB", "red-car-4k7q", 0)])
