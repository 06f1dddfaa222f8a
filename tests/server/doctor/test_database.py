"""The database's lines: real files, each in a state that a person meets."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from kontext_server.doctor import database
from kontext_tools.stores.postgres import PostgresStore
from kontext_tools.stores.schema import MIGRATIONS
from kontext_tools.stores.sqlite import SqliteStore
from server.doctor.conftest import MakeCase
from support.bucket import KEY_ID, SECRET, Held
from support.fake_clock import START, FakeClock
from support.postgres import Server
from support.rows import a_job, admit, keep

pytestmark = pytest.mark.anyio


async def told(case: MakeCase) -> list[tuple[str, ...]]:
    made = case(locked_s=0.0, clock=FakeClock(START + timedelta(hours=1)))
    lines = await database.look(made)
    return [(line.name, line.status.value, line.cause, *([line.fix] if line.fix else [])) for line in lines]


async def filled(home: Path, *, images: int = 0) -> Path:
    """Lay a database with so many pictures, their files beside it."""
    path = home / "data" / "kontext.db"
    store = SqliteStore(path)
    await store.open()
    for n in range(images):
        await keep(store, f"red-car-{n:04}", second=n)
        image = home / "data" / "images" / f"red-car-{n:04}-1.png"
        image.parent.mkdir(exist_ok=True)
        image.write_bytes(b"")
    await store.close()
    return path


def changed(path: Path, *statements: str) -> None:
    with sqlite3.connect(path, isolation_level=None) as db:
        for statement in statements:
            db.execute(statement)
    db.close()


async def test_none_yet_is_well_and_none_is_made(case: MakeCase, home: Path) -> None:
    assert await told(case) == [("database", "ok", "none yet: it is made at the first start")]
    assert not (home / "data").exists()


async def test_a_new_one_is_sound_and_empty(case: MakeCase, home: Path) -> None:
    await filled(home)
    assert await told(case) == [
        ("database", "ok", f"sound, schema {len(MIGRATIONS)}"),
        ("pictures", "ok", "none yet"),
        ("jobs", "ok", "none is under way"),
    ]


async def test_an_older_one_is_migrated_at_the_next_start_and_not_here(case: MakeCase, home: Path) -> None:
    (home / "data").mkdir()
    path = home / "data" / "kontext.db"
    path.touch()
    assert (await told(case))[0] == (
        "database",
        "ok",
        f"sound, schema 0; the next start brings it to {len(MIGRATIONS)}",
    )
    assert path.stat().st_size == 0


async def test_a_newer_one_is_a_failure(case: MakeCase, home: Path) -> None:
    changed(await filled(home), "PRAGMA user_version = 4711")
    known = f"its schema is 4711, this program knows {len(MIGRATIONS)}"
    assert await told(case) == [
        (
            "database",
            "fail",
            f"The database was made by a newer version of kontext ({known}); nothing was changed and nothing sent",
            "A person must update kontext-tool-server, or set KONTEXT_DATA_DIR to another folder.",
        )
    ]


async def test_a_damaged_one_is_a_failure_with_the_stores_own_words(case: MakeCase, home: Path) -> None:
    (await filled(home)).write_bytes(b"no database")
    assert await told(case) == snapshot(
        [
            (
                "database",
                "fail",
                "The database is not sound; nothing was overwritten and nothing sent",
                (
                    "A person must move kontext.db aside (a copy is worth keeping) or set KONTEXT_DATA_DIR to another "
                    "folder."
                ),
            )
        ]
    )


async def test_one_that_another_program_holds_is_a_failure(case: MakeCase, home: Path) -> None:
    holder = sqlite3.connect(await filled(home), isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    lines = await told(case)
    holder.close()
    assert lines == snapshot(
        [
            (
                "database",
                "fail",
                "The database is held by another process; nothing was sent",
                "Call again in a few seconds; if it stays so, a person must end the program that holds kontext.db.",
            )
        ]
    )


async def test_pictures_that_were_moved_away_are_counted_and_three_named(case: MakeCase, home: Path) -> None:
    await filled(home, images=6)
    assert (await told(case))[1] == snapshot(("pictures", "ok", "the newest 6 are all here"))
    for n in range(1, 6):
        (home / "data" / "images" / f"red-car-{n:04}-1.png").unlink()
    assert (await told(case))[1] == snapshot(
        (
            "pictures",
            "warn",
            (
                "5 of the newest 6 are not in the data folder: images/red-car-0005-1.png, "
                "images/red-car-0004-1.png, images/red-car-0003-1.png and 2 more"
            ),
            "Put them back under their names, from a backup; they are never served otherwise.",
        )
    )


async def test_jobs_that_run_are_well_and_those_in_doubt_are_named(case: MakeCase, home: Path) -> None:
    path = await filled(home)
    store = SqliteStore(path)
    await store.open()
    for n in range(6):
        await admit(store, a_job(f"blue-car-{n:04}", created_at=START + timedelta(seconds=n)))
    await store.close()
    running = await told(case)
    changed(
        path,
        "UPDATE jobs SET status = 'unknown' WHERE id > 'blue-car-0001'",
        "UPDATE sends SET state = 'intent', lease_us = 1 WHERE job_id = 'blue-car-0000'",
    )
    assert [running[2:], (await told(case))[2:]] == snapshot(
        [
            [("jobs", "ok", "6 pending: a running server brings them to their end")],
            [
                ("jobs", "ok", "2 pending: a running server brings them to their end"),
                (
                    "stale sends",
                    "warn",
                    "1 about to go out when their program ended: whether they did is not known",
                    "Start a server: it tells them as unknown, and sends nothing again.",
                ),
                (
                    "unknown jobs",
                    "warn",
                    "4 may have been charged: blue-car-0005, blue-car-0004, blue-car-0003 and 1 more",
                    "Look at the provider's list, then: kontext jobs --resolve JOB charged|not-charged",
                ),
            ],
        ]
    )


WHOLE = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}


async def storage(case: MakeCase, held: Held, environment: dict[str, str], *, online: bool) -> tuple[str, ...]:
    made = case({"KONTEXT_BLOB_URL": f"s3://{held.name}"}, environment=environment, online=online)
    line = (await database.look(made))[-1]
    assert line.name == "storage"
    return (line.status.value, line.cause.replace(held.name, "…"), line.fix)


async def test_where_pictures_lie_is_told_and_online_the_bucket_is_asked(case: MakeCase, held: Held) -> None:
    there = {**WHOLE, "AWS_ENDPOINT_URL": held.base_url}
    assert await storage(case, held, there, online=False) == snapshot(
        ("ok", "pictures are kept at s3://…; with --online it is asked", "")
    )
    assert await storage(case, held, there, online=True) == snapshot(
        ("ok", "pictures are kept at s3://…, which answers", "")
    )


async def test_a_bucket_that_is_not_there_or_lacks_its_key_is_a_failure(case: MakeCase, held: Held) -> None:
    assert await storage(case, held, {}, online=False) == snapshot(
        (
            "fail",
            "KONTEXT_BLOB_URL needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY and AWS_REGION in the environment",
            "Set it, or unset KONTEXT_BLOB_URL.",
        )
    )
    gone = replace(held, name="nobody-made-this")
    assert await storage(case, gone, {**WHOLE, "AWS_ENDPOINT_URL": held.base_url}, online=True) == snapshot(
        (
            "fail",
            "s3://…: The picture storage refuses us",
            "A person must mend KONTEXT_BLOB_URL, or AWS_ACCESS_KEY_ID and its rights there; then call again.",
        )
    )


async def test_a_database_of_postgresql_is_reached_and_tells_what_a_file_does(
    case: MakeCase, postgres: Server, home: Path
) -> None:
    url = postgres.url(postgres.new_schema())
    assert await told_of(case, url) == [
        ("database", "ok", "PostgreSQL answers, schema 0; the next start brings it to 2"),
        ("pictures", "ok", "none yet"),
        ("jobs", "ok", "none is under way"),
    ]
    store = PostgresStore(url)
    await keep(store, "red-car-0000")
    await admit(store, a_job("new-car-0000"))
    await store.close()
    assert await told_of(case, url) == snapshot(
        [
            ("database", "ok", "PostgreSQL answers, schema 2"),
            (
                "pictures",
                "warn",
                "1 of the newest 1 are not in the data folder: images/red-car-0000-1.png",
                "Put them back under their names, from a backup; they are never served otherwise.",
            ),
            ("jobs", "ok", "1 pending: a running server brings them to their end"),
        ]
    )
    assert not (home / "data").exists()


async def test_a_database_that_does_not_answer_is_a_failure_of_the_settings_and_no_password_is_told(
    case: MakeCase,
) -> None:
    (line,) = await told_of(case, "postgresql://kontext:planted-4711@127.0.0.1:1/jobs")
    assert line == snapshot(
        (
            "database",
            "fail",
            "The database cannot be reached; nothing was sent",
            "Call again in a few seconds; if it stays so, a person must look at KONTEXT_DATABASE_URL and its server.",
        )
    )


async def told_of(case: MakeCase, url: str) -> list[tuple[str, ...]]:
    made = case({"KONTEXT_DATABASE_URL": url}, clock=FakeClock(START + timedelta(hours=1)))
    lines = await database.look(made)
    return [(line.name, line.status.value, line.cause, *([line.fix] if line.fix else [])) for line in lines]
