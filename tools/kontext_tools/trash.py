"""The trash: files whose rows are gone, removed for good.

What this is: the second half of a deletion, which any process can do at any time after the first: a kill in between
leaves keys in the trash, and the next deletion or start of a server takes them. What it is not: the first half
(`stores.forgets`). Above: archive, forgetting. Below: stores.base, blobs.base.

A source that is kept anew in the moment between the last look at the rows and the removal of its file is lost to the
job that wants it: that job fails before anything is sent, and says that its file was removed.
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
        """Remove every file that no row refers to any more; false where one could not be removed."""
        waiting = list((await self._store.trash()).items())
        whole = True
        while waiting:
            batch, waiting = dict(waiting[:AT_ONCE]), waiting[AT_ONCE:]
            left = await self._blobs.remove(set(batch.values()))
            await self._store.empty_trash([number for number, key in batch.items() if key not in left])
            whole = whole and not left
        return whole
