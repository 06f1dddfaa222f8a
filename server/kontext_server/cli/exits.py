"""Exit codes: one table from a failure's code to what the shell sees.

What this is: CONTRACT.md section 5 as data. What it is not: wording. Above: every command. Below: nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

DONE = 0
FAILED = 1
USAGE = 2
NOT_SET_UP = 3
PROVIDER = 4
BUDGET = 5
INTERRUPTED = 130

EXIT_CODES: Mapping[str, int] = {
    "invalid_argument": USAGE,
    "unknown_ref": FAILED,
    "not_found": FAILED,
    "source_unreadable": FAILED,
    "source_too_large": FAILED,
    "source_not_allowed": FAILED,
    "unsupported_by_provider": USAGE,
    "plan_invalid": USAGE,
    "idempotency_conflict": FAILED,
    "rate_limited": PROVIDER,
    "not_configured": NOT_SET_UP,
    "auth_failed": NOT_SET_UP,
    "out_of_credit": PROVIDER,
    "budget_exceeded": BUDGET,
    "confirmation_needed": BUDGET,
    "moderated": PROVIDER,
    "provider_error": PROVIDER,
    "provider_unavailable": PROVIDER,
    "outcome_unknown": PROVIDER,
    "result_invalid": PROVIDER,
    "result_expired": PROVIDER,
    "storage_full": FAILED,
    "storage_busy": FAILED,
    "storage_damaged": FAILED,
    "cancelled": FAILED,
}


def exit_code(code: str) -> int:
    """Give the exit code of a failure's code; 1 for one that is not in the table."""
    return EXIT_CODES.get(code, FAILED)
