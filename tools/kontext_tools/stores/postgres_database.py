"""PostgreSQL as a database of statements: a connection in a transaction, and the words of its dialect.

What this is: values marked in SQLite's ways become PostgreSQL's `$1`, once for each statement; owners kept to oneself
by advisory locks, which end with the transaction. What it is not: connections or transactions (`postgres_server`).
Above: postgres_server. Below: database.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import psycopg

from kontext_tools.stores.database import Rows

_MARK = re.compile(r"'[^']*'|\?(\d*)|(?<!:):([a-z_]+)")
"""A quoted text, which holds no mark; a mark by order or by number; a mark by name."""


@lru_cache(maxsize=1024)
def translated(sql: str) -> tuple[str, tuple[str, ...]]:
    """Give a statement with PostgreSQL's marks, and the names of its values in their order, where they have names."""
    names = list[str]()
    most = 0

    def mark(found: re.Match[str]) -> str:
        nonlocal most
        number, name = found.groups()
        if name is not None:
            if name not in names:
                names.append(name)
            return f"${names.index(name) + 1}"
        if number is None:
            return found.group()
        # As in SQLite: one without a number is the one after the greatest so far.
        at = int(number) if number else most + 1
        most = max(most, at)
        return f"${at}"

    return _MARK.sub(mark, sql), tuple(names)


def kept(value: Any) -> Any:
    """Give a value as PostgreSQL keeps it: its texts hold no NUL. Documents have it escaped; else it is only shown."""
    return value.replace("\x00", "\ufffd") if isinstance(value, str) and "\x00" in value else value


class Lexemes:
    """Words by a GIN index on the images themselves; the owner and the provider are columns."""

    source = "outputs"
    place = "outputs.place"
    where = "outputs.words @@ (SELECT kontext_asked(:match))"
    among = where

    def asked(
        self,
        owner: str,  # noqa: ARG002  # a column of its own here
        words: Sequence[str],
        *,
        any_word: bool,
        provider: str | None,  # noqa: ARG002  # the same
    ) -> str | None:
        """Give the document that the schema's `kontext_asked` reads."""
        return json.dumps({"words": list(words), "any": any_word}) if words else None


class PostgresDatabase:
    """A connection in a transaction.

    Args:
        connection: with `$1` as marks.
        schema: that its tables are in: locks are the whole database's.
    """

    in_order = "JOIN"
    holding = "FOR UPDATE OF sends"
    passing = "FOR UPDATE SKIP LOCKED"
    matching = Lexemes()

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]], schema: str) -> None:
        self._connection = connection
        self._owners = f"{schema}/owner/"
        self._claims = f"{schema}/claims"

    def execute(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = (), /) -> Rows:
        """Execute a statement."""
        text, names = translated(sql)
        given = [values[name] for name in names] if isinstance(values, Mapping) else values
        return self._connection.execute(text.encode(), [kept(value) for value in given])

    def executemany(self, sql: str, values: Iterable[Sequence[Any]], /) -> object:
        """Execute a statement once for each of the values."""
        text, _ = translated(sql)
        return self._connection.cursor().executemany(text.encode(), [[kept(one) for one in each] for each in values])

    def by_index(self, name: str, /) -> str:  # noqa: ARG002  # the planner is not told
        """Give nothing: the planner chooses."""
        return ""

    def alone(self, owner: str, /) -> None:
        """Wait for an owner's lock."""
        self._lock(f"{self._owners}{owner}")

    def alone_with(self, job_id: str, /) -> None:
        """Wait for the lock of a job's owner, who never changes."""
        self.execute(
            "SELECT PG_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED(? || owner, 0)) FROM jobs WHERE id = ?",
            (self._owners, job_id),
        )

    def alone_claiming(self) -> None:
        """Wait for the one lock of claims."""
        self._lock(self._claims)

    def _lock(self, name: str) -> None:
        self.execute("SELECT PG_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED(?, 0))", (name,))
