"""Who waits together is served together, and nobody pays for another's mistake."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Generator
from functools import partial
from pathlib import Path

import anyio
import pytest

from kontext_tools.stores.sqlite_database import SqliteDatabase
from kontext_tools.stores.turns import MOST_AT_ONCE, Turns

pytestmark = pytest.mark.anyio


class Table:
    """A table of numbers, and how often its transaction began. `held` keeps the thread until it is let go."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=SqliteDatabase)
        self.db.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY)")
        self.began: list[bool] = []
        self.held = threading.Event()
        self.turns = Turns(self.begin, writes=True)

    def begin(self, durable: bool) -> SqliteDatabase:
        """Begin a transaction."""
        self.began.append(durable)
        self.db.execute("BEGIN IMMEDIATE")
        return self.db

    async def add(self, number: int, *, durable: bool = False) -> int:
        """Add a number; one that is there already is an error."""
        return await self.turns.take(partial(self._add, number), durable=durable)

    async def hold(self) -> None:
        """Keep the thread in a turn until `held` is set."""
        await self.turns.take(lambda _: self.held.wait())

    @staticmethod
    def _add(number: int, db: sqlite3.Connection) -> int:
        db.execute("INSERT INTO numbers VALUES (?)", (number,))
        return number * 10

    def numbers(self) -> list[int]:
        """Give what is there."""
        return [row[0] for row in self.db.execute("SELECT number FROM numbers ORDER BY number")]


@pytest.fixture
def table(tmp_path: Path) -> Generator[Table]:
    made = Table(tmp_path / "numbers.db")
    yield made
    made.held.set()
    made.db.close()


async def test_those_who_come_together_share_one_transaction_and_each_gets_its_own_answer(table: Table) -> None:
    answers: dict[int, int] = {}

    async def one(number: int) -> None:
        answers[number] = await table.add(number)

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(one, number)
    assert answers == {number: number * 10 for number in range(20)}
    assert table.numbers() == list(range(20))
    assert len(table.began) == 1


async def test_a_transaction_is_durable_where_one_of_its_turns_must_be(table: Table) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(table.add, 1)
        tasks.start_soon(partial(table.add, 2, durable=True))
    await table.add(3)
    assert table.began == [True, False]


async def test_a_long_line_is_served_in_several_transactions_in_order(table: Table) -> None:
    order: list[int] = []

    async def one(number: int) -> None:
        await table.turns.take(lambda _: order.append(number))

    async with anyio.create_task_group() as tasks:
        for number in range(MOST_AT_ONCE * 2 + 1):
            tasks.start_soon(one, number)
    assert order == list(range(MOST_AT_ONCE * 2 + 1))
    assert len(table.began) == 3


async def test_a_turn_that_fails_undoes_itself_and_none_of_the_others(table: Table) -> None:
    failed: list[int] = []

    async def one(number: int) -> None:
        try:
            await table.add(number)
        except sqlite3.IntegrityError:
            failed.append(number)

    async with anyio.create_task_group() as tasks:
        for number in (1, 2, 2, 3):
            tasks.start_soon(one, number)
    # Twice: together, and then each apart.
    assert (table.numbers(), failed, len(table.began)) == ([1, 2, 3], [2], 2)
    with pytest.raises(sqlite3.IntegrityError):
        await table.add(3)
    assert await table.add(4) == 40


async def test_a_transaction_that_is_void_is_an_error_for_all_of_it(table: Table) -> None:
    def void(db: sqlite3.Connection) -> None:
        db.execute("ROLLBACK")  # as SQLite does by itself on a full disk
        raise sqlite3.OperationalError("database or disk is full")

    failed: list[str] = []

    async def one(number: int) -> None:
        try:
            await (table.turns.take(void) if number == 2 else table.add(number))
        except sqlite3.OperationalError as error:
            failed.append(str(error))

    async with anyio.create_task_group() as tasks:
        for number in (1, 2, 3):
            tasks.start_soon(one, number)
    assert (table.numbers(), failed) == ([], ["database or disk is full"] * 3)
    await table.add(5)
    assert table.numbers() == [5]


async def test_one_that_is_cancelled_while_it_waits_takes_its_work_back(table: Table) -> None:
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(table.hold)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(table.add, 1)
            cancelled = anyio.CancelScope()

            async def leaves() -> None:
                with cancelled:
                    await table.add(2)

            tasks.start_soon(leaves)
            await anyio.wait_all_tasks_blocked()
            cancelled.cancel()
            await anyio.wait_all_tasks_blocked()
            table.held.set()
    assert table.numbers() == [1]


async def test_one_that_leads_serves_the_others_though_its_own_caller_went_away(table: Table) -> None:
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(table.hold)
            await anyio.wait_all_tasks_blocked()
            cancelled = anyio.CancelScope()

            async def leads() -> None:
                with cancelled:
                    await table.add(1)

            tasks.start_soon(leads)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(table.add, 2)
            await anyio.wait_all_tasks_blocked()
            cancelled.cancel()
            table.held.set()
    assert table.numbers() == [1, 2]


async def test_one_whose_work_has_begun_is_let_go_only_at_its_end(table: Table) -> None:
    ended: list[str] = []
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            cancelled = anyio.CancelScope()

            async def leaves() -> None:
                with cancelled:
                    try:
                        await table.add(1)
                    finally:
                        ended.append("left")

            tasks.start_soon(table.hold)
            tasks.start_soon(leaves)
            await anyio.wait_all_tasks_blocked()
            cancelled.cancel()
            await anyio.wait_all_tasks_blocked()
            assert ended == []
            table.held.set()
    assert (table.numbers(), ended) == ([1], ["left"])


async def test_one_that_is_cancelled_already_begins_nothing(table: Table) -> None:
    with anyio.CancelScope() as cancelled:
        cancelled.cancel()
        await table.add(1)
    assert (table.numbers(), table.began) == ([], [])
