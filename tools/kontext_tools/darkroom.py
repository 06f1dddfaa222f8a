"""Where pixels are worked on: worker threads, two at once, and what was made lately is at hand.

What this is: the bound on what decoding costs, and that what it took is given back. A picture of 50 megapixels takes
200 MB while it is open, and more threads than cores make none of them faster. What it is not: the work (`images`,
`pixels`, `changes`). Above: archive, gallery, originals, shelf, sources. Below: nothing.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

AT_ONCE = 2
"""RELIABILITY.md section 7."""
M_MMAP_THRESHOLD = -3
LARGE_BYTES = 1 << 20

T = TypeVar("T")

_slots = anyio.lowlevel.RunVar[anyio.CapacityLimiter]("_slots")


@asynccontextmanager
async def slot() -> AsyncGenerator[None]:
    """Hold one of the two places, for whoever reads pictures whole before work on them. It is not entered twice."""
    try:
        slots = _slots.get()
    except LookupError:
        give_back_large_blocks()
        slots = anyio.CapacityLimiter(AT_ONCE)
        _slots.set(slots)
    async with slots:
        yield


def give_back_large_blocks() -> None:
    """Let memory of a megabyte and more go back to the system as soon as it is freed.

    Else glibc's allocator learns to keep such blocks: once one was freed, others up to its size, or 32 MB, come from
    the heap of whichever thread asks, and what lies between small ones stays (mallopt(3), M_MMAP_THRESHOLD). Fifty
    edits of 10 MB pictures at once held a third less. Other allocators are left as they are.
    """
    import ctypes

    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # not glibc
            ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)


async def work(task: Callable[..., T], *args: object) -> T:
    """Do one piece of work on pixels in a worker thread, in a place of its own; raises what the work raises."""
    async with slot():
        return await anyio.to_thread.run_sync(task, *args)


class Recent:
    """Bytes that were made lately, by what they were made of; what was not asked for longest goes first.

    Args:
        most_bytes: of all together.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._held_bytes = 0
        self._made: OrderedDict[Hashable, bytes] = OrderedDict()

    def get(self, key: Hashable) -> bytes | None:
        """Give what was made, where it is still held."""
        made = self._made.get(key)
        if made is not None:
            self._made.move_to_end(key)
        return made

    def put(self, key: Hashable, made: bytes) -> None:
        """Hold it; of the same key the earlier goes."""
        self._held_bytes += len(made) - len(self._made.pop(key, b""))
        self._made[key] = made
        while self._held_bytes > self._most_bytes:
            _, gone = self._made.popitem(last=False)
            self._held_bytes -= len(gone)
