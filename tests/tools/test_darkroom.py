"""Where pixels are worked on: so many at once, and what was made lately."""

from __future__ import annotations

import platform
import subprocess
import sys
import threading

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskStatus
from hypothesis import given
from hypothesis import strategies as st

from kontext_tools import darkroom
from kontext_tools.darkroom import AT_ONCE, Recent

pytestmark = pytest.mark.anyio


GROWN = """
from pathlib import Path
import resource
import sys
import anyio
from kontext_tools import darkroom

def held_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6

if sys.argv[1] == "worked":
    anyio.run(darkroom.work, len, b"")
large = b"x" * 12_000_000
del large  # from here on the allocator would take 11 MB from its heap
before_mb, small = held_mb(), []
for _ in range(8):
    large = b"x" * 11_000_000
    small.append(b"x" * 900_000)  # lies above it
    del large
print(held_mb() - before_mb)
"""


def grown_mb(how: str) -> float:
    """Give by how much a process has grown when 8 blocks of 11 MB were freed, each below one of 0.9 MB that was not."""
    run = subprocess.run([sys.executable, "-c", GROWN, how], capture_output=True, text=True, timeout=60, check=True)
    return float(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_large_memory_goes_back_to_the_system_once_pixels_were_worked_on() -> None:
    assert grown_mb("not worked") > 11 > grown_mb("worked")


async def test_no_more_than_two_pieces_of_work_are_under_way_and_all_are_done() -> None:
    under_way, most, done = 0, 0, list[int]()
    lock, full = threading.Lock(), threading.Barrier(AT_ONCE)

    def look(number: int) -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        full.wait(10)  # each waits for another: they do run at once
        with lock:
            under_way -= 1
            done.append(number)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for number in range(4 * AT_ONCE):
                tasks.start_soon(darkroom.work, look, number)
    assert most == AT_ONCE
    assert sorted(done) == list(range(4 * AT_ONCE))


async def test_who_is_cancelled_while_waiting_takes_no_place() -> None:
    waiting, over = anyio.Event(), anyio.Event()

    async def hold(*, task_status: TaskStatus[None]) -> None:
        async with darkroom.slot():
            task_status.started()
            await over.wait()

    async def wait() -> None:
        waiting.set()
        async with darkroom.slot():
            raise AssertionError

    with anyio.fail_after(10):
        async with anyio.create_task_group() as holding:
            for _ in range(AT_ONCE):
                await holding.start(hold)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                await waiting.wait()
                await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
            over.set()
        assert await darkroom.work(lambda: "free") == "free"


async def test_what_work_raises_is_raised_and_its_place_is_free_again() -> None:
    for _ in range(2 * AT_ONCE):
        with pytest.raises(ZeroDivisionError):
            await darkroom.work(lambda: 1 // 0)


@given(st.lists(st.tuples(st.integers(0, 5), st.binary(max_size=12)), max_size=40))
def test_what_is_held_is_the_last_of_its_key_and_never_over_the_limit(puts: list[tuple[int, bytes]]) -> None:
    recent, last = Recent(20), dict[int, bytes]()
    for key, made in puts:
        recent.put(key, made)
        last[key] = made
        held = {one: recent.get(one) for one in range(6)}
        assert all(value is None or value == last[one] for one, value in held.items())
        assert sum(len(value) for value in held.values() if value is not None) <= 20
        assert held[key] == made


def test_what_was_asked_for_longest_ago_goes_first() -> None:
    recent = Recent(2)
    recent.put("a", b"1")
    recent.put("b", b"2")
    assert recent.get("a") == b"1"
    recent.put("c", b"3")
    assert [recent.get(key) for key in "abc"] == [b"1", None, b"3"]
