"""The databases that every rule of a store is held against: a test that asks for `store` runs once on each."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from kontext_tools.stores import schema
from kontext_tools.stores.database import Database
from kontext_tools.stores.postgres import PostgresStore
from kontext_tools.stores.postgres_connection import connected, migrated
from kontext_tools.stores.postgres_database import PostgresDatabase, translated
from kontext_tools.stores.postgres_server import BUSY_S
from kontext_tools.stores.sqlite import SqliteStore
from kontext_tools.stores.sqlite_database import SqliteDatabase
from support.postgres import Server

AnyStore = SqliteStore | PostgresStore


class Place(Protocol):
    """A database of the test's own, which any number of processes may open."""

    def store(self, *, busy_s: float | None = None) -> AnyStore:
        """Give a store on it, as another process has one, which waits so long for others."""
        ...

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Execute a statement behind the stores' backs; give its rows."""
        ...

    def opened(self) -> AbstractContextManager[Database]:
        """Give a database of the program's schema in a transaction."""
        ...


class SqlitePlace:
    """A file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def store(self, *, busy_s: float | None = None) -> SqliteStore:
        """Give a store that waits for nobody, unless it is told to."""
        return SqliteStore(self._path, busy_s=busy_s or 0.05)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Execute a statement."""
        with closing(sqlite3.connect(self._path)) as db, db:
            return db.execute(sql, values).fetchall()

    @contextmanager
    def opened(self) -> Generator[SqliteDatabase]:
        """Give its database."""
        with closing(sqlite3.connect(self._path, factory=SqliteDatabase)) as db:
            schema.migrate(db)
            yield db


class PostgresPlace:
    """A schema."""

    def __init__(self, server: Server, schema: str) -> None:
        self.server = server
        self.schema = schema
        self.url = server.url(schema)

    def store(self, *, busy_s: float | None = None) -> PostgresStore:
        """Give a store."""
        return PostgresStore(self.url, busy_s=busy_s or BUSY_S)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Execute a statement."""
        with closing(connected(self.url, busy_s=5)) as connection:
            cursor = connection.execute(translated(sql)[0].encode(), values)
            return cursor.fetchall() if cursor.description is not None else []

    @contextmanager
    def opened(self) -> Generator[PostgresDatabase]:
        """Give its database."""
        with closing(connected(self.url, busy_s=5)) as connection:
            migrated(connection)
            with connection.transaction():
                yield PostgresDatabase(connection, self.schema)
