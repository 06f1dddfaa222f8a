"""PostgreSQL's errors in the contract's words, once.

What it is not: when work is done again (`postgres_server`). The words of a server are never told: they may hold values.
Above: postgres_server, postgres_health. Below: records, errors.

Codes: PostgreSQL's manual, appendix A.
"""

from __future__ import annotations

import psycopg

from kontext_tools.errors import KontextError, StorageBusy, StorageDamaged, StorageFull
from kontext_tools.stores import postgres_schema

AGAIN = frozenset({"40001", "40P01"})
"""The transaction lost against another one and is undone: a deadlock, or an order that cannot be."""
_FULL = frozenset({"53100", "25006", "42501", "58030"})
"""The disk is full, it only reads, a right is missing, a file failed."""
_BUSY = frozenset({"55P03", "57014", "53200", "53300", "53400", "25P03"})
"""A lock or a statement took too long, or the server is out of memory, connections or another limit."""
_GONE = ("08", "57P", "28", "3D")
"""The connection broke, the server stops or starts, it refuses the user, or there is no such database."""


def translated(error: psycopg.Error) -> KontextError:
    """Give the failure of the contract that an error stands for."""
    code = error.sqlstate
    if code in _FULL:
        return StorageFull(
            "The database cannot be written: its disk is full, it only reads, or its user lacks a right.",
            fix="A person must free space on the PostgreSQL server or grant the user of KONTEXT_DATABASE_URL rights.",
        )
    if code in _BUSY or code in AGAIN:
        return StorageBusy(
            "The database is too busy; nothing was sent.",
            fix="Call again in a few seconds; if it stays so, a person must look at what holds it.",
        )
    if (code is None and isinstance(error, psycopg.OperationalError)) or (code or "").startswith(_GONE):
        return unreachable()
    return StorageDamaged(
        "The database is not sound; nothing was sent.",
        fix="A person must look at the PostgreSQL server's log, or let KONTEXT_DATABASE_URL name another database.",
    )


def unreachable() -> StorageBusy:
    """Give the failure of a server that does not answer, or refuses the user."""
    return StorageBusy(
        "The database cannot be reached; nothing was sent.",
        fix="Call again in a few seconds; if it stays so, a person must look at KONTEXT_DATABASE_URL and its server.",
    )


def uncertain() -> StorageBusy:
    """Give the failure of a write whose end was not heard: it may stand."""
    return StorageBusy(
        "The database was lost at the end of a write: whether it was kept is not known; nothing was sent since.",
        fix="Call again in a few seconds with the same arguments: what was recorded is joined, not done twice.",
    )


def refuse_others(version: int, server: int, encoding: str) -> None:
    """Refuse a database that this program cannot use.

    Args:
        version: of its schema.
        server: PostgreSQL's own, such as 150004.
        encoding: of its texts.

    Raises:
        StorageDamaged: its schema is newer, the server too old, or its texts are not UTF-8.
    """
    known = len(postgres_schema.MIGRATIONS)
    if version > known:
        raise StorageDamaged(
            f"The database was made by a newer version of kontext (its schema is {version}, this program knows {known})"
            "; nothing was changed and nothing sent.",
            fix="A person must update kontext-tool-server, or let KONTEXT_DATABASE_URL name another database.",
        )
    if server < 130_000 or encoding != "UTF8":
        raise StorageDamaged(
            "The database cannot be used: it takes PostgreSQL 13 or later, and a database of the encoding UTF8.",
            fix="A person must let KONTEXT_DATABASE_URL name such a database.",
        )
