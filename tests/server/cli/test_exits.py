"""The exit codes of the contract, walked over every failure that there is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kontext_server.cli.exits import EXIT_CODES, exit_code
from kontext_tools.errors import KontextError

CONTRACT = {
    2: {"invalid_argument", "plan_invalid", "unsupported_by_provider"},
    3: {"not_configured", "auth_failed"},
    4: {
        "out_of_credit",
        "rate_limited",
        "moderated",
        "provider_error",
        "provider_unavailable",
        "outcome_unknown",
        "result_invalid",
        "result_expired",
    },
    5: {"budget_exceeded", "confirmation_needed"},
}


def _codes(family: type[KontextError] = KontextError) -> Iterator[str]:
    for kind in family.__subclasses__():
        if kind.code:
            yield kind.code
        yield from _codes(kind)


@pytest.mark.parametrize("code", sorted(set(_codes())))
def test_every_failure_ends_with_the_code_of_the_contract(code: str) -> None:
    wanted = next((number for number, codes in CONTRACT.items() if code in codes), 1)
    assert (EXIT_CODES[code], exit_code(code)) == (wanted, wanted)


def test_the_table_holds_no_code_that_does_not_exist() -> None:
    assert set(EXIT_CODES) == set(_codes())


def test_a_code_of_a_newer_server_is_a_failure() -> None:
    assert exit_code("no_such_code") == 1
