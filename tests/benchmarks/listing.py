"""Lists among very many images: a search, and the list of resources, each beside the plain query it stands on.

Above: run. Below: rows. The store is filled as a server would: every word of every prompt is indexed. `make`, `the` and
`car` stand in each prompt, `left` in every other and `right` in the rest: a search for both reads all of both.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import anyio
import anyio.to_thread
import mcp_types as types
from rows import Row

sys.path.insert(0, str(Path(__file__).parents[1]))

from kontext_server.app import LOCAL_OWNER, build
from kontext_server.settings import load
from kontext_server.surface.listings import finds_fields, finds_text
from kontext_server.surface.looking import FIND_IMAGES, search_of
from kontext_server.surface.reading import read
from kontext_server.surface.resources import Resources
from kontext_tools.stores import records, schema
from kontext_tools.stores.finds import Wanted
from kontext_tools.stores.sqlite import SqliteStore
from support.rows import a_job

IMAGES, ROUNDS = 100_000, 50
WORDS = ("red", "blue", "green", "house", "tree", "sky", "face", "pose", "street", "night", "rain", "snow", "logo")
RARE = [f"thing{n}" for n in range(800)]
STEP_US = 60_000_000

WANTED = ("blue", "tree", "sk")
SEARCHES = {
    "find_images, words of some": " ".join(WANTED),
    "the same, words that every image has": "make the car",
    "the same, one letter that every image has": "c",
    "the same, no image has them all": "car zebra quux",
    "the same, each word in half of the images, never together": "left right",
    "the same, a rare word": "thing77",
}


def lists(*, images: int = IMAGES, rounds: int = ROUNDS) -> list[Row]:
    """Measure searches through the verb and its answer, and pages of resources, at so many images."""
    with tempfile.TemporaryDirectory() as folder:
        _fill(Path(folder) / "kontext.db", images)
        return anyio.run(_measured, Path(folder), images, rounds)


async def _measured(folder: Path, images: int, rounds: int) -> list[Row]:
    app = build(load(kontext_data_dir=folder))
    resources, store = Resources(app), SqliteStore(folder / "kontext.db")
    measured: list[Row] = []
    async with app.running():

        async def found(query: str) -> None:
            search = search_of(read(FIND_IMAGES, {"query": query}))
            finds = await app.studio.find_images(LOCAL_OWNER, search, limit=10)
            assert finds.rows
            finds_text(search, finds)
            finds_fields(search, finds)

        with closing(sqlite3.connect(folder / "kontext.db", check_same_thread=False)) as db:
            for name, query in SEARCHES.items():
                ours, floor = await _timed(
                    rounds, lambda query=query: found(query), lambda query=query: _plain(db, query)
                )
                measured.append(_row(f"{name}, {images:,} images, p50", ours, floor, "under 50 ms"))
            ours, floor = await _timed(4 * rounds, lambda: _stored(store), lambda: _in_a_thread(db))
            told = f"store, words of some, beside the index's rows in a worker thread, {images:,} images, p50"
            measured.append(_row(told, ours, floor, "at most 1.5 x"))
            for name, cursor in (("first page", None), ("a later page", await _later(resources, images))):
                ours, floor = await _timed(rounds, lambda cursor=cursor: resources.page(cursor), lambda: _newest(db))
                measured.append(_row(f"resources/list, {name}, {images:,} images, p50", ours, floor, "under 5 ms"))
    await store.close()
    return measured


async def _later(resources: Resources, images: int) -> str:
    """Give the cursor that a client has after forty pages."""
    cursor: str | None = None
    for _ in range(min(40, images // 100)):
        page: types.ListResourcesResult = await resources.page(cursor)
        cursor = page.next_cursor
    assert cursor is not None
    return cursor


async def _timed(
    rounds: int, work: Callable[[], Awaitable[Any]], plain: Callable[[], Awaitable[Any]]
) -> tuple[list[float], list[float]]:
    ours, floor = list[float](), list[float]()
    await work()
    await plain()
    for _ in range(rounds):
        began = time.perf_counter()
        await work()
        between = time.perf_counter()
        await plain()
        ours.append((between - began) * 1000)
        floor.append((time.perf_counter() - between) * 1000)
    return ours, floor


def _row(name: str, ours: list[float], floor: list[float], target: str) -> Row:
    return Row(name=name, unit="ms", ours=ours, floor=floor, target=target)


async def _plain(db: sqlite3.Connection, query: str) -> None:
    """Ask the full-text index alone, in its own order, as anyone would who has but the words."""
    for between in (" ", " OR "):
        match = between.join(query.split()) + "*"
        asked = "SELECT rowid FROM image_words WHERE image_words MATCH ? ORDER BY rowid DESC LIMIT 11"
        if db.execute(asked, (match,)).fetchall():
            return


async def _stored(store: SqliteStore) -> None:
    page = await store.images(LOCAL_OWNER, Wanted(words=WANTED), limit=10)
    assert len(page.rows) == 10


async def _in_a_thread(db: sqlite3.Connection) -> None:
    """Ask the index for the same words, and for the rows that they stand in, off the loop; throw them away."""
    asked = """SELECT outputs.*, jobs.label, jobs.prompt, jobs.parent
        FROM image_words CROSS JOIN outputs ON outputs.place = image_words.rowid
            CROSS JOIN jobs ON jobs.id = outputs.job_id
        WHERE image_words MATCH ? ORDER BY image_words.rowid DESC LIMIT 11"""
    words = f"{' '.join(WANTED)} *"
    rows = await anyio.to_thread.run_sync(lambda: db.execute(asked, (words,)).fetchall())
    assert len(rows) == 11


async def _newest(db: sqlite3.Connection) -> None:
    db.execute("SELECT * FROM outputs WHERE owner = ? ORDER BY place DESC LIMIT 51", (LOCAL_OWNER,)).fetchall()


def _fill(path: Path, images: int) -> None:
    random, start = Random(7), records.to_us(a_job().created_at)
    doc = records.job_doc(a_job())

    def prompts() -> Iterator[str]:
        for n in range(images):
            words = [("left", "right")[n % 2], *random.choices(WORDS, k=6), *random.choices(RARE, k=3)]
            yield f"Make the car {' '.join(words)}"

    with closing(sqlite3.connect(path)) as db:
        db.isolation_level = None
        db.execute("PRAGMA journal_mode = WAL")
        schema.migrate(db)
        db.execute("BEGIN")
        db.executemany(
            """INSERT INTO jobs (id, owner, tool, status, label, prompt, provider, created_us, fingerprint, key_digest,
                doc) VALUES (?, ?, 'generate_image', 'completed', '', ?, 'fal', ?, ?, '', ?)""",
            (
                (f"car-{n:06}", LOCAL_OWNER, prompt, start + n * STEP_US, f"f{n}", doc)
                for n, prompt in enumerate(prompts())
            ),
        )
        db.executemany(
            """INSERT INTO outputs (job_id, n, owner, created_us, blob, media_type, width, height, size_bytes, sha256)
                VALUES (?, 1, ?, ?, '', 'image/png', 1248, 832, 1000000, '')""",
            ((f"car-{n:06}", LOCAL_OWNER, start + n * STEP_US) for n in range(images)),
        )
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
