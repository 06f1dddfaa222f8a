"""What the store keeps of calls that are answered later."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from kontext_tools.budget import Caps
from kontext_tools.errors import StorageDamaged
from kontext_tools.stores.tasks import Task
from support.fake_clock import START
from support.places import AnyStore
from support.rows import FOUR_CENTS, a_job

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)


def a_task(task_id: str = "t1", *, created_at: datetime = START) -> Task:
    return Task(
        id=task_id,
        owner="ann",
        kind="job",
        doc={"job": "red-car-4k7q"},
        created_at=created_at,
        updated_at=created_at,
        ends_at=created_at + HOUR,
    )


async def test_a_task_is_given_back_as_it_was_to_its_owner_alone(store: AnyStore) -> None:
    await store.add_task(a_task())
    assert await store.task("ann", "t1", now=START) == a_task()
    assert await store.task("bob", "t1", now=START) is None
    assert await store.task("ann", "t2", now=START) is None


async def test_a_task_is_there_until_its_end_and_not_a_moment_longer(store: AnyStore) -> None:
    await store.add_task(a_task())
    assert await store.task("ann", "t1", now=START + HOUR - timedelta(microseconds=1)) is not None
    assert await store.task("ann", "t1", now=START + HOUR) is None


async def test_a_new_task_clears_away_those_that_are_over(store: AnyStore) -> None:
    await store.add_task(a_task())
    await store.add_task(a_task("t2", created_at=START + HOUR / 2))
    await store.add_task(a_task("t3", created_at=START + HOUR))
    assert await store.task("ann", "t1", now=START) is None
    assert await store.task("ann", "t2", now=START) is not None


async def test_of_two_that_read_the_same_one_only_the_first_to_write_does(store: AnyStore) -> None:
    task = a_task()
    await store.add_task(task)
    moved = await store.move_task(task, {"cancelled": True}, now=START + HOUR / 2)
    assert moved == replace(task, doc={"cancelled": True}, updated_at=START + HOUR / 2, revision=1)
    assert await store.move_task(task, {"job": "another"}, now=START + HOUR / 2) is None
    assert await store.task("ann", "t1", now=START) == moved


async def test_the_job_that_a_yes_has_bought_is_told_to_its_owner_alone(store: AnyStore) -> None:
    job = a_job()
    await store.admit(job, caps=Caps.none(), price=FOUR_CENTS, now=START, nonce="n1")
    assert await store.job_of_yes("ann", "n1") == job.id
    assert (await store.job_of_yes("bob", "n1"), await store.job_of_yes("ann", "n2")) == (None, None)


async def test_a_document_that_is_not_as_it_was_written_is_a_damaged_database(store: AnyStore) -> None:
    await store.add_task(a_task())
    await store._write(lambda db: db.execute("UPDATE tasks SET doc = 'torn'"))  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(StorageDamaged):
        await store.task("ann", "t1", now=START)
