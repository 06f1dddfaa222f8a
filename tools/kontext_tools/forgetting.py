"""Deleting: what only a person decides, and no model can call.

What this is: which jobs an order means, what is told before the yes, and the two halves of a deletion in their order:
rows, then files. What it is not: the rule of what may go (`stores.forgets`), the files (`trash`) or the question
(`kontext_server.cli`). Above: studio. Below: trash, lookup, since, stores.base.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo

from kontext_tools.clocks import Clock
from kontext_tools.errors import InvalidArgument, KontextError, Refusal
from kontext_tools.lookup import find_job
from kontext_tools.references import parse_ref
from kontext_tools.since import parse_since
from kontext_tools.stores.base import Store
from kontext_tools.stores.forgets import Going, Hold, Old
from kontext_tools.trash import Trash

MOST_AT_ONCE = 200
"""So many jobs go in one transaction, or those of one plan: a server that wants to write waits no longer."""

OnGone = Callable[[int], None]
"""Is told how many jobs are gone so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What became of an order to delete.

    Attributes:
        going: what went.
        skipped: jobs and plans that were meant and stay, by why.
        whole: whether all their files are gone too; what is left goes with the next deletion or start of a server.
    """

    going: Going
    skipped: Counter[Hold] = field(default_factory=Counter[Hold])
    whole: bool = True


class Forgetting:
    """Deletes jobs from one store."""

    def __init__(self, store: Store, trash: Trash, clock: Clock, *, zone: tzinfo = UTC) -> None:
        self._store = store
        self._trash = trash
        self._clock = clock
        self._zone = zone

    async def meant(self, owner: str, names: Sequence[str]) -> Going:
        """Give what goes with the jobs that are named, and with the steps of those that are plans.

        Raises:
            NotFound: one is no job of this owner.
            InvalidArgument: one names a picture, or must stay.
        """
        return await self._store.going(owner, [await self._named(owner, name) for name in names])

    async def forget(self, owner: str, job_ids: Sequence[str]) -> Forgotten:
        """Delete jobs, all or none. Raises `NotFound`, `InvalidArgument`."""
        going = await self._store.forget(owner, job_ids)
        return Forgotten(going=going, whole=await self._tidy())

    async def old(self, owner: str, older_than: str) -> Old:
        """Give what can go of all that ended before a moment: `90d`, `12w`, an ISO date.

        Raises:
            InvalidArgument: it is none, or lies ahead.
        """
        return await self._store.old(owner, before=self._moment(older_than))

    async def prune(self, owner: str, old: Old, on_gone: OnGone) -> Forgotten:
        """Delete what was found to be old, in several transactions; what may go no more by then stays."""
        job_ids, skipped = list[str](), Counter(old.skipped)
        images = size_bytes = 0
        for batch in _batches(old.units):
            for going in await self._gone(owner, batch):
                if going is None:
                    skipped[Hold.CHANGED] += 1
                    continue
                job_ids += going.job_ids
                images, size_bytes = images + going.images, size_bytes + going.size_bytes
            on_gone(len(job_ids))
        went = replace(old.going, job_ids=tuple(job_ids), images=images, size_bytes=size_bytes)
        return Forgotten(going=went, skipped=skipped, whole=await self._tidy())

    async def _gone(self, owner: str, units: Sequence[Sequence[str]]) -> list[Going | None]:
        """Delete units together or, where one may go no more, each by itself; `None` for one that stays."""
        try:
            return [await self._store.forget(owner, [job_id for job_id, *_ in units])]
        except Refusal:
            if len(units) == 1:
                return [None]
        return [going for unit in units for going in await self._gone(owner, [unit])]

    async def _tidy(self) -> bool:
        """Remove the files of what was deleted; the rows are gone, whatever becomes of these."""
        try:
            return await self._trash.empty()
        except KontextError:
            return False

    async def _named(self, owner: str, name: str) -> str:
        ref = parse_ref(name)
        job = await find_job(self._store, owner, name)
        if ref is not None and ref.n is not None:
            raise InvalidArgument(
                f"{name} is one picture, and a job is deleted as a whole; nothing was deleted.",
                fix=f"To delete the whole job: kontext delete {job.id}",
                field="job_id",
            )
        return job.id

    def _moment(self, text: str) -> datetime:
        now = self._clock.now()
        fix = "Write an age such as 90d or 12w, or a day such as 2026-01-31:  kontext prune --older-than 90d"
        try:
            moment = parse_since(text, now, self._zone)
        except InvalidArgument:
            raise InvalidArgument(
                "older_than is no age that is understood here; nothing was deleted.", fix=fix, field="older_than"
            ) from None
        if moment > now:
            raise InvalidArgument("older_than lies ahead; nothing was deleted.", fix=fix, field="older_than")
        return moment


def _batches(units: Sequence[Sequence[str]]) -> Iterator[list[Sequence[str]]]:
    batch, jobs = list[Sequence[str]](), 0
    for unit in units:
        if batch and jobs + len(unit) > MOST_AT_ONCE:
            yield batch
            batch, jobs = [], 0
        batch.append(unit)
        jobs += len(unit)
    if batch:
        yield batch
