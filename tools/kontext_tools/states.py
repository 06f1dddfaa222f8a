"""The states of a job and of its sends, and the moves between them; pure.

What this is: the table of what may follow what. What it is not: what a send holds (`jobs`), or who moves it (`engine`).
Above: jobs, which gives these names on. Below: nothing.

    queued -> intent -> submitted -> ready -> completed | failed | cancelled
                 |   -> queued      (proven: nothing was taken)
                 |   -> unknown     (sent, no answer)  -> submitted (its remote id came after all) | failed (resolved)
"""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """What a caller is told."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return self not in (JobStatus.PENDING, JobStatus.PROCESSING)


class SendState(StrEnum):
    """Where one create stands."""

    QUEUED = "queued"
    INTENT = "intent"
    SUBMITTED = "submitted"
    READY = "ready"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def ended(self) -> bool:
        """Whether the engine has nothing more to do with it."""
        return self in (SendState.COMPLETED, SendState.FAILED, SendState.CANCELLED, SendState.UNKNOWN)


class Sought(StrEnum):
    """Whether an unknown send is looked for at its host, and how a search that found nothing certain ended."""

    NO = "no"
    LOOKING = "looking"
    NOT_SHOWN = "not_shown"
    SEVERAL = "several"
    UNANSWERED = "unanswered"


S = SendState
MOVES: dict[SendState, frozenset[SendState]] = {
    S.QUEUED: frozenset({S.INTENT, S.FAILED, S.CANCELLED}),
    S.INTENT: frozenset({S.QUEUED, S.SUBMITTED, S.READY, S.FAILED, S.CANCELLED, S.UNKNOWN}),
    S.SUBMITTED: frozenset({S.READY, S.FAILED, S.CANCELLED}),
    S.READY: frozenset({S.COMPLETED, S.FAILED}),
    S.UNKNOWN: frozenset({S.SUBMITTED, S.FAILED}),
    S.COMPLETED: frozenset(),
    S.FAILED: frozenset(),
    S.CANCELLED: frozenset(),
}
"""Each state's allowed next states; staying is always allowed. Nothing leaves completed, failed and cancelled."""


def may_move(old: SendState, new: SendState) -> bool:
    """Whether a send may go from one state to another."""
    return old is new or new in MOVES[old]
