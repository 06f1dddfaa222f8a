"""The SQLite store's lists of images: by words, by time, by descent, by who made them. Above: sqlite. Below:
sqlite_reads, records.

What this is: three ways to the same page. Without words it is a walk of the index of places; with words the full-text
index is walked from the newest on and stops at the page's end, however many images hold them; by descent the few that
there are, are sorted. Each asks the owner; the owner and the provider are words of the index too, so that another's
images cost nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kontext_tools.references import Ref
from kontext_tools.stores import records
from kontext_tools.stores.finds import ImageRow, Page, Wanted
from kontext_tools.stores.sqlite_reads import OUTPUT, output_from

_COLUMNS = (
    "outputs.place, outputs.job_id, outputs.created_us, jobs.label, jobs.prompt, outputs.provider, jobs.parent, "
    + (", ".join(f"outputs.{name}" for name in OUTPUT.split(", ")))
)
_OF_JOBS = "CROSS JOIN jobs ON jobs.id = outputs.job_id"

_BORN = """born (id) AS (
    SELECT id FROM jobs WHERE owner = :owner AND {seed} AND EXISTS (SELECT 1 FROM outputs WHERE job_id = id)
    UNION SELECT jobs.id FROM born
        CROSS JOIN outputs ON outputs.job_id = born.id
        CROSS JOIN jobs ON jobs.owner = :owner AND jobs.parent = born.id || '/' || outputs.n
            AND EXISTS (SELECT 1 FROM outputs WHERE job_id = jobs.id)
    LIMIT :most_jobs)"""
"""The jobs with images that were made from an image, generation after generation.

UNION keeps a circle from going round. A job without an image leads no further, and takes no place of one that does.
"""

_LINE = """line (id, n, parent) AS (
    SELECT id, :n, parent FROM jobs WHERE owner = :owner AND id = :job
    UNION SELECT jobs.id, CAST(SUBSTR(line.parent, INSTR(line.parent, '/') + 1) AS INTEGER), jobs.parent FROM line
        CROSS JOIN jobs ON jobs.id = SUBSTR(line.parent, 1, INSTR(line.parent, '/') - 1) AND jobs.owner = :owner
    LIMIT :most_jobs)"""
"""The images that an image was made from, back to the first."""

_EVERY_JOB = -1


def images(db: sqlite3.Connection, owner: str, wanted: Wanted, *, limit: int, before: int | None) -> Page:
    """Give a page of the owner's images, newest first.

    Args:
        db: in a transaction.
        owner: whose.
        wanted: which of them.
        limit: at most so many.
        before: the place that the page before ended at.
    """
    words = _words(wanted)
    if wanted.words and not words:
        return Page()
    by_descent = wanted.derived_from is not None
    match = _match(owner, replace(wanted, provider=None) if by_descent else wanted, words)
    values: dict[str, Any] = {"owner": owner, "limit": limit + 1, "match": match, "most_jobs": _EVERY_JOB}
    head, source, place, where = "", "outputs", "outputs.place", ["outputs.owner = :owner"]
    if wanted.derived_from is not None:
        seed, seeded = _seed(db, owner, wanted.derived_from)
        values |= seeded
        head = f"WITH RECURSIVE {_BORN.format(seed=seed)}"
        # The signs keep the index of places out of it: the images of each job are looked up, not each among all.
        source, place = "born CROSS JOIN outputs ON outputs.job_id = born.id", "+outputs.place"
        where = ["+outputs.owner = :owner"]
        if match is not None:
            where.append("+outputs.place IN (SELECT rowid FROM image_words WHERE image_words MATCH :match)")
    elif match is not None:
        source, place = "image_words CROSS JOIN outputs ON outputs.place = image_words.rowid", "image_words.rowid"
        where.append("image_words MATCH :match")
    if wanted.provider is not None:
        where.append("outputs.provider = :provider")
        values["provider"] = wanted.provider
    if wanted.since is not None:
        # The place is never earlier than the time; where another image had it, a little later.
        where += [f"{place} >= :since", "outputs.created_us >= :since"]
        values["since"] = records.to_us(wanted.since)
    if before is not None:
        where.append(f"{place} < :before")
        values["before"] = before
    rows = db.execute(
        f"""{head} SELECT {_COLUMNS} FROM {source} {_OF_JOBS} WHERE {" AND ".join(where)}
            ORDER BY {place} DESC LIMIT :limit""",  # noqa: S608  # constants
        values,
    ).fetchall()
    page = tuple(_row(row) for row in rows[:limit])
    return Page(rows=page, last=rows[limit - 1][0] if len(rows) > limit else None)


def kin(db: sqlite3.Connection, owner: str, ref: Ref, *, limit: int) -> list[ImageRow]:
    """Give the images that an image was made from and those made from it, in no order, so many of each."""
    seed, seeded = _seed(db, owner, ref)
    values: dict[str, Any] = {"owner": owner, "job": ref.job_id, "n": ref.n, "most_jobs": limit, **seeded}
    before = db.execute(
        f"""WITH RECURSIVE {_LINE} SELECT {_COLUMNS} FROM line
            CROSS JOIN outputs ON outputs.job_id = line.id AND outputs.n = line.n {_OF_JOBS}""",  # noqa: S608  # constants
        values,
    ).fetchall()
    after = db.execute(
        f"""WITH RECURSIVE {_BORN.format(seed=seed)} SELECT {_COLUMNS} FROM born
            CROSS JOIN outputs ON outputs.job_id = born.id {_OF_JOBS} LIMIT :most_jobs""",  # noqa: S608  # constants
        values,
    ).fetchall()
    return [_row(row) for row in {row[0]: row for row in (*before, *after)}.values()]


def _seed(db: sqlite3.Connection, owner: str, ref: Ref) -> tuple[str, dict[str, str]]:
    """Give the first generation of an image as a condition on `jobs`, and its values.

    What was made from a job's source is what was made from the earlier result that the source is, else the job itself.
    """
    if ref.n != 0:
        return "parent = :seed", {"seed": str(ref)}
    row = db.execute("SELECT parent FROM jobs WHERE owner = ? AND id = ?", (owner, ref.job_id)).fetchone()
    if row is not None and row[0] is not None:
        return "parent = :seed", {"seed": row[0]}
    return "id = :seed", {"seed": ref.job_id}


def _words(wanted: Wanted) -> list[str]:
    """Give the words that can be looked for: one without letter or digit would match nothing and take all with it."""
    return [word for word in map(_clean, wanted.words) if any(char.isalnum() for char in word)]


def _match(owner: str, wanted: Wanted, words: Sequence[str]) -> str | None:
    """Give what the index is asked, as a full-text query, the last word as a beginning; `None` where that is nothing.

    Syntax: SQLite's FTS5, "Full-text Query Syntax". A quoted text is never syntax.
    """
    asked = list[str]()
    if wanted.provider is not None:
        asked.append(f'provider : "{wanted.provider.encode().hex()}"')
    if words:
        quoted = ['"{}"'.format(word.replace('"', '""')) for word in words]
        between = " OR " if wanted.any_word else " AND "
        asked.append(f"{{label prompt keep}} : ({between.join(quoted)} *)")
    return " AND ".join([f'owner : "{owner.encode().hex()}"', *asked]) if asked else None


def _clean(word: str) -> str:
    # A NUL would end the query in the middle of a quotation; a lone surrogate is no text.
    return word.replace("\x00", " ").encode("utf-8", "ignore").decode()


def _row(row: Sequence[Any]) -> ImageRow:
    _, job_id, created_us, label, prompt, provider, parent, *output = row
    return ImageRow(
        job_id=job_id,
        output=output_from(output),
        label=label,
        prompt=prompt,
        provider=provider,
        created_at=records.from_us(created_us),
        parent=parent,
    )
