"""A clock that stands still until a test moves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import anyio
import anyio.lowlevel

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@dataclass(slots=True, eq=False)
class _Sleeper:
    deadline: float
    woken: anyio.Event = field(default_factory=anyio.Event)


class FakeClock:
    """A `kontext_tools.clocks.Clock` that a test moves: nobody waits in real time.

    `await clock.sleepers(n)` until n waits stand, `clock.advance(s)` to let s seconds pass: the waits that are over
    return in the order of their deadlines (of equal ones: in the order in which they began).
    """

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._passed_s = 0.0
        self._set_by_s = 0.0
        self._sleepers: list[_Sleeper] = []
        self._came = anyio.Event()
        self.at_work: list[Callable[[], int]] = []
        """Who lives by this clock, as how many things each is doing: time that ran away from them would be a fault."""

    @property
    def busy(self) -> bool:
        """Whether anybody who lives by it is doing something."""
        return any(doing() for doing in self.at_work)

    @property
    def waiting(self) -> int:
        """How many waits stand; one that is over but whose waiter has not run yet does not."""
        return sum(not sleeper.woken.is_set() for sleeper in self._sleepers)

    def now(self) -> datetime:
        """Give the wall time, UTC."""
        return self._start + timedelta(seconds=self._passed_s + self._set_by_s)

    def monotonic(self) -> float:
        """Give seconds since the clock was made."""
        return self._passed_s

    def advance(self, seconds: float) -> None:
        """Let time pass, and wake the waits that are over."""
        assert seconds >= 0, "a clock never goes back"
        self._passed_s += seconds
        over = [sleeper for sleeper in self._sleepers if sleeper.deadline <= self._passed_s]
        for sleeper in sorted(over, key=lambda sleeper: sleeper.deadline):
            sleeper.woken.set()

    def set_by(self, seconds: float) -> None:
        """Set the wall time, forward or back, as a person or a time server does; no wait is over by it."""
        self._set_by_s += seconds

    async def sleepers(self, count: int = 1) -> None:
        """Wait until at least so many waits stand."""
        while self.waiting < count:
            self._came = anyio.Event()
            await self._came.wait()

    async def wait(self, event: anyio.Event, seconds: float) -> bool:
        """Wait for the event, at most until the clock was advanced so far; whether it came."""
        if event.is_set() or seconds <= 0:
            await anyio.lowlevel.checkpoint()
            return event.is_set()
        sleeper = _Sleeper(self._passed_s + seconds)
        self._sleepers.append(sleeper)
        self._came.set()
        try:
            async with anyio.create_task_group() as either:

                async def first() -> None:
                    await event.wait()
                    sleeper.woken.set()

                either.start_soon(first)
                await sleeper.woken.wait()
                either.cancel_scope.cancel()
        finally:
            self._sleepers.remove(sleeper)
        return event.is_set()
