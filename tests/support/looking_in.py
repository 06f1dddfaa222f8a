"""Looking into a data folder from outside, read-only: what a server recorded and kept, whatever it says itself."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from support.waiting import until

ENDED = frozenset({"completed", "failed", "cancelled", "unknown"})


@contextmanager
def refusing(folder: Path, table: str) -> Generator[None]:
    """Let a running server's database (below `folder`) take no new row of a table for as long as the block lasts."""
    with closing(sqlite3.connect(folder / "data" / "kontext.db", timeout=30)) as db:
        db.execute(f"CREATE TRIGGER refused BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'refused'); END")
        try:
            yield
        finally:
            db.execute("DROP TRIGGER refused")


class DataFolder:
    """A server's data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "kontext.db"

    def rows(self, query: str, *values: object) -> list[Any]:
        """Ask the database; nothing, where it is not there yet."""
        if not self.database.exists():
            return []
        with closing(sqlite3.connect(f"{self.database.as_uri()}?mode=ro", uri=True, timeout=30)) as db:
            if db.execute("PRAGMA user_version").fetchone() == (0,):
                return []
            return db.execute(query, values).fetchall()

    def one(self, query: str, *values: object) -> Any:
        """Give the first column of the first row, or `None`."""
        rows = self.rows(query, *values)
        return rows[0][0] if rows else None

    def state(self, job_id: str) -> str | None:
        """Give the state of a job's first send."""
        return self.one("SELECT state FROM sends WHERE job_id = ? AND n = 1", job_id)

    def statuses(self) -> dict[str, int]:
        """Count jobs by status."""
        return dict(self.rows("SELECT status, COUNT(*) FROM jobs GROUP BY status"))

    def until_state(self, job_id: str, *states: str, within_s: float = 40.0) -> None:
        """Wait until a job's first send is in one of these states."""
        until(lambda: self.state(job_id) in states, f"{job_id} is {' or '.join(states)}", within_s=within_s)

    def until_ended(self, *, within_s: float) -> None:
        """Wait until every job has ended."""
        until(lambda: set(self.statuses()) <= ENDED, "every job has ended", within_s=within_s)

    def is_sound(self) -> bool:
        """Whether SQLite finds nothing wrong with the database."""
        return self.one("PRAGMA integrity_check") == "ok"

    def check_files(self, *, alone: bool = True) -> int:
        """Hold every completed job against its files; give how many pictures there are.

        Each has its row, its bytes with the right sha-256 and its facts beside it; `alone`: nothing else lies there.
        """
        kept = self.rows("SELECT job_id, n, blob, sha256, size_bytes FROM outputs")
        expected: set[str] = set()
        for job_id, n, blob, sha256, size_bytes in kept:
            data = (self.folder / blob).read_bytes()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (size_bytes, sha256), blob
            sidecar = f"images/{job_id}-{n}.json"
            facts = json.loads((self.folder / sidecar).read_bytes())
            assert (facts["ref"], facts["sha256"]) == (f"{job_id}/{n}", sha256), sidecar
            expected |= {blob, sidecar}
        completed = {row[0] for row in self.rows("SELECT id FROM jobs WHERE status = 'completed'")}
        assert completed == {row[0] for row in kept}, "every completed job has its picture, and no other has one"
        there = {f"images/{path.name}" for path in (self.folder / "images").glob("*")}
        assert there == expected or (not alone and there > expected)
        return len(kept)

    def half_written(self) -> list[Path]:
        """Give the temporary files."""
        return list((self.folder / ".tmp").glob("*"))
