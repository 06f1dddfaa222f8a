"""Calls that are answered later: a caller gets an id at once, and comes back with it for what became of the call.

What this is: how such an id is drawn, how long it holds, and what of a call's arguments a row may keep while a person
is asked. What it is not: a protocol's tasks (`kontext_server.surface.tasks`), the row (`stores.tasks`) or the work
(`studio`). Above: app, surface. Below: stores.tasks, inputs, shelf.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

from kontext_tools.clocks import Clock
from kontext_tools.data_uris import encoded, is_data_uri
from kontext_tools.errors import KontextError
from kontext_tools.images import ImageFacts
from kontext_tools.inputs import Inputs
from kontext_tools.questions import Yes
from kontext_tools.shelf import Shelf
from kontext_tools.stores.tasks import Task, TaskStore

LASTS = timedelta(hours=24)
"""So long an id holds: who comes back the next day still finds what became of it. The job itself stays until a
person deletes it."""
ID_BYTES = 24
_IMAGE = "image"
"""The one argument that may hold a picture's bytes, at any depth: a plan's steps have it as well."""


class Tasks:
    """Tasks over one store."""

    def __init__(self, store: TaskStore, inputs: Inputs, shelf: Shelf, clock: Clock) -> None:
        self._store = store
        self._inputs = inputs
        self._shelf = shelf
        self._clock = clock

    async def make(self, owner: str, kind: str, doc: Mapping[str, Any]) -> Task:
        """Record a task; it is on the disk when this returns."""
        now = self._clock.now()
        task = Task(
            id=secrets.token_hex(ID_BYTES),
            owner=owner,
            kind=kind,
            doc=doc,
            created_at=now,
            updated_at=now,
            ends_at=now + LASTS,
        )
        await self._store.add_task(task)
        return task

    async def once(self, owner: str, kind: str, name: str) -> bool:
        """Take a name that nobody guesses, once for all processes on the store; false where it was taken before.

        It is remembered as long as a task is. Raises `KontextError` where the store cannot tell: then it is not taken.
        """
        now = self._clock.now()
        if await self._store.task(owner, name, now=now) is not None:
            return False
        taken = Task(id=name, owner=owner, kind=kind, doc={}, created_at=now, updated_at=now, ends_at=now + LASTS)
        try:
            await self._store.add_task(taken)
        except KontextError:
            # No two rows have one id: another may have been first.
            if await self._store.task(owner, name, now=now) is None:
                raise
            return False
        return True

    async def find(self, owner: str, task_id: str) -> Task | None:
        """Give one of the owner's tasks; what is another's, is over and never was read the same."""
        return await self._store.task(owner, task_id, now=self._clock.now())

    async def move(self, task: Task, doc: Mapping[str, Any]) -> Task | None:
        """Write what a task has become; `None` where another wrote since it was read."""
        return await self._store.move_task(task, doc, now=self._clock.now())

    async def bought(self, owner: str, yes: Yes) -> str | None:
        """Give the id of the job that a person's yes has bought, if it has."""
        return await self._store.job_of_yes(owner, yes.nonce)

    async def kept(self, owner: str, arguments: Any) -> Any:
        """Give a call's arguments as a row may keep them: a picture's bytes go on the shelf, by their proof.

        Raises what `Inputs.load` does.
        """
        if isinstance(arguments, Mapping):
            fields = cast("Mapping[str, Any]", arguments).items()
            return {name: await self._kept_field(owner, name, value) for name, value in fields}
        if isinstance(arguments, list):
            return [await self.kept(owner, item) for item in cast("list[Any]", arguments)]
        return arguments

    async def restored(self, arguments: Any) -> Any:
        """Give back what `kept` was given, the picture cleaned.

        Raises:
            ResultInvalid: the kept file was changed or removed since.
        """
        if isinstance(arguments, Mapping):
            fields = cast("Mapping[str, Any]", arguments).items()
            return {name: await self._restored_field(name, value) for name, value in fields}
        if isinstance(arguments, list):
            return [await self.restored(item) for item in cast("list[Any]", arguments)]
        return arguments

    async def _kept_field(self, owner: str, name: str, value: Any) -> Any:
        if name != _IMAGE or not isinstance(value, str) or not is_data_uri(value.strip()):
            return await self.kept(owner, value)
        source = (await self._inputs.load(owner, value)).source
        assert source.facts is not None
        return {"blob": source.blob, "facts": source.facts.to_dict()}

    async def _restored_field(self, name: str, value: Any) -> Any:
        if name != _IMAGE or not isinstance(value, Mapping):
            return await self.restored(value)
        kept = cast("Mapping[str, Any]", value)
        facts = ImageFacts.from_dict(kept["facts"])
        return encoded(await self._shelf.read(kept["blob"], facts), facts.media_type)
