"""The machine's clock, and the one that tests move."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from kontext_tools.clocks import Clock, LocalZone, SystemClock
from support.fake_clock import START, FakeClock

pytestmark = pytest.mark.anyio


def test_the_systems_time_is_utc_and_its_seconds_never_go_back() -> None:
    clock: Clock = SystemClock()
    assert clock.now().tzinfo is UTC
    first = clock.monotonic()
    assert clock.monotonic() >= first


async def test_the_system_waits_no_longer_than_for_the_event() -> None:
    event = anyio.Event()
    event.set()
    with anyio.fail_after(5):
        assert await SystemClock().wait(event, 3600)


@pytest.mark.parametrize("seconds", [0, -5, 0.001])
async def test_the_system_gives_up_when_the_time_is_over(seconds: float) -> None:
    with anyio.fail_after(5):
        assert not await SystemClock().wait(anyio.Event(), seconds)


async def test_an_event_that_comes_while_the_system_waits_ends_the_wait() -> None:
    event = anyio.Event()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(SystemClock().wait, event, 3600)
            await anyio.wait_all_tasks_blocked()
            event.set()


def test_a_fake_clock_stands_still_until_it_is_moved() -> None:
    clock = FakeClock()
    assert (clock.now(), clock.monotonic()) == (START, 0.0)
    clock.advance(90)
    assert (clock.now(), clock.monotonic()) == (START + timedelta(seconds=90), 90.0)


async def test_a_fake_clock_wakes_those_whose_time_is_over_in_their_order() -> None:
    clock, woken = FakeClock(), list[float]()
    never = anyio.Event()

    async def sleep(seconds: float) -> None:
        assert not await clock.wait(never, seconds)
        woken.append(seconds)

    async with anyio.create_task_group() as tasks:
        for seconds in (3.0, 1.0, 2.0, 60.0):
            tasks.start_soon(sleep, seconds)
        await clock.sleepers(4)
        clock.advance(2.9)
        await anyio.wait_all_tasks_blocked()
        assert woken == [1.0, 2.0] and clock.waiting == 2
        clock.advance(57.1)
    assert woken == [1.0, 2.0, 3.0, 60.0] and clock.waiting == 0


async def test_a_fake_clock_tells_that_the_event_came() -> None:
    clock, event, told = FakeClock(), anyio.Event(), list[bool]()

    async def sleep() -> None:
        told.append(await clock.wait(event, 10))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sleep)
        await clock.sleepers()
        event.set()
    assert told == [True] and clock.waiting == 0
    assert await clock.wait(event, 10) and not await clock.wait(anyio.Event(), 0)


async def test_a_wait_on_a_fake_clock_can_be_cancelled() -> None:
    clock = FakeClock()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(clock.wait, anyio.Event(), 10)
        await clock.sleepers()
        tasks.cancel_scope.cancel()
    assert clock.waiting == 0


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of a process cannot be set here")
def test_the_local_zone_keeps_the_rules_of_each_day(monkeypatch: pytest.MonkeyPatch) -> None:
    zone = LocalZone()
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "America/New_York")
        time.tzset()
        summer, winter = datetime(2026, 10, 31, tzinfo=zone), datetime(2026, 11, 2, tzinfo=zone)
        assert [day.astimezone(UTC).hour for day in (summer, winter)] == [4, 5]
        assert (summer.tzname(), winter.tzname(), summer.dst()) == ("EDT", "EST", None)
        assert datetime(2026, 11, 20, 3, tzinfo=UTC).astimezone(zone).isoformat() == "2026-11-19T22:00:00-05:00"
    time.tzset()
    assert zone.utcoffset(None) is zone.tzname(None) is None
