"""When to ask a provider again; pure, time comes in as an argument.

Above: engine. Below: nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 5.0
SHARE_OF_WAITED = 0.15
JITTER = 0.1
SHARE_OF_WAITED_CALLED = 1.0
FIRST_WAIT_CALLED_S = 2.0
LONGEST_WAIT_CALLED_S = 30.0
SHORTEST_RETRY_AFTER_S = 0.5
LONGEST_RETRY_AFTER_S = 60.0
DEFAULT_RETRY_AFTER_S = 2.0
FIRST_SEARCH_S = 2.0
LONGEST_SEARCH_WAIT_S = 120.0
SEARCHES = 10
"""A host whose list did not show a job so often, over ten minutes, is not asked for it any more."""
MAX_ATTEMPTS = 5
ATTEMPTS_WITHIN_S = 120.0


def next_look_s(waited_s: float, jitter: float, *, called: bool = False) -> float:
    """Give the seconds until the next look: 15 % of what was waited, within 0.5 and 5 s, +-10 %.

    Where the host is expected to call, a look is only the net below: as long as was waited, within 2 and 30 s.

    Args:
        waited_s: seconds since the job was sent.
        jitter: a draw from -1 to 1.
        called: whether the host is expected to call.

    >>> [next_look_s(waited, 0) for waited in (0, 10, 60)]
    [0.5, 1.5, 5.0]
    >>> [next_look_s(waited, 0, called=True) for waited in (0, 10, 60)]
    [2.0, 10.0, 30.0]
    """
    first_s, share, longest_s = FIRST_WAIT_S, SHARE_OF_WAITED, LONGEST_WAIT_S
    if called:
        first_s, share, longest_s = FIRST_WAIT_CALLED_S, SHARE_OF_WAITED_CALLED, LONGEST_WAIT_CALLED_S
    base = min(longest_s, max(first_s, share * max(0.0, waited_s)))
    return base * (1 + JITTER * jitter)


def back_off_s(attempt: int, jitter: float) -> float:
    """Give the seconds before attempt number `attempt` + 1: 1, 2, 4, 8 ... at most 30, +-10 %."""
    return min(30.0, 2.0 ** max(0, attempt - 1)) * (1 + JITTER * jitter)


def next_search_s(searches: int, jitter: float) -> float:
    """Give the seconds until a host is next asked for a job that got lost: 2, 4, 8 ... at most 120, +-10 %.

    >>> sum(next_search_s(searches, 0) for searches in range(SEARCHES))
    606.0
    """
    return min(LONGEST_SEARCH_WAIT_S, FIRST_SEARCH_S * 2.0 ** min(searches, 10) * (1 + JITTER * jitter))


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Read a Retry-After header, seconds or an HTTP date (RFC 9110, section 10.2.3); `None` where it says nothing.

    The value is not capped: a caller that won't wait that long says so instead (`LONGEST_RETRY_AFTER_S`).
    """
    text = (header or "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            then = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        seconds = ((then if then.tzinfo else then.replace(tzinfo=UTC)) - now).total_seconds()
    return max(SHORTEST_RETRY_AFTER_S, seconds) if seconds == seconds and abs(seconds) != float("inf") else None
