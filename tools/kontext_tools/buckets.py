"""Token buckets: so many at once, and so many a second from then on.

What this is: the arithmetic, on the monotonic clock. What it is not: whose bucket it is, or what an empty one leads to
(`callbacks`, `kontext_server.surface.limits`). Above: both. Below: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many at once, and so many a second from then on."""

    burst: int
    per_s: float


@dataclass(slots=True)
class Bucket:
    """What is left at a moment of the monotonic clock."""

    rate: Rate
    left: float
    at_s: float

    @classmethod
    def full(cls, rate: Rate, now_s: float) -> Bucket:
        """Give one that nobody took from."""
        return cls(rate, rate.burst, now_s)

    def wait_s(self, now_s: float) -> float:
        """Fill up for the time that passed; give the seconds until one is left, 0 where one is."""
        self.left = min(self.rate.burst, self.left + (now_s - self.at_s) * self.rate.per_s)
        self.at_s = now_s
        return max(0.0, (1 - self.left) / self.rate.per_s)

    def take(self, now_s: float) -> float:
        """Take one where one is left; give the seconds until one is, 0 where it was taken."""
        wait_s = self.wait_s(now_s)
        if not wait_s:
            self.left -= 1
        return wait_s
