"""The tree of failures against the contract."""

from __future__ import annotations

import json
from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from kontext_tools import errors
from kontext_tools.errors import Billed, Failure, KontextError, Refusal, Trouble

MENDABLE = [
    "invalid_argument",
    "unknown_ref",
    "not_found",
    "source_unreadable",
    "source_too_large",
    "source_not_allowed",
    "unsupported_by_provider",
    "plan_invalid",
    "idempotency_conflict",
    "rate_limited",
]
OTHERS = [
    "not_configured",
    "auth_failed",
    "out_of_credit",
    "budget_exceeded",
    "confirmation_needed",
    "moderated",
    "provider_error",
    "provider_unavailable",
    "outcome_unknown",
    "result_invalid",
    "result_expired",
    "storage_full",
    "storage_busy",
    "storage_damaged",
    "cancelled",
]


def leaves(root: type[KontextError]) -> Generator[type[KontextError]]:
    children = root.__subclasses__()
    if not children:
        yield root
    for child in children:
        yield from leaves(child)


def test_the_refusals_are_the_codes_of_the_contract_that_a_caller_can_mend() -> None:
    assert sorted(leaf.code for leaf in leaves(Refusal)) == sorted(MENDABLE)


def test_the_troubles_are_the_codes_of_the_contract_that_a_person_must_see_to() -> None:
    assert sorted(leaf.code for leaf in leaves(Trouble)) == sorted(OTHERS)


def test_every_failure_is_one_or_the_other_and_no_code_stands_for_two() -> None:
    codes = [leaf.code for leaf in leaves(KontextError)]
    assert len(codes) == len(set(codes)) == len(MENDABLE) + len(OTHERS)
    assert set(KontextError.__subclasses__()) == {Refusal, Trouble}


def test_the_drawn_tree_shows_every_class_where_it_stands() -> None:
    drawing = errors.__doc__ or ""
    drawn = [line.split()[1] for line in drawing.replace("│", " ").splitlines() if "──" in line]
    assert drawn == [
        "Refusal",
        *(leaf.__name__ for leaf in Refusal.__subclasses__()),
        "Trouble",
        *(leaf.__name__ for leaf in Trouble.__subclasses__()),
    ]


def test_what_may_be_called_again_unchanged_and_what_was_charged_by_default() -> None:
    assert sorted(leaf.code for leaf in leaves(KontextError) if leaf.retryable) == snapshot(
        ["provider_unavailable", "rate_limited", "storage_busy", "storage_full"]
    )
    assert {leaf.code: leaf.billed.value for leaf in leaves(KontextError) if leaf.billed is not Billed.NO} == snapshot(
        {"outcome_unknown": "unknown", "result_expired": "yes"}
    )


@pytest.mark.parametrize("leaf", list(leaves(KontextError)), ids=lambda leaf: leaf.code)
def test_a_raised_failure_carries_what_is_told(leaf: type[KontextError]) -> None:
    error = leaf("It broke.", fix="Mend it.", field="image", retry_after_s=2.0, billed=Billed.UNKNOWN, job_id="a-0000")
    assert str(error) == "It broke."
    assert error.failure == Failure(
        code=leaf.code,
        message="It broke.",
        fix="Mend it.",
        field="image",
        retryable=leaf.retryable,
        retry_after_s=2.0,
        billed=Billed.UNKNOWN,
        job_id="a-0000",
    )
    assert leaf("It broke.", fix="Mend it.").failure.billed is leaf.billed


def test_a_failure_is_told_with_its_place_and_stays_the_same_error() -> None:
    error = errors.InvalidArgument("seed is no number.", fix="Give a number.", field="seed")
    assert error.within("steps[1]") is error
    assert error.failure.to_dict() == {
        "code": "invalid_argument",
        "message": "In steps[1]: seed is no number.",
        "fix": "In steps[1]: Give a number.",
        "field": "steps[1].seed",
        "retryable": False,
        "billed": "no",
    }


FAILURES = st.builds(
    Failure,
    code=st.sampled_from(MENDABLE + OTHERS),
    message=st.text(),
    fix=st.text(),
    field=st.none() | st.text(),
    retryable=st.booleans(),
    retry_after_s=st.none() | st.floats(0, 1e9),
    billed=st.sampled_from(Billed),
    job_id=st.none() | st.text(),
)


@given(FAILURES)
def test_a_failure_comes_back_from_what_is_stored_of_it(failure: Failure) -> None:
    stored = json.loads(json.dumps(failure.to_dict()))
    assert Failure.from_dict(stored) == failure
    assert None not in stored.values()
