"""The SQLite schema as numbered migrations; applied in order, each once, in one transaction.

What it is not: queries (`sql_*`). Above: sqlite_file. Below: nothing. A migration that has been released is never
edited.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable

from kontext_tools.stores.schema_keys import m012_keys_and_tickets

Migration = Callable[[sqlite3.Connection], None]


def m001_jobs_sends_outputs_ledger(db: sqlite3.Connection) -> None:
    """Create the four tables. Times are UTC microseconds; money is whole billionths of a unit."""
    for statement in (
        """CREATE TABLE jobs (
            id TEXT PRIMARY KEY, owner TEXT NOT NULL, tool TEXT NOT NULL, status TEXT NOT NULL,
            label TEXT NOT NULL, prompt TEXT NOT NULL, provider TEXT NOT NULL, parent TEXT,
            created_us INTEGER NOT NULL, ended_us INTEGER, fingerprint TEXT NOT NULL,
            request_key TEXT, key_digest TEXT NOT NULL, delivered INTEGER NOT NULL DEFAULT 0,
            cancel_requested INTEGER NOT NULL DEFAULT 0, doc TEXT NOT NULL
        ) STRICT""",
        "CREATE INDEX jobs_newest ON jobs (owner, created_us DESC, id DESC)",
        "CREATE INDEX jobs_twins ON jobs (owner, fingerprint, created_us DESC)",
        "CREATE UNIQUE INDEX jobs_keys ON jobs (owner, request_key) WHERE request_key IS NOT NULL",
        """CREATE TABLE sends (
            job_id TEXT NOT NULL REFERENCES jobs (id), n INTEGER NOT NULL, provider TEXT NOT NULL,
            state TEXT NOT NULL, due_us INTEGER NOT NULL, lease_owner TEXT, lease_us INTEGER NOT NULL DEFAULT 0,
            fence INTEGER NOT NULL DEFAULT 0, doc TEXT NOT NULL, PRIMARY KEY (job_id, n)
        ) STRICT""",
        """CREATE INDEX sends_due ON sends (due_us)
            WHERE state IN ('queued', 'intent', 'submitted', 'ready')""",
        "CREATE INDEX sends_in_flight ON sends (provider) WHERE state IN ('intent', 'submitted')",
        "CREATE INDEX sends_taken_up ON sends (provider, lease_us) WHERE state = 'queued' AND lease_us > 0",
        """CREATE TABLE outputs (
            job_id TEXT NOT NULL REFERENCES jobs (id), n INTEGER NOT NULL, owner TEXT NOT NULL,
            created_us INTEGER NOT NULL, blob TEXT NOT NULL, media_type TEXT NOT NULL, width INTEGER NOT NULL,
            height INTEGER NOT NULL, size_bytes INTEGER NOT NULL, sha256 TEXT NOT NULL, seed INTEGER,
            remote_url TEXT, PRIMARY KEY (job_id, n)
        ) STRICT""",
        "CREATE INDEX outputs_newest ON outputs (owner, created_us DESC, job_id DESC, n DESC)",
        """CREATE TABLE ledger (
            seq INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL, day TEXT NOT NULL, owner TEXT NOT NULL,
            job_id TEXT NOT NULL, n INTEGER NOT NULL, provider TEXT NOT NULL,
            entry TEXT NOT NULL CHECK (entry IN ('reserved', 'settled', 'released')),
            delta_nano INTEGER NOT NULL, unit TEXT NOT NULL, basis TEXT NOT NULL
        ) STRICT""",
        "CREATE INDEX ledger_days ON ledger (owner, unit, day, delta_nano)",
        """CREATE TRIGGER ledger_keeps_its_rows BEFORE DELETE ON ledger
            BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
        """CREATE TRIGGER ledger_keeps_its_words BEFORE UPDATE ON ledger
            BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    ):
        db.execute(statement)


def m002_gates(db: sqlite3.Connection) -> None:
    """Create the gates: until when a provider's creates are held back, and until when it is asked nothing at all."""
    db.execute(
        """CREATE TABLE gates (
            provider TEXT PRIMARY KEY, creates_us INTEGER NOT NULL DEFAULT 0, closed_us INTEGER NOT NULL DEFAULT 0
        ) STRICT"""
    )


def m003_lines(db: sqlite3.Connection) -> None:
    """Index what runs as the lines that a claim walks, and leases by who holds them: a move touches two indexes."""
    for replaced in ("sends_due", "sends_in_flight", "sends_taken_up"):
        db.execute(f"DROP INDEX {replaced}")
    db.execute(
        """CREATE INDEX sends_active ON sends (state, provider, due_us)
            WHERE state IN ('queued', 'intent', 'submitted', 'ready')"""
    )
    db.execute("CREATE INDEX sends_leased ON sends (lease_owner) WHERE lease_owner IS NOT NULL")


def m004_answers(db: sqlite3.Connection) -> None:
    """Create the answers: each person's yes that has bought its job, by its nonce. They outlive the job."""
    db.execute(
        """CREATE TABLE answers (
            nonce TEXT PRIMARY KEY, job_id TEXT NOT NULL, at_us INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID"""
    )


def m005_lost_sends(db: sqlite3.Connection) -> None:
    """Let lost sends be claimed and remote ids be looked up by index. Sends that ended before are not looked for."""
    for statement in (
        "ALTER TABLE sends ADD COLUMN remote_id TEXT",
        "ALTER TABLE sends ADD COLUMN searched INTEGER NOT NULL DEFAULT 0",
        "CREATE INDEX sends_remote ON sends (provider, remote_id) WHERE remote_id IS NOT NULL",
        "CREATE INDEX sends_searched ON sends (provider, due_us) WHERE searched = 1",
        "CREATE INDEX sends_unknown ON sends (provider, due_us) WHERE state = 'unknown'",
    ):
        db.execute(statement)
    for job_id, n, doc in db.execute("SELECT job_id, n, doc FROM sends WHERE state IN ('submitted', 'ready')"):
        remote_id = json.loads(doc).get("remote_id")
        db.execute("UPDATE sends SET remote_id = ? WHERE job_id = ? AND n = ?", (remote_id, job_id, n))


def m006_search(db: sqlite3.Connection) -> None:
    """Give each image a place in the line of all, and index the words of its job, for what is kept already too.

    A place is the time that it was kept at, in UTC microseconds, or the next one that is free: no two share one, so
    that it is a page's end and the index's rowid, and the newest come first without a sort. Triggers keep both, for
    every write there is or will be.
    """
    db.execute("ALTER TABLE outputs ADD COLUMN place INTEGER")
    place, places = 0, list[tuple[int, str, int]]()
    for created_us, job_id, n in db.execute("SELECT created_us, job_id, n FROM outputs ORDER BY 1, 2, 3"):
        place = max(created_us, place + 1)
        places.append((place, job_id, n))
    db.executemany("UPDATE outputs SET place = ? WHERE job_id = ? AND n = ?", places)
    words = """INSERT INTO image_words (rowid, owner, label, prompt, keep)
        SELECT outputs.place, HEX(jobs.owner), jobs.label, jobs.prompt,
            CASE WHEN JSON_VALID(jobs.doc) THEN JSON_EXTRACT(jobs.doc, '$.edit.keep') END
        FROM outputs JOIN jobs ON jobs.id = outputs.job_id"""
    for statement in (
        "CREATE UNIQUE INDEX outputs_places ON outputs (place)",
        "DROP INDEX outputs_newest",
        "CREATE INDEX outputs_line ON outputs (owner, place DESC)",
        "CREATE INDEX jobs_children ON jobs (owner, parent) WHERE parent IS NOT NULL",
        # The last word of a search may be a beginning: one or two letters are those of very many words.
        """CREATE VIRTUAL TABLE image_words USING fts5 (
            owner, label, prompt, keep, tokenize = 'porter unicode61 remove_diacritics 2', prefix = '1 2 3'
        )""",
        words,
        f"""CREATE TRIGGER outputs_are_found AFTER INSERT ON outputs BEGIN
            UPDATE outputs SET place = CASE
                    WHEN NOT EXISTS (SELECT 1 FROM outputs WHERE place = new.created_us) THEN new.created_us
                    ELSE (SELECT MIN(taken.place) + 1 FROM outputs AS taken WHERE taken.place >= new.created_us
                        AND NOT EXISTS (SELECT 1 FROM outputs WHERE place = taken.place + 1))
                END
                WHERE job_id = new.job_id AND n = new.n;
            {words} WHERE outputs.job_id = new.job_id AND outputs.n = new.n;
        END""",  # noqa: S608  # constant
        """CREATE TRIGGER outputs_are_forgotten AFTER DELETE ON outputs
            BEGIN DELETE FROM image_words WHERE rowid = old.place; END""",
    ):
        db.execute(statement)


def m007_plans(db: sqlite3.Connection) -> None:
    """Create the plans that run, each due under a lease, and what became of their runs: a job, or why there is none."""
    for statement in (
        """CREATE TABLE plans (
            job_id TEXT PRIMARY KEY REFERENCES jobs (id), due_us INTEGER, lease_owner TEXT,
            lease_us INTEGER NOT NULL DEFAULT 0
        ) STRICT""",
        "CREATE INDEX plans_due ON plans (due_us) WHERE due_us IS NOT NULL",
        # A run's place is taken once: that, and no lease, is what keeps a step from being sent twice.
        """CREATE TABLE runs (
            plan_id TEXT NOT NULL REFERENCES plans (job_id), step TEXT NOT NULL, n INTEGER NOT NULL,
            job_id TEXT REFERENCES jobs (id), carried INTEGER NOT NULL DEFAULT 0, refused TEXT,
            PRIMARY KEY (plan_id, step, n)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX runs_jobs ON runs (job_id) WHERE job_id IS NOT NULL",
    ):
        db.execute(statement)


def m008_journal(db: sqlite3.Connection) -> None:
    """Create the journal: what happened to whose jobs, by number. It keeps the last thousand or so.

    Triggers write it, so that no statement can forget to; the newest row is never removed, so no number comes twice.
    """
    told = {
        "job_recorded": ("AFTER INSERT ON jobs", "NEW.owner, NEW.id, 'job', 0"),
        "job_moved": ("AFTER UPDATE OF status ON jobs WHEN OLD.status <> NEW.status", "NEW.owner, NEW.id, 'job', 0"),
        "job_removed": ("AFTER DELETE ON jobs", "OLD.owner, OLD.id, 'job', 0"),
        "image_kept": ("AFTER INSERT ON outputs", "NEW.owner, NEW.job_id, 'image', NEW.n"),
        "image_removed": ("AFTER DELETE ON outputs", "OLD.owner, OLD.job_id, 'image', OLD.n"),
        "money_moved": ("AFTER INSERT ON ledger", "NEW.owner, NEW.job_id, 'money', 0"),
    }
    db.execute(
        """CREATE TABLE journal (
            seq INTEGER PRIMARY KEY, owner TEXT NOT NULL, job_id TEXT NOT NULL,
            what TEXT NOT NULL CHECK (what IN ('job', 'image', 'money')), n INTEGER NOT NULL
        ) STRICT"""
    )
    for name, (when, row) in told.items():
        db.execute(
            f"CREATE TRIGGER journal_{name} {when} BEGIN"  # noqa: S608  # constants
            f" INSERT INTO journal (owner, job_id, what, n) VALUES ({row}); END"
        )
    db.execute(
        """CREATE TRIGGER journal_kept_short AFTER INSERT ON journal WHEN NEW.seq % 256 = 0
            BEGIN DELETE FROM journal WHERE seq <= NEW.seq - 1024; END"""
    )


def m009_tasks(db: sqlite3.Connection) -> None:
    """Create the tasks: by an unguessable id, what a caller comes back for. A row is forgotten after its end."""
    db.execute(
        """CREATE TABLE tasks (
            id TEXT PRIMARY KEY, owner TEXT NOT NULL, kind TEXT NOT NULL, created_us INTEGER NOT NULL,
            updated_us INTEGER NOT NULL, ends_us INTEGER NOT NULL, revision INTEGER NOT NULL DEFAULT 0,
            doc TEXT NOT NULL
        ) STRICT, WITHOUT ROWID"""
    )
    db.execute("CREATE INDEX tasks_ends ON tasks (ends_us)")


def m010_makers(db: sqlite3.Connection) -> None:
    """Note of each image which provider made it, and make that a word of the index of words.

    A job that was passed on names the last provider that was asked. An image's is that of the send which asked for it:
    of those that begin at its number or before, the last one.
    """
    first = "CASE WHEN JSON_VALID(sends.doc) THEN JSON_EXTRACT(sends.doc, '$.first_output') END"
    maker = f"""COALESCE(
            (SELECT sends.provider FROM sends WHERE sends.job_id = outputs.job_id AND {first} <= outputs.n
                ORDER BY {first} DESC LIMIT 1),
            (SELECT jobs.provider FROM jobs WHERE jobs.id = outputs.job_id))"""  # noqa: S608  # constants
    words = """INSERT INTO image_words (rowid, owner, provider, label, prompt, keep)
        SELECT outputs.place, HEX(jobs.owner), HEX(outputs.provider), jobs.label, jobs.prompt,
            CASE WHEN JSON_VALID(jobs.doc) THEN JSON_EXTRACT(jobs.doc, '$.edit.keep') END
        FROM outputs JOIN jobs ON jobs.id = outputs.job_id"""
    for statement in (
        "DROP TRIGGER outputs_are_found",
        "DROP TABLE image_words",
        "ALTER TABLE outputs ADD COLUMN provider TEXT",
        f"UPDATE outputs SET provider = {maker}",  # noqa: S608  # constant
        """CREATE VIRTUAL TABLE image_words USING fts5 (
            owner, provider, label, prompt, keep, tokenize = 'porter unicode61 remove_diacritics 2', prefix = '1 2 3'
        )""",
        words,
        f"""CREATE TRIGGER outputs_are_found AFTER INSERT ON outputs BEGIN
            UPDATE outputs SET provider = {maker}, place = CASE
                    WHEN NOT EXISTS (SELECT 1 FROM outputs WHERE place = new.created_us) THEN new.created_us
                    ELSE (SELECT MIN(taken.place) + 1 FROM outputs AS taken WHERE taken.place >= new.created_us
                        AND NOT EXISTS (SELECT 1 FROM outputs WHERE place = taken.place + 1))
                END
                WHERE job_id = new.job_id AND n = new.n;
            {words} WHERE outputs.job_id = new.job_id AND outputs.n = new.n;
        END""",  # noqa: S608  # constants
    ):
        db.execute(statement)


def m011_trash(db: sqlite3.Connection) -> None:
    """Create the trash, keys of files whose rows are gone; and note which jobs are, for no id may come twice.

    A key that comes again gets another number: who removes the file of the first takes that number out alone. Its time
    is held against those of files, and so it is the machine's own, in UTC milliseconds, rounded up.
    """
    db.execute(
        """CREATE TABLE trash (
            seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL,
            at_ms INTEGER NOT NULL DEFAULT (CAST((JULIANDAY('now') - 2440587.5) * 86400000 AS INTEGER) + 1)
        ) STRICT"""
    )
    db.execute("CREATE TABLE forgotten (job_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID")


MIGRATIONS: tuple[Migration, ...] = (
    m001_jobs_sends_outputs_ledger,
    m002_gates,
    m003_lines,
    m004_answers,
    m005_lost_sends,
    m006_search,
    m007_plans,
    m008_journal,
    m009_tasks,
    m010_makers,
    m011_trash,
    m012_keys_and_tickets,
)


MOVED = 2_000_000_000
"""In the version's place: its rows are in another database now, and it takes no more."""


def version_of(db: sqlite3.Connection) -> int:
    """Give the number of the last migration that was applied."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def migrate(db: sqlite3.Connection) -> None:
    """Apply what is missing, all or nothing. The caller has checked that the database is not newer."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for number in range(version_of(db), len(MIGRATIONS)):
            MIGRATIONS[number](db)
            db.execute(f"PRAGMA user_version = {number + 1}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
