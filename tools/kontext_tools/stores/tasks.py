"""A store keeps tasks: rows by which a caller comes back for what became of one call.

What this is: the value and the part of the seam that holds it. What it is not: what a task stands for (its `kind` says
who reads its `doc`), how long it lasts or how its id is drawn (`kontext_tools.tasks`). Above: tasks, stores.base.
Below: nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One call that its caller comes back for.

    Attributes:
        id: at least 128 random bits: who holds it may ask, if it is theirs.
        owner: whose it is; every look-up takes it.
        kind: whose business it is.
        doc: what that kind keeps of it, as JSON.
        created_at: UTC.
        updated_at: when `doc` was last written, UTC.
        ends_at: when it is forgotten, UTC.
        revision: how often `doc` was written since; a write on top of another one is refused.
    """

    id: str
    owner: str
    kind: str
    doc: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    ends_at: datetime
    revision: int = 0


class TaskStore(Protocol):
    """Where tasks live."""

    async def add_task(self, task: Task) -> None:
        """Record a task, durable before this returns; those whose time is over by then are forgotten."""
        ...

    async def task(self, owner: str, task_id: str, *, now: datetime) -> Task | None:
        """Give one of the owner's tasks, while its time is not over."""
        ...

    async def move_task(self, task: Task, doc: Mapping[str, Any], *, now: datetime) -> Task | None:
        """Write what a task has become; `None` where it was written since it was read."""
        ...

    async def job_of_yes(self, owner: str, nonce: str) -> str | None:
        """Give the id of the job that a person's yes has bought."""
        ...
