"""What a person and a model are told of a job that nobody knows the fate of."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from inline_snapshot import snapshot

from kontext_tools import doubts
from kontext_tools.errors import Billed, OutcomeUnknown
from kontext_tools.jobs import Job, SendState, Sought
from support.fake_clock import START
from support.rows import a_job

LOST = OutcomeUnknown("Sent to fal and no answer came: it may have been charged.", fix="look").failure


def lost(*sought: Sought, **more: Any) -> Job:
    job = a_job(sends=len(sought))
    sends = [
        replace(
            send,
            state=SendState.UNKNOWN,
            failure=LOST,
            sought=how,
            searches=10,
            sent_at=START + timedelta(seconds=send.n),
            **more,
        )
        for send, how in zip(job.sends, sought, strict=True)
    ]
    return replace(job, sends=tuple(sends))


@pytest.mark.parametrize(
    ("sought", "seen"),
    [
        (Sought.NO, ""),
        (
            Sought.NOT_SHOWN,
            " Its list, asked 10 times since, shows no job that is certainly this one; that proves nothing.",
        ),
        (Sought.SEVERAL, " Its list shows more than one job that could be this one."),
        (Sought.UNANSWERED, " Its list could not be read for a day."),
    ],
)
def test_what_was_seen_is_told_and_what_to_look_for_and_how_to_try_again(sought: Sought, seen: str) -> None:
    failure = doubts.told(lost(sought))
    assert failure is not None
    assert (failure.code, failure.billed) == ("outcome_unknown", Billed.UNKNOWN)
    assert failure.message == f"{LOST.message}{seen}"
    assert failure.fix == snapshot(
        "Let a person look at the list of jobs at fal (fal-ai/flux-pro/kontext, 1 image, sent 2026-11-20 12:00:01 "
        "UTC); to try again on purpose, call again with a new request_key."
    )


def test_while_it_is_looked_for_the_next_call_is_to_wait_for_it() -> None:
    failure = doubts.told(lost(Sought.LOOKING))
    assert failure is not None
    assert failure.message == LOST.message
    assert failure.fix == snapshot(
        "It is being looked for in the list at fal: call get_status(job_id='red-car-4k7q', wait_seconds=25). To try "
        "again on purpose, let a person look there first (fal-ai/flux-pro/kontext, 1 image, sent 2026-11-20 12:00:01 "
        "UTC), then call again with a new request_key."
    )


def test_several_lost_creates_are_counted_from_the_first_one_on() -> None:
    failure = doubts.told(lost(Sought.NO, Sought.NOT_SHOWN))
    assert failure is not None
    assert "fal-ai/flux-pro/kontext, 2 images, sent 2026-11-20 12:00:01 UTC" in failure.fix
    assert "asked 10 times" in failure.message


def test_while_one_of_several_is_looked_for_the_others_are_not_given_up() -> None:
    failure = doubts.told(lost(Sought.NOT_SHOWN, Sought.LOOKING))
    assert failure is not None
    assert failure.fix.startswith("It is being looked for")


def test_every_other_failure_is_told_as_it_is() -> None:
    job = lost(Sought.NO)
    failed = replace(job, sends=tuple(doubts.resolved(send, START, charged=True) for send in job.sends))
    assert doubts.told(failed) is failed.failure
    assert doubts.told(a_job()) is None


@pytest.mark.parametrize("charged", [True, False])
def test_what_a_person_found_ends_the_search(charged: bool) -> None:
    (send,) = lost(Sought.LOOKING).sends
    ended = doubts.resolved(send, START, charged=charged)
    assert (ended.state, ended.searched, ended.sought) == (SendState.FAILED, False, Sought.NO)
    assert ended.failure is not None
    assert ended.failure.billed is (Billed.YES if charged else Billed.NO)
