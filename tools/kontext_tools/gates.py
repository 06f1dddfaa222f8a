"""Gates: a provider that asked to wait, or does not answer, is left alone by every process on one store.

What this is: what is reported of a provider's health, and the circuit breaker's numbers. What it is not: keeping what
is gated from being claimed (`stores`). Above: submitting, watching. Below: stores.base, errors.

Five failures in a row close the gate: for `CLOSED_S` nothing is asked of the provider, then one claim is let through to
try. Where it fails the gate closes again, twice as long each time up to `CLOSED_MOST_S`; the first answer opens it.

What concerns one key alone holds nobody else back. A refused key and an empty account are answers: they open a gate.
A 429 to a user's own key is that account's: its send waits as it was asked to, and the provider's other sends go on;
the operator's, which many share, holds creates back. A host that does not answer does so whatever the key.
"""

from __future__ import annotations

from datetime import timedelta

from kontext_tools.clocks import Clock
from kontext_tools.errors import Failure, ProviderUnavailable
from kontext_tools.pacing import DEFAULT_RETRY_AFTER_S, LONGEST_RETRY_AFTER_S
from kontext_tools.stores.base import Store

FAILURES_TO_CLOSE = 5
CLOSED_S = 15.0
CLOSED_MOST_S = 120.0

_UNHEALTHY = frozenset({"provider_unavailable", "outcome_unknown"})


class Gates:
    """Reports of one process. An answer after an answer is not written: it would cost a transaction a look."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._failures: dict[str, int] = {}

    async def failed(self, provider: str, failure: Failure, *, own_key: bool = False) -> None:
        """Report a call that failed; only the provider's own failing counts, a refusal is an answer.

        Args:
            provider: that was called.
            failure: what came of it.
            own_key: whether a user's own key was used.
        """
        now = self._clock.now()
        if failure.code == "rate_limited" and own_key:
            return
        if failure.code == "rate_limited":
            wait_s = min(failure.retry_after_s or DEFAULT_RETRY_AFTER_S, LONGEST_RETRY_AFTER_S)
            await self._store.gate(provider, creates_until=now + timedelta(seconds=wait_s))
        elif failure.code in _UNHEALTHY:
            failures = self._failures[provider] = self._failures.get(provider, 0) + 1
            if failures >= FAILURES_TO_CLOSE:
                closed_s = min(CLOSED_MOST_S, CLOSED_S * 2 ** (failures - FAILURES_TO_CLOSE))
                await self._store.gate(provider, closed_until=now + timedelta(seconds=closed_s))
        else:
            await self.answered(provider)

    def probing(self, provider: str) -> None:
        """Note that the next call tries a gate, which another process may have closed."""
        self._failures[provider] = max(FAILURES_TO_CLOSE, self._failures.get(provider, 0))

    async def answered(self, provider: str) -> None:
        """Report an answer: the gate opens."""
        if self._failures.pop(provider, 0) >= FAILURES_TO_CLOSE:
            await self._store.gate(provider, closed_until=None)


def not_answering(provider: str) -> Failure:
    """Give the failure of a send that was not tried because its provider does not answer."""
    return ProviderUnavailable(
        f"{provider} has not answered for a while; nothing was sent and nothing charged.",
        fix="Call again in a minute, or set provider to another one.",
    ).failure
