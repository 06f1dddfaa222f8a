"""A call that repeats an earlier one: whose job it gets, or why nothing is sent; pure.

What this is: the rules of `request_key`, of joining and of the guard after `unknown`, the same for every store. What it
is not: finding the earlier job (the stores). Above: studio, the stores. Below: jobs, errors.
"""

from __future__ import annotations

from datetime import datetime

from kontext_tools.doubts import go_on
from kontext_tools.errors import IdempotencyConflict, OutcomeUnknown
from kontext_tools.jobs import Job, JobStatus

JOIN_WITHIN_S = 600.0
"""An ended job whose answer reached nobody is joined by an identical call for so long."""

UNKNOWN_GUARD_S = 86_400.0
"""After `unknown`, an identical call sends nothing for so long."""


def same_key(earlier: Job, key_digest: str) -> Job:
    """Give the job of a request_key, if it was asked with the same arguments.

    Raises:
        IdempotencyConflict: it was asked with others.
    """
    if earlier.key_digest == key_digest:
        return earlier
    raise IdempotencyConflict(
        f"Nothing was sent: this request_key belongs to {earlier.id}, which was asked with other arguments.",
        fix="Call again with another request_key, or with the arguments of that job.",
        field="request_key",
        job_id=earlier.id,
    )


def joinable(twin: Job | None, now: datetime) -> Job | None:
    """Give the earlier identical job that a call without a key joins: it runs, or its answer reached nobody.

    Raises:
        OutcomeUnknown: it ended unknown less than 24 hours ago; nothing may be sent again by itself.
    """
    if twin is None or not twin.status.ended:
        return twin
    ended_s = (now - (twin.ended_at or twin.created_at)).total_seconds()
    if twin.status is JobStatus.UNKNOWN and ended_s < UNKNOWN_GUARD_S:
        searched = f"It is still looked for: call get_status(job_id='{twin.id}'). " if twin.searched else ""
        again = "to try again on purpose, call again with a new request_key" if twin.plan is None else go_on(twin)
        raise OutcomeUnknown(
            f"Nothing was sent: the identical call {twin.id} was sent before, got no answer and may have been charged.",
            fix=f"{searched}Let a person look at the provider's own list of jobs; {again}.",
            job_id=twin.id,
        )
    return twin if not twin.delivered and ended_s < JOIN_WITHIN_S else None
