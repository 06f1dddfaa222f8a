"""The PostgreSQL schema as numbered migrations; applied in order, each once, all or nothing.

What it is not: queries (`sql_*`), or SQLite's schema (`schema`), whose tables and columns these are: one set of
statements serves both. Numbers are this schema's own. Above: postgres_server, postgres_health. Below: nothing. A
migration that has been released is never edited.

All of it lies in the connection's current schema, and needs no right but to create there. Times are UTC microseconds
and money is whole billionths of a unit, both BIGINT; texts compare by their bytes, as in SQLite.

Words. Each image holds the words of its job, stemmed as SQLite stems them (Porter's), without stop words, case or
diacritics; whatever is neither letter nor digit parts words. What differs: signs of counting that are no decimal digits
(½, ②) part words here; and where the server was built without ICU, the database's own locale says what a letter is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Session(Protocol):
    """A connection in a transaction."""

    def execute(self, query: bytes, /) -> Any:
        """Execute a statement as it stands."""
        ...


Migration = Callable[[Session], None]

_TABLES = (
    """CREATE TABLE jobs (
        id TEXT PRIMARY KEY, owner TEXT NOT NULL, tool TEXT NOT NULL, status TEXT NOT NULL,
        label TEXT NOT NULL, prompt TEXT NOT NULL, provider TEXT NOT NULL, parent TEXT,
        created_us BIGINT NOT NULL, ended_us BIGINT, fingerprint TEXT NOT NULL,
        request_key TEXT, key_digest TEXT NOT NULL, delivered BIGINT NOT NULL DEFAULT 0,
        cancel_requested BIGINT NOT NULL DEFAULT 0, doc TEXT NOT NULL
    )""",
    "CREATE INDEX jobs_newest ON jobs (owner, created_us DESC, id DESC)",
    "CREATE INDEX jobs_twins ON jobs (owner, fingerprint, created_us DESC)",
    "CREATE UNIQUE INDEX jobs_keys ON jobs (owner, request_key) WHERE request_key IS NOT NULL",
    "CREATE INDEX jobs_children ON jobs (owner, parent) WHERE parent IS NOT NULL",
    # A claim names rows by number, as SQLite's own do.
    """CREATE TABLE sends (
        rowid BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE,
        job_id TEXT NOT NULL REFERENCES jobs (id), n BIGINT NOT NULL, provider TEXT NOT NULL,
        state TEXT NOT NULL, due_us BIGINT NOT NULL, lease_owner TEXT, lease_us BIGINT NOT NULL DEFAULT 0,
        fence BIGINT NOT NULL DEFAULT 0, remote_id TEXT, searched BIGINT NOT NULL DEFAULT 0, doc TEXT NOT NULL,
        PRIMARY KEY (job_id, n)
    )""",
    """CREATE INDEX sends_active ON sends (state, provider, due_us)
        WHERE state IN ('queued', 'intent', 'submitted', 'ready')""",
    "CREATE INDEX sends_leased ON sends (lease_owner) WHERE lease_owner IS NOT NULL",
    "CREATE INDEX sends_remote ON sends (provider, remote_id) WHERE remote_id IS NOT NULL",
    "CREATE INDEX sends_searched ON sends (provider, due_us) WHERE searched = 1",
    "CREATE INDEX sends_unknown ON sends (provider, due_us) WHERE state = 'unknown'",
    # An image's place is its own among its owner's, and each owner's rows are written by one at a time.
    """CREATE TABLE outputs (
        job_id TEXT NOT NULL REFERENCES jobs (id), n BIGINT NOT NULL, owner TEXT NOT NULL,
        created_us BIGINT NOT NULL, blob TEXT NOT NULL, media_type TEXT NOT NULL, width BIGINT NOT NULL,
        height BIGINT NOT NULL, size_bytes BIGINT NOT NULL, sha256 TEXT NOT NULL, seed BIGINT, remote_url TEXT,
        place BIGINT NOT NULL, provider TEXT NOT NULL, words TSVECTOR NOT NULL, PRIMARY KEY (job_id, n)
    )""",
    "CREATE UNIQUE INDEX outputs_line ON outputs (owner, place DESC)",
    "CREATE INDEX outputs_makers ON outputs (owner, provider, place DESC)",
    "CREATE INDEX outputs_words ON outputs USING gin (words)",
    """CREATE TABLE ledger (
        seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at_us BIGINT NOT NULL, day TEXT NOT NULL,
        owner TEXT NOT NULL, job_id TEXT NOT NULL, n BIGINT NOT NULL, provider TEXT NOT NULL,
        entry TEXT NOT NULL CHECK (entry IN ('reserved', 'settled', 'released')),
        delta_nano BIGINT NOT NULL, unit TEXT NOT NULL, basis TEXT NOT NULL
    )""",
    "CREATE INDEX ledger_days ON ledger (owner, unit, day) INCLUDE (delta_nano)",
    """CREATE TABLE gates (
        provider TEXT PRIMARY KEY, creates_us BIGINT NOT NULL DEFAULT 0, closed_us BIGINT NOT NULL DEFAULT 0
    )""",
    "CREATE TABLE answers (nonce TEXT PRIMARY KEY, job_id TEXT NOT NULL, at_us BIGINT NOT NULL)",
    """CREATE TABLE plans (
        job_id TEXT PRIMARY KEY REFERENCES jobs (id), due_us BIGINT, lease_owner TEXT,
        lease_us BIGINT NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX plans_due ON plans (due_us) WHERE due_us IS NOT NULL",
    """CREATE TABLE runs (
        plan_id TEXT NOT NULL REFERENCES plans (job_id), step TEXT NOT NULL, n BIGINT NOT NULL,
        job_id TEXT REFERENCES jobs (id), carried BIGINT NOT NULL DEFAULT 0, refused TEXT,
        PRIMARY KEY (plan_id, step, n)
    )""",
    "CREATE INDEX runs_jobs ON runs (job_id) WHERE job_id IS NOT NULL",
    # Numbers are given before commits, in another order: a listener's mark is what it saw, by transactions.
    """CREATE TABLE journal (
        seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, xact XID8 NOT NULL DEFAULT PG_CURRENT_XACT_ID(),
        owner TEXT NOT NULL, job_id TEXT NOT NULL, what TEXT NOT NULL CHECK (what IN ('job', 'image', 'money')),
        n BIGINT NOT NULL
    )""",
    "CREATE INDEX journal_xacts ON journal (xact)",
    "CREATE TABLE journal_gone (xact XID8)",
    "INSERT INTO journal_gone VALUES (NULL)",
    """CREATE TABLE tasks (
        id TEXT PRIMARY KEY, owner TEXT NOT NULL, kind TEXT NOT NULL, created_us BIGINT NOT NULL,
        updated_us BIGINT NOT NULL, ends_us BIGINT NOT NULL, revision BIGINT NOT NULL DEFAULT 0, doc TEXT NOT NULL
    )""",
    "CREATE INDEX tasks_ends ON tasks (ends_us)",
    "CREATE INDEX tasks_owners ON tasks (owner)",
    """CREATE TABLE trash (
        seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key TEXT NOT NULL,
        at_ms BIGINT NOT NULL DEFAULT CAST(CEIL(EXTRACT(EPOCH FROM CLOCK_TIMESTAMP()) * 1000) AS BIGINT)
    )""",
    "CREATE TABLE forgotten (job_id TEXT PRIMARY KEY)",
)

_WORDS = (
    "CREATE TEXT SEARCH DICTIONARY kontext_stems (TEMPLATE = pg_catalog.snowball, LANGUAGE = porter)",
    'CREATE TEXT SEARCH CONFIGURATION kontext_words (PARSER = pg_catalog."default")',
    """ALTER TEXT SEARCH CONFIGURATION kontext_words
        ADD MAPPING FOR asciiword, word, numword, uint, int, float, sfloat, version WITH kontext_stems""",
    r"""CREATE FUNCTION kontext_plain (said TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT REGEXP_REPLACE(LOWER(NORMALIZE(REGEXP_REPLACE(NORMALIZE(said, NFD), '[\u0300-\u036f]+', '', 'g'), NFC)
            {letters}), '[^[:alnum:]]+', ' ', 'g') $$""",
    # A lexeme that nobody can ask for stands between, so that no phrase goes from one text to the next.
    """CREATE FUNCTION kontext_vector (label TEXT, prompt TEXT, keep TEXT) RETURNS TSVECTOR LANGUAGE sql STABLE AS $$
        SELECT TO_TSVECTOR('kontext_words', kontext_plain(label)) || TSVECTOR '''/'':1'
            || TO_TSVECTOR('kontext_words', kontext_plain(prompt)) || TSVECTOR '''/'':1'
            || TO_TSVECTOR('kontext_words', kontext_plain(COALESCE(keep, ''))) $$""",
    # A word that signs part is a phrase; of the last one, the last part may be a beginning.
    """CREATE FUNCTION kontext_asked (asked TEXT) RETURNS TSQUERY LANGUAGE plpgsql STABLE AS $$
        DECLARE
            given CONSTANT JSON := CAST(asked AS JSON);
            between CONSTANT TEXT := CASE WHEN given ->> 'any' = 'true' THEN ' | ' ELSE ' & ' END;
        BEGIN
            RETURN TO_TSQUERY('kontext_words', STRING_AGG(
                    '''' || REPLACE(parts, ' ', ''' <-> ''') || CASE WHEN is_last THEN ''':*' ELSE '''' END,
                    between ORDER BY nr))
                FROM (
                    SELECT nr, BTRIM(kontext_plain(said)) AS parts, nr = MAX(nr) OVER () AS is_last
                        FROM JSON_ARRAY_ELEMENTS_TEXT(given -> 'words') WITH ORDINALITY AS words (said, nr)
                ) AS each WHERE parts <> '';
        END $$""",
    # A document that cannot be read hides its own words alone.
    """CREATE FUNCTION kontext_said (doc TEXT, path TEXT[]) RETURNS TEXT LANGUAGE plpgsql IMMUTABLE AS $$
        BEGIN
            RETURN CAST(doc AS JSON) #>> path;
        EXCEPTION WHEN data_exception THEN
            RETURN NULL;
        END $$""",
)

_RULES = (
    """CREATE FUNCTION kontext_keeps_ledger () RETURNS TRIGGER LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the ledger is append-only';
        END $$""",
    """CREATE TRIGGER ledger_keeps_its_rows BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger
        FOR EACH STATEMENT EXECUTE FUNCTION kontext_keeps_ledger()""",
    # The maker of an image is the send that asked for it: of those that begin at its number or before, the last one.
    """CREATE FUNCTION kontext_finds_output () RETURNS TRIGGER LANGUAGE plpgsql AS $$
        BEGIN
            NEW.provider := COALESCE(
                NEW.provider,
                (SELECT made.provider FROM (
                        SELECT sends.provider, CAST(kontext_said(sends.doc, '{first_output}') AS BIGINT) AS first
                            FROM sends WHERE sends.job_id = NEW.job_id
                    ) AS made WHERE made.first <= NEW.n ORDER BY made.first DESC LIMIT 1),
                (SELECT jobs.provider FROM jobs WHERE jobs.id = NEW.job_id));
            IF NEW.place IS NULL THEN
                NEW.place := NEW.created_us;
                IF EXISTS (SELECT 1 FROM outputs WHERE owner = NEW.owner AND place = NEW.place) THEN
                    SELECT MIN(taken.place) + 1 INTO NEW.place FROM outputs AS taken
                        WHERE taken.owner = NEW.owner AND taken.place >= NEW.created_us AND NOT EXISTS (
                            SELECT 1 FROM outputs WHERE owner = NEW.owner AND place = taken.place + 1);
                END IF;
            END IF;
            SELECT kontext_vector(label, prompt, kontext_said(doc, '{edit,keep}')) INTO NEW.words
                FROM jobs WHERE id = NEW.job_id;
            RETURN NEW;
        END $$""",
    """CREATE TRIGGER outputs_are_found BEFORE INSERT ON outputs
        FOR EACH ROW EXECUTE FUNCTION kontext_finds_output()""",
    """CREATE FUNCTION kontext_tells_job () RETURNS TRIGGER LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO journal (owner, job_id, what, n)
                VALUES (COALESCE(NEW.owner, OLD.owner), COALESCE(NEW.id, OLD.id), 'job', 0);
            RETURN NULL;
        END $$""",
    """CREATE FUNCTION kontext_tells_image () RETURNS TRIGGER LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO journal (owner, job_id, what, n) VALUES (
                COALESCE(NEW.owner, OLD.owner), COALESCE(NEW.job_id, OLD.job_id), 'image', COALESCE(NEW.n, OLD.n));
            RETURN NULL;
        END $$""",
    """CREATE FUNCTION kontext_tells_money () RETURNS TRIGGER LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO journal (owner, job_id, what, n) VALUES (NEW.owner, NEW.job_id, 'money', 0);
            RETURN NULL;
        END $$""",
    """CREATE TRIGGER journal_jobs AFTER INSERT OR DELETE ON jobs
        FOR EACH ROW EXECUTE FUNCTION kontext_tells_job()""",
    """CREATE TRIGGER journal_moves AFTER UPDATE OF status ON jobs
        FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION kontext_tells_job()""",
    """CREATE TRIGGER journal_images AFTER INSERT OR DELETE ON outputs
        FOR EACH ROW EXECUTE FUNCTION kontext_tells_image()""",
    """CREATE TRIGGER journal_money AFTER INSERT ON ledger
        FOR EACH ROW EXECUTE FUNCTION kontext_tells_money()""",
    # Nobody waits for another to keep it short: the next one does, then.
    """CREATE FUNCTION kontext_keeps_journal_short () RETURNS TRIGGER LANGUAGE plpgsql AS $$
        BEGIN
            IF PG_TRY_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED(CURRENT_SCHEMA() || '/journal', 0)) THEN
                WITH gone AS (DELETE FROM journal WHERE seq <= NEW.seq - 1024 RETURNING xact)
                    UPDATE journal_gone SET xact = GREATEST(
                        journal_gone.xact, (SELECT gone.xact FROM gone ORDER BY gone.xact DESC LIMIT 1));
            END IF;
            RETURN NULL;
        END $$""",
    """CREATE TRIGGER journal_kept_short AFTER INSERT ON journal
        FOR EACH ROW WHEN (NEW.seq % 256 = 0) EXECUTE FUNCTION kontext_keeps_journal_short()""",
)


def _comparing_bytes(statement: str) -> bytes:
    return statement.replace(" TEXT", ' TEXT COLLATE pg_catalog."C"').encode()


def m001_all_that_sqlite_has(db: Session) -> None:
    """Create the tables, the words and the rules of SQLite's eleventh schema."""
    icu = db.execute(b"SELECT 1 FROM pg_catalog.pg_collation WHERE collname = 'und-x-icu'").fetchone()
    letters = "" if icu is None else 'COLLATE pg_catalog."und-x-icu"'
    for statement in _TABLES:
        db.execute(_comparing_bytes(statement))
    for statement in (*_WORDS, *_RULES):
        db.execute(statement.replace("{letters}", letters).encode())


def m002_keys_and_tickets(db: Session) -> None:
    """Create users' own keys, each sealed, and the tickets: SQLite's twelfth."""
    for statement in (
        """CREATE TABLE provider_keys (
            id TEXT PRIMARY KEY, owner TEXT NOT NULL, provider TEXT NOT NULL, sealed TEXT NOT NULL,
            entered_us BIGINT NOT NULL
        )""",
        "CREATE UNIQUE INDEX provider_keys_owners ON provider_keys (owner, provider)",
        """CREATE TABLE tickets (
            digest TEXT PRIMARY KEY, owner TEXT NOT NULL, purpose TEXT NOT NULL, about TEXT NOT NULL,
            ends_us BIGINT NOT NULL
        )""",
        "CREATE INDEX tickets_ends ON tickets (ends_us)",
    ):
        db.execute(_comparing_bytes(statement))


MIGRATIONS: tuple[Migration, ...] = (m001_all_that_sqlite_has, m002_keys_and_tickets)


def version_of(db: Session) -> int:
    """Give the number of the last migration that was applied."""
    # Asked of the catalogue's rows: by name it may be remembered as missing after another process has made it.
    there = db.execute(
        b"""SELECT 1 FROM pg_catalog.pg_class WHERE relname = 'kontext_schema' AND relnamespace = (
            SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = CURRENT_SCHEMA())"""
    )
    if there.fetchone() is None:
        return 0
    row = db.execute(b"SELECT version FROM kontext_schema").fetchone()
    return 0 if row is None else int(row[0])


def migrate(db: Session) -> None:
    """Apply what is missing. The caller holds the lock, has checked that it is not newer, and commits."""
    before = version_of(db)
    if before == 0:
        db.execute(b"CREATE TABLE kontext_schema (version BIGINT NOT NULL)")
        db.execute(b"INSERT INTO kontext_schema VALUES (0)")
    for migration in MIGRATIONS[before:]:
        migration(db)
    db.execute(f"UPDATE kontext_schema SET version = {len(MIGRATIONS)}".encode())  # noqa: S608  # a number
