"""Waiting for what another process does: a condition is asked again until it holds, or a deadline says that it won't.

What this is: for tests that look at real processes from outside. What it is not: for what runs in the test's own
process, which has events and a fake clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_PAUSE_S = 0.005
_NEVER = threading.Event()


def holds(condition: Callable[[], bool], *, within_s: float) -> bool:
    """Whether a condition comes to hold within so many seconds; it is left as soon as it does."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        _NEVER.wait(_PAUSE_S)
    return True


def until(condition: Callable[[], bool], what: str, *, within_s: float = 40.0) -> None:
    """Wait until a condition holds; the test fails with `what` where it does not come to."""
    assert holds(condition, within_s=within_s), f"it never came to this: {what}"
