"""The clock that the engine lives by, so that a test can move it.

Above: engine, studio. Below: nothing. Rows hold UTC wall time, for it is shared by processes; waits run on the
monotonic clock.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

import anyio


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> datetime:
        """Give the wall time, UTC."""
        ...

    def monotonic(self) -> float:
        """Give seconds that never go back."""
        ...

    async def wait(self, event: anyio.Event, seconds: float) -> bool:
        """Wait for the event, at most so long; whether it came."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Give the wall time, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Give seconds that never go back."""
        return time.monotonic()

    async def wait(self, event: anyio.Event, seconds: float) -> bool:
        """Wait for the event, at most so long; whether it came."""
        with anyio.move_on_after(max(0.0, seconds)):
            await event.wait()
        return event.is_set()
