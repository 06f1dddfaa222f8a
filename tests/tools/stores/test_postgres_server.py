"""A PostgreSQL server as it fails: not there, started again, gone at a commit, held by another, of another age."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import psycopg
import pytest
from inline_snapshot import snapshot
from psycopg import errors

from kontext_tools.errors import KontextError, StorageBusy, StorageDamaged, StorageFull
from kontext_tools.jobs import SendState
from kontext_tools.stores import postgres_connection, postgres_schema
from kontext_tools.stores.base import Claim
from kontext_tools.stores.database import Database
from kontext_tools.stores.postgres import PostgresStore
from kontext_tools.stores.postgres_connection import Connection, connected
from kontext_tools.stores.postgres_database import translated as marked
from kontext_tools.stores.postgres_errors import translated
from support.fake_clock import START
from support.places import PostgresPlace
from support.postgres import PASSWORD, Server
from support.rows import a_job, admit

pytestmark = pytest.mark.anyio


@pytest.fixture
def place(postgres: Server) -> PostgresPlace:
    return PostgresPlace(postgres, postgres.new_schema())


async def failure_of(store: PostgresStore) -> KontextError:
    with pytest.raises(KontextError) as caught:
        await admit(store, a_job())
    await store.close()
    return caught.value


async def test_a_server_that_is_not_there_is_told_at_the_verbs_without_its_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    store = PostgresStore(f"postgresql://kontext:{PASSWORD}@127.0.0.1:1/kontext", busy_s=0.05)
    await store.open()
    error = await failure_of(store)
    assert isinstance(error, StorageBusy)
    assert (error.failure.message, error.failure.fix) == snapshot(
        (
            "The database cannot be reached; nothing was sent.",
            "Call again in a few seconds; if it stays so, a person must look at KONTEXT_DATABASE_URL and its server.",
        )
    )
    assert error.__cause__ is None and PASSWORD not in caplog.text


@pytest.mark.parametrize("odd", ["kontext", "nowhere"], ids=["user", "database"])
async def test_a_user_or_a_database_that_is_not_there_is_told_as_not_reached(place: PostgresPlace, odd: str) -> None:
    url = f"postgresql://{'nobody' if odd == 'kontext' else 'kontext'}@127.0.0.1:{place.server.port}/{odd}"
    assert isinstance(await failure_of(PostgresStore(url, busy_s=0.05)), StorageBusy)


async def test_a_schema_that_is_not_there_is_a_right_that_is_missing(place: PostgresPlace) -> None:
    assert isinstance(await failure_of(PostgresStore(place.server.url("not_there"))), StorageFull)


async def test_a_newer_schema_is_refused_and_left_as_it_is(place: PostgresPlace) -> None:
    store = place.store()
    await store.open()
    await store.close()
    place.rows("UPDATE kontext_schema SET version = version + 1")
    error = await failure_of(place.store())
    assert isinstance(error, StorageDamaged) and "newer version" in error.failure.message
    assert place.rows("SELECT version FROM kontext_schema") == [(len(postgres_schema.MIGRATIONS) + 1,)]


async def test_a_migration_that_breaks_leaves_nothing(place: PostgresPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(db: postgres_schema.Session) -> None:
        db.execute(b"CREATE TABLE half (n BIGINT)")
        db.execute(b"SELECT 1 / 0")

    with monkeypatch.context() as broken:
        broken.setattr(postgres_schema, "MIGRATIONS", (*postgres_schema.MIGRATIONS, breaks))
        assert isinstance(await failure_of(place.store()), StorageDamaged)
    assert place.rows("SELECT 1 FROM pg_tables WHERE schemaname = CURRENT_SCHEMA()") == []


async def test_processes_that_make_one_new_schema_at_once_all_serve(place: PostgresPlace) -> None:
    stores = [place.store() for _ in range(4)]
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for store in stores:
                tasks.start_soon(store.recent_ids, "ann")
    for store in stores:
        await store.close()
    assert place.rows("SELECT version FROM kontext_schema") == [(len(postgres_schema.MIGRATIONS),)]


async def test_a_server_that_was_started_again_serves_at_once_by_whatever_connection(place: PostgresPlace) -> None:
    store = place.store()
    await admit(store, a_job())
    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(store.recent_ids, "ann")
    await anyio.to_thread.run_sync(place.server.restart)
    assert await store.job("ann", "red-car-4k7q") == a_job()
    assert not (await admit(store, a_job("new-car-0000"))).joined
    await store.close()


async def test_a_server_that_stops_is_told_and_serves_again_once_it_is_back(place: PostgresPlace) -> None:
    store = place.store()
    await admit(store, a_job())
    await anyio.to_thread.run_sync(place.server.stop)
    with pytest.raises(StorageBusy):
        await store.recent_ids("ann")
    await anyio.to_thread.run_sync(place.server.start)
    assert await store.recent_ids("ann") == ["red-car-4k7q"]
    await store.close()


@contextmanager
def commits_cut(monkeypatch: pytest.MonkeyPatch, *, before: bool) -> Generator[list[str]]:
    """Cut the connection at the next commit: before the server hears of it, or after it did it."""
    cut: list[str] = []
    execute = psycopg.Connection[Any].execute

    def executed(connection: Connection, query: Any, *args: Any, **more: Any) -> Any:
        if query != b"COMMIT" or cut:
            return execute(connection, query, *args, **more)
        cut.append("cut")
        if not before:
            execute(connection, query, *args, **more)
        connection.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patched:
        patched.setattr(psycopg.Connection, "execute", executed)
        yield cut


@pytest.mark.parametrize("before", [True, False], ids=["undone", "done"])
async def test_a_commit_that_was_not_heard_is_not_done_again_by_itself_and_a_repeated_call_pays_once(
    place: PostgresPlace, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    store = place.store()
    await store.open()
    with commits_cut(monkeypatch, before=before) as cut:
        with pytest.raises(StorageBusy) as caught:
            await admit(store, a_job())
        assert cut == ["cut"]
    assert caught.value.failure.message == snapshot(
        "The database was lost at the end of a write: whether it was kept is not known; nothing was sent since."
    )
    assert place.rows("SELECT COUNT(*) FROM jobs") == [(0 if before else 1,)]
    again = await admit(store, a_job("new-car-0000", fingerprint="red-car-4k7q"))
    assert again.joined is not before
    assert place.rows("SELECT COUNT(*), SUM(delta_nano) FROM ledger") == [(1, 40_000_000)]
    await store.close()


async def test_an_intent_whose_commit_was_not_heard_is_told_as_a_failure(
    place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sends does so only after the write came back: it raises, so that nothing goes out."""
    store = place.store()
    job = (await admit(store, a_job())).job
    with commits_cut(monkeypatch, before=False), pytest.raises(StorageBusy):
        await store.save(replace(job.sends[0], state=SendState.INTENT), now=START, release=False)
    await store.close()


@pytest.mark.parametrize("before", [True, False], ids=["undone", "done"])
async def test_a_claim_whose_commit_was_not_heard_is_driven_once_and_by_this_process(
    place: PostgresPlace, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    """Else its lease would be renewed with the others, and nobody would drive it."""
    store, other = place.store(), place.store()
    await admit(store, a_job())
    until, slots = START + timedelta(seconds=60), {"fal": 9}
    with commits_cut(monkeypatch, before=before), pytest.raises(StorageBusy):
        await store.claim("one", now=START, lease_until=until, limit=9, slots=slots)
    if not before:
        assert await other.claim("two", now=START, lease_until=until, limit=9, slots=slots) == []
    assert await store.claim("one", now=START, lease_until=until, limit=9, slots=slots) == [
        Claim(job_id="red-car-4k7q", n=1, fence=1)
    ]
    assert await store.claim("one", now=START, lease_until=until, limit=9, slots=slots) == []
    await store.close()
    await other.close()


async def test_a_claim_that_was_undone_unheard_and_is_anothers_now_is_not_driven(
    place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both claims have the same fence: only the name tells them apart."""
    store, other = place.store(), place.store()
    await admit(store, a_job())
    until, slots = START + timedelta(seconds=60), {"fal": 9}
    with commits_cut(monkeypatch, before=True), pytest.raises(StorageBusy):
        await store.claim("one", now=START, lease_until=until, limit=9, slots=slots)
    (taken,) = await other.claim("two", now=START, lease_until=until, limit=9, slots=slots)
    assert taken.fence == 1
    assert await store.claim("one", now=START, lease_until=until, limit=9, slots=slots) == []
    await store.close()
    await other.close()


async def test_a_read_whose_end_was_not_heard_is_done_again(
    place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = place.store()
    await admit(store, a_job())
    with commits_cut(monkeypatch, before=True) as cut:
        assert await store.recent_ids("ann") == ["red-car-4k7q"]
    assert cut == ["cut"]
    await store.close()


async def test_a_transaction_whose_failure_was_swallowed_is_not_told_as_committed(place: PostgresPlace) -> None:
    store = place.store()
    await store.open()

    def work(db: Database) -> None:
        with suppress(psycopg.Error):
            db.execute("SELECT 1 / 0")

    with pytest.raises(StorageDamaged):
        await store._write(work)  # pyright: ignore[reportPrivateUsage]  # no verb does
    await store.close()


async def test_work_whose_connection_was_lost_before_its_commit_is_done_again(place: PostgresPlace) -> None:
    store = place.store()
    await store.open()
    seen: list[int] = []

    def work(db: Database) -> int:
        (pid,) = db.execute("SELECT PG_BACKEND_PID()").fetchone()
        seen.append(pid)
        db.execute("INSERT INTO forgotten VALUES (?)", (f"gone-{len(seen)}",))
        if len(seen) == 1:
            place.rows("SELECT PG_TERMINATE_BACKEND(CAST(? AS INTEGER))", pid)
        return len(db.execute("SELECT job_id FROM forgotten").fetchall())

    assert await store._write(work) == 1  # pyright: ignore[reportPrivateUsage]  # the moment is a test's alone
    assert len(seen) == 2 and place.rows("SELECT job_id FROM forgotten") == [("gone-2",)]
    await store.close()


async def test_transactions_that_wait_for_each_other_are_both_done(place: PostgresPlace) -> None:
    store = place.store()
    await store.open()
    place.rows("INSERT INTO gates (provider) VALUES ('fal'), ('bfl')")
    both = threading.Barrier(2)
    tried: list[str] = []

    def work(db: Database, first: str, second: str) -> None:
        tried.append(first)
        db.execute("UPDATE gates SET closed_us = closed_us + 1 WHERE provider = ?", (first,))
        if len(tried) <= 2:
            both.wait(30)
        db.execute("UPDATE gates SET closed_us = closed_us + 1 WHERE provider = ?", (second,))

    async with anyio.create_task_group() as tasks:
        for first, second in (("fal", "bfl"), ("bfl", "fal")):
            tasks.start_soon(store._write, lambda db, a=first, b=second: work(db, a, b))  # pyright: ignore[reportPrivateUsage, reportUnknownArgumentType, reportUnknownLambdaType]
    assert len(tried) == 3
    assert place.rows("SELECT closed_us FROM gates") == [(2,), (2,)]
    await store.close()


async def test_an_owner_that_another_process_holds_is_busy_and_others_are_served(place: PostgresPlace) -> None:
    store = place.store(busy_s=0.05)
    await store.open()
    with closing(connected(place.url, busy_s=5)) as holder, holder.transaction():
        holder.execute(b"SELECT PG_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED($1, 0))", [f"{place.schema}/owner/ann"])
        with pytest.raises(StorageBusy) as caught:
            await admit(store, a_job())
        assert caught.value.failure.retryable
        assert not (await admit(store, a_job("new-car-0000", owner="bob"))).joined
        assert await store.job("ann", "red-car-4k7q") is None
    assert not (await admit(store, a_job())).joined
    await store.close()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.LockNotAvailable, StorageBusy),
        (errors.QueryCanceled, StorageBusy),
        (errors.DeadlockDetected, StorageBusy),
        (errors.SerializationFailure, StorageBusy),
        (errors.TooManyConnections, StorageBusy),
        (errors.OutOfMemory, StorageBusy),
        (errors.AdminShutdown, StorageBusy),
        (errors.CannotConnectNow, StorageBusy),
        (errors.InvalidPassword, StorageBusy),
        (errors.InvalidCatalogName, StorageBusy),
        (errors.ConnectionFailure, StorageBusy),
        (psycopg.OperationalError, StorageBusy),
        (errors.DiskFull, StorageFull),
        (errors.ReadOnlySqlTransaction, StorageFull),
        (errors.InsufficientPrivilege, StorageFull),
        (errors.IoError, StorageFull),
        (errors.UniqueViolation, StorageDamaged),
        (errors.UndefinedTable, StorageDamaged),
        (errors.DataCorrupted, StorageDamaged),
        (psycopg.DataError, StorageDamaged),
    ],
)
def test_each_error_of_postgresql_stands_for_one_failure(error: type[psycopg.Error], kind: type[KontextError]) -> None:
    assert type(translated(error("red-car-4k7q"))) is kind


@pytest.mark.parametrize(
    ("sql", "marks"),
    [
        ("SELECT ?, ? FROM t WHERE a = '?:x'", ("SELECT $1, $2 FROM t WHERE a = '?:x'", ())),
        (
            "UPDATE t SET a = ?, b = ? WHERE c = ?4 AND d = ?1 LIMIT ?",
            ("UPDATE t SET a = $1, b = $2 WHERE c = $4 AND d = $1 LIMIT $5", ()),
        ),
        ("SELECT :b, :a, :b::text", ("SELECT $1, $2, $1::text", ("b", "a"))),
    ],
)
def test_marks_of_values_are_translated_as_sqlite_reads_them(sql: str, marks: tuple[str, tuple[str, ...]]) -> None:
    assert marked(sql) == marks


async def test_the_ledger_is_append_only_in_the_database_itself(place: PostgresPlace) -> None:
    store = place.store()
    await admit(store, a_job())
    await store.close()
    for statement in ("DELETE FROM ledger", "UPDATE ledger SET delta_nano = 0", "TRUNCATE ledger"):
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            place.rows(statement)


async def test_a_text_with_a_nul_comes_back_as_it_was(place: PostgresPlace) -> None:
    store = place.store()
    job = a_job(request_key="a\x00b", key_digest="d")
    await admit(store, job)
    found = await store.job_of_key("ann", "a\x00b")
    assert found is not None and found.id == job.id
    await store.close()


def test_what_must_outlive_a_power_cut_does_though_the_server_is_set_otherwise(place: PostgresPlace) -> None:
    place.server.run("ALTER ROLE kontext SET synchronous_commit = off")
    try:
        assert place.rows("SHOW synchronous_commit") == [("on",)]
    finally:
        place.server.run("ALTER ROLE kontext RESET synchronous_commit")
    assert postgres_connection.LIGHTLY.endswith(b"off")
