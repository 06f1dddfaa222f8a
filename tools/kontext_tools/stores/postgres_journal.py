"""PostgreSQL's journal, written by the schema's triggers. Above: postgres. Below: journal, database.

Rows get their numbers before they are committed, so that a later number may be seen first. Hence a mark is not the
greatest number but the snapshot itself, in PostgreSQL's own words: new is what that snapshot did not hold and this one
does. Nothing is missed, and nothing is held up by a long transaction beside, as it would be were the mark the oldest
one that runs.
"""

from __future__ import annotations

from kontext_tools.stores.database import Database
from kontext_tools.stores.journal import Happening, Mark, Tidings, What


def tidings(db: Database, since: Mark | None) -> Tidings:
    """Give what happened since a mark; where that is nothing, with the mark as it was."""
    if since is None:
        (mark,) = db.execute("SELECT CAST(PG_CURRENT_SNAPSHOT() AS TEXT)").fetchone()
        return Tidings(mark=mark)
    # Of what is gone only the newest row is known: an older mark may have missed it. A mark ahead is another server's.
    mark, missed = db.execute(
        """SELECT CAST(PG_CURRENT_SNAPSHOT() AS TEXT),
                PG_SNAPSHOT_XMAX(CAST(?1 AS PG_SNAPSHOT)) > PG_SNAPSHOT_XMAX(PG_CURRENT_SNAPSHOT())
                OR COALESCE((SELECT xact FROM journal_gone) >= PG_SNAPSHOT_XMIN(CAST(?1 AS PG_SNAPSHOT)), FALSE)""",
        (since,),
    ).fetchone()
    rows = db.execute(
        """SELECT owner, job_id, what, n FROM journal
            WHERE xact >= PG_SNAPSHOT_XMIN(CAST(?1 AS PG_SNAPSHOT))
                AND NOT PG_VISIBLE_IN_SNAPSHOT(xact, CAST(?1 AS PG_SNAPSHOT))
                AND PG_VISIBLE_IN_SNAPSHOT(xact, PG_CURRENT_SNAPSHOT())
            ORDER BY seq""",
        (since,),
    ).fetchall()
    happenings = tuple(Happening(owner=owner, job_id=job_id, what=What(what), n=n) for owner, job_id, what, n in rows)
    return Tidings(mark=mark if happenings or missed else since, happenings=happenings, missed=missed)
