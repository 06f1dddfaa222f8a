"""Rows written as any program may, past the verbs: the index of words is the database's own affair."""

from __future__ import annotations

from collections.abc import Sequence

from kontext_tools.stores import sql_finds
from kontext_tools.stores.database import Database
from kontext_tools.stores.finds import ImageRow, Wanted


def insert(
    db: Database, job_id: str, us: int, *, prompt: str = "a car", provider: str = "fal", parent: str | None = None
) -> None:
    """Write a job of ann's with one image, without a send, at so many microseconds."""
    db.execute(
        """INSERT INTO jobs (id, owner, tool, status, label, prompt, provider, parent, created_us, fingerprint,
            key_digest, doc) VALUES (?, 'ann', 'edit_image', 'completed', '', ?, ?, ?, ?, '', '', '{}')""",
        (job_id, prompt, provider, parent, us),
    )
    insert_image(db, job_id, us=us)


def insert_car(
    db: Database, n: int, *, prompt: str = "a red car", provider: str = "fal", parent: str | None = None
) -> None:
    """Write the job `car-` and a number, likewise."""
    insert(db, f"car-{n:04}", n, prompt=prompt, provider=provider, parent=parent)


def insert_image(db: Database, job_id: str, n: int = 1, *, us: int) -> None:
    """Write an image of a job that is there."""
    db.execute(
        """INSERT INTO outputs (job_id, n, owner, created_us, blob, media_type, width, height, size_bytes, sha256)
            VALUES (?, ?, 'ann', ?, '', 'image/png', 1, 1, 1, '')""",
        (job_id, n, us),
    )


def refs(rows: Sequence[ImageRow]) -> list[str]:
    """Give the names of images."""
    return [str(row.ref) for row in rows]


def found(db: Database, limit: int = 9, before: int | None = None, **wanted: object) -> list[str]:
    """Give the names of ann's images that are wanted, newest first."""
    asked = Wanted(**wanted)  # pyright: ignore[reportArgumentType]  # fields by name
    return refs(sql_finds.images(db, "ann", asked, limit=limit, before=before).rows)
