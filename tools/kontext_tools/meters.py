"""What an operator may count while jobs move: who is told, and nobody.

What this is: the seam between our work and whatever adds it up. No prompt, id, owner or key crosses it: providers'
names, states and words of closed sets do. What it is not: how it is added up or shown (`kontext_server.web.metrics`).
Above: submitting, leases, http,
providers.wire. Below: nothing.
"""

from __future__ import annotations

from typing import Protocol


class Meter(Protocol):
    """Is told what happens; takes no time, and never fails."""

    def called(self, tool: str, outcome: str, took_s: float) -> None:
        """A tool's call was answered: `ok`, a failure's code, or another word of a closed set."""
        ...

    def asked(self, provider: str, kind: str, outcome: str, took_s: float) -> None:
        """A provider was asked: `create`, `prepare`, `hand_over`, `look` or `cancel`, and how that went."""
        ...

    def waited(self, provider: str, wait_s: float) -> None:
        """A send goes out for the first time, so long after its job was recorded."""
        ...

    def ended(self, provider: str, state: str, took_s: float | None) -> None:
        """A send ended, so long after it went out; `None` where it never did."""
        ...


class Unmetered:
    """Nobody is told."""

    def called(self, tool: str, outcome: str, took_s: float) -> None:
        """Pass over it."""

    def asked(self, provider: str, kind: str, outcome: str, took_s: float) -> None:
        """Pass over it."""

    def waited(self, provider: str, wait_s: float) -> None:
        """Pass over it."""

    def ended(self, provider: str, state: str, took_s: float | None) -> None:
        """Pass over it."""


UNMETERED = Unmetered()
