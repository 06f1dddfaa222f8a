"""The trash: files whose rows are gone, removed for good, and the last of their jobs' words.

What this is: the second half of a deletion, which any process can do at any time after the first: a kill in between
leaves keys in the trash, and the next deletion or start of a server takes them. What it is not: the first half
(`stores.forgets`). Above: archive, forgetting. Below: stores.base, blobs.base.

A source that is wanted anew after its row went is kept (`Blobs.renew`), whether or not a row refers to it yet. One
that was read before that moment for a job that is recorded after it is lost: that job fails before anything is sent.
"""

from __future__ import annotations

from kontext_tools.blobs.base import Blobs
from kontext_tools.stores.base import Store

AT_ONCE = 500
"""So many files are removed before their keys are: a kill costs no more than to look for them again."""


class Trash:
    """The trash of one store and its blobs."""

    def __init__(self, store: Store, blobs: Blobs) -> None:
        self._store = store
        self._blobs = blobs

    async def empty(self) -> bool:
        """Remove every file that no row refers to any more, and its job's words; false where a file is left."""
        waiting = await self._store.trash()
        if waiting:
            await self._store.wipe()
        whole = True
        while waiting:
            batch, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
            left = await self._blobs.remove({one.key: one.since for one in batch})
            await self._store.empty_trash([one for one in batch if one.key not in left])
            whole = whole and not left
        return whole
