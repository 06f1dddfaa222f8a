"""Lists of images: by words, by time, by descent, by who made them. Above: sql_store. Below: sql_reads, records.

What this is: three ways to the same page. Without words it is a walk of the index of places; with words the database
finds them in its own way (`Database.matching`); by descent the few that there are, are sorted. Each asks the owner.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kontext_tools.references import Ref
from kontext_tools.stores import records
from kontext_tools.stores.database import Database
from kontext_tools.stores.finds import ImageRow, Page, Wanted
from kontext_tools.stores.sql_reads import OUTPUT, output_from

_COLUMNS = (
    "outputs.place, outputs.job_id, outputs.created_us, jobs.label, jobs.prompt, outputs.provider, jobs.parent, "
    + (", ".join(f"outputs.{name}" for name in OUTPUT.split(", ")))
)
_OF_JOBS = "{in_order} jobs ON jobs.id = outputs.job_id"

_BORN = """born (id) AS (
    SELECT id FROM jobs WHERE owner = :owner AND {seed} AND EXISTS (SELECT 1 FROM outputs WHERE job_id = id)
    UNION SELECT jobs.id FROM born
        {in_order} outputs ON outputs.job_id = born.id
        {in_order} jobs ON jobs.owner = :owner AND jobs.parent = born.id || '/' || outputs.n
            AND EXISTS (SELECT 1 FROM outputs WHERE job_id = jobs.id))"""
"""The jobs with images that were made from an image, generation after generation.

UNION keeps a circle from going round. A job without an image leads no further, and takes no place of one that does.
"""

_LINE = """line (id, n, parent) AS (
    SELECT id, CAST(:n AS BIGINT), parent FROM jobs WHERE owner = :owner AND id = :job
    UNION SELECT jobs.id, CAST(SUBSTR(line.parent, LENGTH(RTRIM(line.parent, '0123456789')) + 1) AS BIGINT), jobs.parent
        FROM line {in_order} jobs
            ON jobs.id = RTRIM(RTRIM(line.parent, '0123456789'), '/') AND jobs.owner = :owner)"""
"""The images that an image was made from, back to the first. A parent reads `red-car-4k7q/1`."""

_FIRST = "(SELECT * FROM {generations} LIMIT :most_jobs) AS {generations}"
"""Generation after generation is made only as far as it is asked for."""


def images(db: Database, owner: str, wanted: Wanted, *, limit: int, before: int | None) -> Page:
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
    # By descent the provider is a condition on the few that there are.
    provider = None if by_descent else wanted.provider
    match = db.matching.asked(owner, words, any_word=wanted.any_word, provider=provider)
    values: dict[str, Any] = {"owner": owner, "limit": limit + 1, "match": match}
    head, source, place, where = "", "outputs", "outputs.place", ["outputs.owner = :owner"]
    if wanted.derived_from is not None:
        seed, seeded = _seed(db, owner, wanted.derived_from)
        values |= seeded
        head = f"WITH RECURSIVE {_BORN.format(seed=seed, in_order=db.in_order)}"
        # The signs keep the index of places out of it: the images of each job are looked up, not each among all.
        source, place = f"born {db.in_order} outputs ON outputs.job_id = born.id", "+outputs.place"
        where = ["outputs.owner || '' = :owner"]
        if match is not None:
            where.append(db.matching.among)
    elif match is not None:
        source, place = db.matching.source, db.matching.place
        where.append(db.matching.where)
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
        f"""{head} SELECT {_COLUMNS} FROM {source} {_OF_JOBS.format(in_order=db.in_order)} WHERE {" AND ".join(where)}
            ORDER BY {place} DESC LIMIT :limit""",  # noqa: S608  # constants
        values,
    ).fetchall()
    page = tuple(_row(row) for row in rows[:limit])
    return Page(rows=page, last=rows[limit - 1][0] if len(rows) > limit else None)


def kin(db: Database, owner: str, ref: Ref, *, limit: int) -> list[ImageRow]:
    """Give the images that an image was made from and those made from it, in no order, so many of each."""
    seed, seeded = _seed(db, owner, ref)
    line, born = (text.format(seed=seed, in_order=db.in_order) for text in (_LINE, _BORN))
    of_jobs = _OF_JOBS.format(in_order=db.in_order)
    before = db.execute(
        f"""WITH RECURSIVE {line} SELECT {_COLUMNS} FROM {_FIRST.format(generations="line")}
            {db.in_order} outputs ON outputs.job_id = line.id AND outputs.n = line.n {of_jobs}""",  # noqa: S608  # constants
        {"owner": owner, "job": ref.job_id, "n": ref.n, "most_jobs": limit},
    ).fetchall()
    after = db.execute(
        f"""WITH RECURSIVE {born} SELECT {_COLUMNS} FROM {_FIRST.format(generations="born")}
            {db.in_order} outputs ON outputs.job_id = born.id {of_jobs} LIMIT :most_jobs""",  # noqa: S608  # constants
        {"owner": owner, "most_jobs": limit, **seeded},
    ).fetchall()
    return [_row(row) for row in {row[0]: row for row in (*before, *after)}.values()]


def _seed(db: Database, owner: str, ref: Ref) -> tuple[str, dict[str, str]]:
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
