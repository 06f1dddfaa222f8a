"""What one process writes is heard in another at once, though nobody relies on it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta

import anyio
import anyio.to_thread
import pytest

from kontext_tools.clocks import SystemClock
from kontext_tools.hearing import Hearing
from kontext_tools.stores import postgres_ear
from kontext_tools.stores.postgres import PostgresStore
from support.fake_clock import START
from support.places import PostgresPlace
from support.postgres import Server
from support.rows import a_job, admit, claim_all

pytestmark = pytest.mark.anyio


@pytest.fixture
def place(postgres: Server) -> PostgresPlace:
    return PostgresPlace(postgres, postgres.new_schema())


@pytest.fixture
async def other(place: PostgresPlace, store: PostgresStore, anyio_backend: str) -> AsyncGenerator[PostgresStore]:
    made = place.store()
    yield made
    await made.close()


async def test_what_another_process_recorded_stirs_and_ones_own_writes_and_leases_do_not(
    store: PostgresStore, other: PostgresStore
) -> None:
    with anyio.fail_after(30):
        await store.stirred()  # it begins to listen
        await admit(other, a_job())
        await store.stirred()
    await admit(store, a_job("own-car-0000"))
    await claim_all(other, lease_until=START + timedelta(seconds=60))
    await other.renew("one", until=START + timedelta(seconds=90))
    with anyio.move_on_after(0.05) as silent:
        await store.stirred()
    assert silent.cancelled_caught
    with anyio.fail_after(30):
        await other.request_cancel("ann", "red-car-4k7q", now=START)
        await store.stirred()


async def test_who_waits_hears_of_the_jobs_that_changed_elsewhere(store: PostgresStore, other: PostgresStore) -> None:
    told, heard = list[str](), anyio.Event()
    await admit(store, a_job())

    def tell(job_id: str) -> None:
        told.append(job_id)
        heard.set()

    hearing = Hearing(store, tell, SystemClock())
    listens = anyio.Event()
    hearing.calls(listens.set)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hearing.run)
            await listens.wait()
            assert told == []
            await other.request_cancel("ann", "red-car-4k7q", now=START)
            await heard.wait()
            tasks.cancel_scope.cancel()
    assert told == ["red-car-4k7q"]


async def test_an_ear_hears_again_after_its_server_was_started_again(
    place: PostgresPlace, store: PostgresStore, other: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_ear, "LISTEN_AGAIN_S", 0.01)
    with anyio.fail_after(60):
        await store.stirred()
        await anyio.to_thread.run_sync(place.server.restart)
        await store.stirred()  # anything may have happened meanwhile
        await admit(other, a_job())
        await store.stirred()


async def test_who_stops_listening_keeps_no_connection(place: PostgresPlace, store: PostgresStore) -> None:
    def listening() -> int:
        ((count,),) = place.rows(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' || CURRENT_SCHEMA() || '%'"
        )
        return int(count)

    await store.stirred()
    assert listening() == 1
    await store.close()
    with anyio.fail_after(30):
        while listening():
            await anyio.lowlevel.checkpoint()
