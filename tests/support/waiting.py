"""Waiting for what another process does: a condition is asked again until it holds, or a deadline says that it won't.

What this is: for tests that look at real processes from outside. What it is not: for what runs in the test's own
process, which has events and a fake clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_FIRST_PAUSE_S, _PAUSES_GROW, _LONGEST_PAUSE_S = 0.005, 1.25, 0.03
"""What comes soon is seen soon; what takes its time is not asked for all the while, on the same processor."""
_NEVER = threading.Event()


def holds(condition: Callable[[], bool], *, within_s: float) -> bool:
    """Whether a condition comes to hold within so many seconds; it is left as soon as it does."""
    deadline, pause_s = time.monotonic() + within_s, _FIRST_PAUSE_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        _NEVER.wait(pause_s)
        pause_s = min(pause_s * _PAUSES_GROW, _LONGEST_PAUSE_S)
    return True


def until(condition: Callable[[], bool], what: str, *, within_s: float = 40.0) -> None:
    """Wait until a condition holds; the test fails with `what` where it does not come to."""
    assert holds(condition, within_s=within_s), f"it never came to this: {what}"
