"""A data folder with very many past images, as a server would have left them: rows, words and real files.

The newest of them have pictures of their own; older ones share the last of those, for a disk's sake.
"""

from __future__ import annotations

import hashlib
import io
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image

from kontext_server.app import LOCAL_OWNER
from kontext_tools.stores import records, schema
from support.rows import a_job

PROVIDERS = ("replicate", "bfl", "fal")
STEP_US = 60_000_000


def fill(
    folder: Path,
    images: int,
    *,
    pictures: int,
    size: tuple[int, int] = (320, 200),
    owners: Sequence[str] = (LOCAL_OWNER,),
) -> None:
    """Fill a data folder.

    Args:
        folder: the data folder.
        images: rows, the oldest first, a minute apart up to now.
        pictures: files of their own, for the newest.
        size: of each, px.
        owners: whose they are, in turn.
    """
    (folder / "images").mkdir(parents=True)
    files = [_picture(folder, n, size) for n in range(min(images, pictures))]
    start = records.to_us(datetime.now(UTC)) - images * STEP_US
    doc = records.job_doc(a_job())

    def rows() -> Iterator[tuple[str, str, int, tuple[str, int, str], str, str]]:
        for n in range(images):
            file = files[min(images - 1 - n, len(files) - 1)]
            yield (
                f"car-{n:06}",
                owners[n % len(owners)],
                start + n * STEP_US,
                file,
                PROVIDERS[n % 3],
                f"Make the car number {n}",
            )

    with closing(sqlite3.connect(folder / "kontext.db")) as db:
        db.isolation_level = None
        db.execute("PRAGMA journal_mode = WAL")
        schema.migrate(db)
        db.execute("BEGIN")
        db.executemany(
            """INSERT INTO jobs (id, owner, tool, status, label, prompt, provider, created_us, ended_us, fingerprint,
                key_digest, doc) VALUES (?, ?, 'generate_image', 'completed', '', ?, ?, ?, ?, ?, '', ?)""",
            ((job, owner, prompt, by, at, at, job, doc) for job, owner, at, _, by, prompt in rows()),
        )
        db.executemany(
            """INSERT INTO outputs (job_id, n, owner, created_us, blob, media_type, width, height, size_bytes, sha256)
                VALUES (?, 1, ?, ?, ?, 'image/jpeg', ?, ?, ?, ?)""",
            ((job, owner, at, key, *size, length, sha256) for job, owner, at, (key, length, sha256), _, _ in rows()),
        )
        db.execute("COMMIT")


def add_siblings(folder: Path, job: str, count: int) -> None:
    """Add jobs of one picture that were made as this one was, of the same source, each a second older than the next."""
    with closing(sqlite3.connect(folder / "kontext.db")) as db, db:
        names = {table: _columns(db, table) for table in ("jobs", "outputs")}
        for n in range(1, count + 1):
            for table, key in (("jobs", "id"), ("outputs", "job_id")):
                given = {key: "?", "created_us": "created_us - ?", "place": "NULL", "request_key": "NULL"}
                values = ", ".join(given.get(name, name) for name in names[table])
                row = f"INSERT INTO {table} SELECT {values} FROM {table} WHERE {key} = ?"
                told = {key: f"sibling-{n:04}", "created_us": n * 1_000_000}
                db.execute(row, (*(told[name] for name in names[table] if name in told), job))


def _columns(db: sqlite3.Connection, table: str) -> list[str]:
    return [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")]


def _picture(folder: Path, n: int, size: tuple[int, int]) -> tuple[str, int, str]:
    """Write one picture, unlike all others; give its key, bytes and sha-256."""
    noise = Image.effect_noise((size[0] // 8, size[1] // 8), 40)
    tile = noise.resize(size, Image.Resampling.BICUBIC)  # pyright: ignore[reportUnknownMemberType]  # as it is typed
    hue = (n * 47) % 256
    picture = Image.merge("HSV", (Image.new("L", size, hue), Image.new("L", size, 120), tile)).convert("RGB")
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    data = buffer.getvalue()
    key = f"images/shared-{n:05}.jpg"
    (folder / key).write_bytes(data)
    return key, len(data), hashlib.sha256(data).hexdigest()
