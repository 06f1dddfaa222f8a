"""The clock that the engine lives by, so that a test can move it.

Above: engine, studio. Below: nothing. Rows hold UTC wall time, for it is shared by processes; waits run on the
monotonic clock.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, tzinfo
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


class LocalZone(tzinfo):
    """The zone that this machine is set to, with the rules of each day: yesterday may have had another offset."""

    def utcoffset(self, dt: datetime | None) -> timedelta | None:
        """Give the offset that held, or will, at a local time."""
        return None if dt is None else dt.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, dt: datetime | None) -> timedelta | None:  # noqa: ARG002  # tzinfo's signature
        """Give nothing: the offset tells all that is asked here."""
        return None

    def tzname(self, dt: datetime | None) -> str | None:
        """Give the zone's short name at a local time."""
        return None if dt is None else dt.replace(tzinfo=None).astimezone().tzname()

    def fromutc(self, dt: datetime) -> datetime:
        """Give the local time of a UTC time."""
        return dt.replace(tzinfo=UTC).astimezone().replace(tzinfo=self)
