"""What the statements need of a database: rows for SQL, the words in which dialects differ, and keeping others out.

What this is: the seam below the statements (`sql_*`), which are one set for every database, for the rules of money
stand in them. They are written in the SQL that both SQLite and PostgreSQL speak; what differs is named here. What it
is not: connections, transactions or errors (`sqlite_file`, `postgres_server`). Above: sql_*. Below: nothing.

Values are marked in SQLite's ways, `?`, `?1` and `:name`. Numbers are integers of 64 bits; there are no booleans.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Rows(Protocol):
    """What a statement gave, each row a tuple."""

    @property
    def rowcount(self) -> int:
        """How many rows it wrote."""
        ...

    def fetchone(self) -> Any:
        """Give the next row, or `None`."""
        ...

    def fetchall(self) -> list[Any]:
        """Give the rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """Give row by row."""
        ...


class Matching(Protocol):
    """How a database finds images by the words of their jobs."""

    @property
    def source(self) -> str:
        """The tables to be walked, in order, where words are looked for; `outputs` is one."""
        ...

    @property
    def place(self) -> str:
        """The column of that walk that holds an image's place."""
        ...

    @property
    def where(self) -> str:
        """The condition of that walk, with the value `:match`."""
        ...

    @property
    def among(self) -> str:
        """The condition on images that are reached otherwise, with the value `:match`."""
        ...

    def asked(self, owner: str, words: Sequence[str], *, any_word: bool, provider: str | None) -> str | None:
        """Give the value `:match`, the last word as a beginning; `None` where there is nothing to match."""
        ...


class Database(Protocol):
    """A database within a transaction."""

    in_order: str
    """A join whose left side is walked first, where the planner can be told."""
    holding: str
    """At a query's end: keep its rows of `sends` from every other transaction until this one ends."""
    passing: str
    """At a query's end: likewise all its rows, but pass over those that another transaction keeps."""

    @property
    def matching(self) -> Matching:
        """How it finds words."""
        ...

    def execute(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ..., /) -> Rows:
        """Execute a statement."""
        ...

    def executemany(self, sql: str, values: Iterable[Sequence[Any]], /) -> object:
        """Execute a statement once for each of the values."""
        ...

    def by_index(self, name: str, /) -> str:
        """Give what follows a table's name so that it is walked by this index, where the planner can be told."""
        ...

    def alone(self, owner: str, /) -> None:
        """Wait until no other transaction has an owner to itself, and have it until this one ends.

        Every write that touches an owner's jobs, plans, tasks or ledger does so before it reads: caps, keys, places and
        fences are judged by what it reads.
        """
        ...

    def alone_with(self, job_id: str, /) -> None:
        """Have a job's owner to itself; nothing where there is no such job."""
        ...

    def alone_claiming(self) -> None:
        """Be the only one that claims, or moves a gate: slots and probes are counted over all processes.

        Who has an owner to itself never asks for this, nor the other way round: they would wait for each other.
        """
        ...


Work = Callable[[Database], T]
"""What is done in one transaction. It is a function of the database alone: it may be undone and done again."""


class Transactions:
    """Does work in transactions of a database."""

    @abstractmethod
    async def open(self) -> None:
        """Open and migrate. A failure shows again at every verb, which tries once more."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of the database."""

    @abstractmethod
    async def _write(self, work: Work[T], *, durable: bool = True) -> T:
        """Do work, all or nothing; `durable` is false for what a power cut may undo."""

    @abstractmethod
    async def _read(self, work: Work[T]) -> T:
        """Do work that only reads, from one moment's rows."""
