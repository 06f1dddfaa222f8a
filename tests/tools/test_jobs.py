"""The state machine of a send, and what a job tells of its sends."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kontext_tools.budget import Price, Unit
from kontext_tools.errors import Billed, Failure
from kontext_tools.jobs import JobStatus, Send, SendState, dropped, may_move, priced, status_of, unsent
from kontext_tools.states import MOVES
from support.fake_clock import START
from support.rows import a_job, a_send, usd

S = SendState
FINAL = {S.COMPLETED, S.FAILED, S.CANCELLED}
STATES = st.sampled_from(SendState)
WAYS = st.lists(STATES, max_size=30)


def sends(*states: SendState, working: bool = False) -> list[Send]:
    return [a_send("red-car-4k7q", n, state=state, working=working) for n, state in enumerate(states, start=1)]


def walked(way: list[SendState]) -> list[SendState]:
    """Give the states that a send goes through when it is told to go this way and only allowed moves are made."""
    states = [S.QUEUED]
    for state in way:
        if may_move(states[-1], state):
            states.append(state)
    return states


def test_every_state_has_its_moves() -> None:
    assert MOVES.keys() == set(SendState)


@given(WAYS)
def test_nothing_ever_leaves_completed_failed_and_cancelled(way: list[SendState]) -> None:
    states = walked(way)
    for before, after in pairwise(states):
        assert before not in FINAL or after is before


@given(WAYS)
def test_nothing_is_out_at_a_provider_without_an_intent_before_it(way: list[SendState]) -> None:
    states = walked(way)
    for state in (S.SUBMITTED, S.READY, S.UNKNOWN, S.COMPLETED):
        if state in states:
            assert S.INTENT in states[: states.index(state)]


@given(WAYS)
def test_a_send_that_may_have_been_taken_is_never_queued_again(way: list[SendState]) -> None:
    states = walked(way)
    for before, after in pairwise(states):
        assert after is not S.QUEUED or before in (S.QUEUED, S.INTENT)


@given(STATES)
def test_staying_is_always_allowed(state: SendState) -> None:
    assert may_move(state, state)


def test_a_send_completes_only_by_way_of_a_fetched_result() -> None:
    assert {old for old in SendState if S.COMPLETED in MOVES[old]} == {S.READY}


@pytest.mark.parametrize("state", SendState)
def test_the_engine_is_done_with_what_has_ended_or_is_unknown(state: SendState) -> None:
    assert state.ended == (state in FINAL | {S.UNKNOWN})


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ([S.QUEUED], JobStatus.PENDING),
        ([S.INTENT], JobStatus.PENDING),
        ([S.SUBMITTED], JobStatus.PENDING),
        ([S.READY], JobStatus.PROCESSING),
        ([S.QUEUED, S.QUEUED], JobStatus.PENDING),
        ([S.QUEUED, S.READY], JobStatus.PROCESSING),
        ([S.COMPLETED, S.QUEUED], JobStatus.PROCESSING),
        ([S.FAILED, S.SUBMITTED], JobStatus.PROCESSING),
        ([S.UNKNOWN, S.QUEUED], JobStatus.PROCESSING),
        ([S.COMPLETED], JobStatus.COMPLETED),
        ([S.FAILED, S.COMPLETED, S.UNKNOWN, S.CANCELLED], JobStatus.COMPLETED),
        ([S.FAILED, S.UNKNOWN, S.CANCELLED], JobStatus.UNKNOWN),
        ([S.CANCELLED, S.FAILED], JobStatus.FAILED),
        ([S.CANCELLED, S.CANCELLED], JobStatus.CANCELLED),
        ([], JobStatus.FAILED),
    ],
)
def test_a_jobs_status_follows_from_its_sends(states: list[SendState], status: JobStatus) -> None:
    assert status_of(sends(*states)) is status
    assert status_of(reversed(sends(*states))) is status


def test_a_send_that_the_provider_works_at_is_processing() -> None:
    assert status_of(sends(S.SUBMITTED, working=True)) is JobStatus.PROCESSING


@given(st.lists(STATES, min_size=1, max_size=4))
def test_a_job_has_ended_exactly_when_all_its_sends_have(states: list[SendState]) -> None:
    assert status_of(sends(*states)).ended == all(state.ended for state in states)


def test_a_job_tells_what_may_have_been_charged_before_any_other_failure() -> None:
    def failed(code: str) -> Failure:
        return Failure(code=code, message="It broke.", fix="Mend it.", billed=Billed.UNKNOWN)

    job = a_job(sends=3)
    assert job.failure is None and job.status is JobStatus.PENDING
    first, second, third = job.sends
    told = replace(
        job,
        sends=(first, replace(second, failure=failed("moderated")), replace(third, failure=failed("outcome_unknown"))),
    )
    assert told.failure is not None and told.failure.code == "outcome_unknown"
    assert replace(job, sends=told.sends[:2]).failure == failed("moderated")


def test_what_never_went_out_is_dropped_unbilled() -> None:
    send = dropped(a_send("red-car-4k7q"), START)
    assert (send.state, send.ended_at) == (S.CANCELLED, START)
    assert send.failure is not None and (send.failure.code, send.failure.billed) == ("cancelled", Billed.NO)


def test_a_jobs_price_in_a_unit_leaves_out_other_units_and_what_was_not_charged() -> None:
    failed = Failure(code="auth_failed", message="no", fix="key", billed=Billed.NO)
    of = [
        a_send("red-car-4k7q", 1, price=usd("0.04")),
        a_send("red-car-4k7q", 2, price=usd("0.05"), state=S.COMPLETED),
        a_send("red-car-4k7q", 3, price=usd("0.06"), state=S.FAILED, failure=failed),
        a_send("red-car-4k7q", 4, price=usd("0.07"), state=S.FAILED, failure=replace(failed, billed=Billed.YES)),
        a_send("red-car-4k7q", 5, price=Price(amount=Decimal(120), unit=Unit.CREDIT)),
    ]
    assert priced(of, Unit.USD) == usd("0.16")
    unknown = a_send("red-car-4k7q", 6, price=Price(amount=None, unit=Unit.USD))
    assert priced([*of, unknown], Unit.USD) == Price(amount=None, unit=Unit.USD)


def test_a_job_tells_what_was_charged_before_what_was_not_and_what_was_dropped_last() -> None:
    dropped_one, free = unsent(), Failure(code="moderated", message="no", fix="reword")
    paid = Failure(code="result_expired", message="gone", fix="look", billed=Billed.YES)
    first, second, third = a_job(sends=3).sends
    ended = [
        replace(send, state=S.FAILED, failure=failure)
        for send, failure in zip((first, second, third), (dropped_one, free, paid), strict=True)
    ]
    assert replace(a_job(), sends=tuple(ended)).failure == paid
    assert replace(a_job(), sends=tuple(ended[:2])).failure == free
