"""Who joins an earlier call, and who may not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from inline_snapshot import snapshot

from kontext_tools.errors import IdempotencyConflict, OutcomeUnknown
from kontext_tools.jobs import Job, SendState
from kontext_tools.stores.repeats import joinable, same_key
from support.fake_clock import START
from support.rows import a_job


def ended(state: SendState, *, delivered: bool = False) -> Job:
    job = a_job()
    sends = tuple(replace(send, state=state) for send in job.sends)
    return replace(job, sends=sends, ended_at=START, delivered=delivered)


def test_a_call_that_repeats_nothing_joins_nothing() -> None:
    assert joinable(None, START) is None


@pytest.mark.parametrize("state", [SendState.QUEUED, SendState.INTENT, SendState.SUBMITTED, SendState.READY])
def test_a_running_job_is_joined_however_old_it_is(state: SendState) -> None:
    job = replace(ended(state), ended_at=None)
    assert joinable(job, START + timedelta(days=3)) is job


@pytest.mark.parametrize("state", [SendState.COMPLETED, SendState.FAILED, SendState.CANCELLED])
def test_an_ended_job_is_joined_for_ten_minutes_unless_its_answer_was_delivered(state: SendState) -> None:
    job = ended(state)
    assert joinable(job, START + timedelta(seconds=599)) is job
    assert joinable(job, START + timedelta(seconds=600)) is None
    assert joinable(ended(state, delivered=True), START + timedelta(seconds=1)) is None


@pytest.mark.parametrize("delivered", [False, True])
def test_after_unknown_nothing_is_sent_again_for_a_day_whether_or_not_it_was_told(delivered: bool) -> None:
    job = ended(SendState.UNKNOWN, delivered=delivered)
    with pytest.raises(OutcomeUnknown) as caught:
        joinable(job, START + timedelta(hours=23, minutes=59))
    assert caught.value.failure.to_dict() == snapshot(
        {
            "code": "outcome_unknown",
            "message": "Nothing was sent: the identical call red-car-4k7q was sent before, got no answer and may have "
            "been charged.",
            "fix": "Let a person look at the provider's own list of jobs; to try again on purpose, call again with a "
            "new request_key.",
            "retryable": False,
            "billed": "unknown",
            "job_id": "red-car-4k7q",
        }
    )
    assert joinable(job, START + timedelta(hours=24)) is None


def test_a_key_gives_its_job_for_the_same_arguments_and_a_conflict_for_others() -> None:
    job = a_job(request_key="mine", key_digest="same")
    assert same_key(job, "same") is job
    with pytest.raises(IdempotencyConflict) as caught:
        same_key(job, "other")
    assert caught.value.failure.field == "request_key"
    assert caught.value.failure.job_id == "red-car-4k7q"
