"""The shape of a key: each usual slip is named, and no part of the key is."""

from __future__ import annotations

import pytest

from kontext_server.doctor import keys
from kontext_server.simulator.app import settings
from kontext_tools.choosing import KEY_VARIABLES

SECRET = "zqxj81kfwm"


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (f"RUNFLOW_API_KEY={SECRET}", "its own name stands before it"),
        (f"export RUNFLOW_API_KEY={SECRET}", "its own name stands before it"),
        (f'"{SECRET}"', "quotation marks stand around it"),
        (f"'{SECRET}'", "quotation marks stand around it"),
        (f"\u201c{SECRET}\u201d", "quotation marks stand around it"),
        (f"Bearer {SECRET}", "a header's word stands before it; only the key itself belongs there"),
        (f"Key {SECRET}", "a header's word stands before it; only the key itself belongs there"),
        (f"X-API-Key: {SECRET}", "a header's word stands before it; only the key itself belongs there"),
        ("${RUNFLOW_API_KEY}", "it is a reference that nothing has filled in"),
        ("$RUNFLOW_API_KEY", "it is a reference that nothing has filled in"),
        ("%RUNFLOW_API_KEY%", "it is a reference that nothing has filled in"),
        ("op://vault/runflow/key", "it is a reference that nothing has filled in"),
        ("your-key-here", "it is a placeholder"),
        ("YOUR_API_KEY", "it is a placeholder"),
        ("<put your key here>", "it is a placeholder"),
        ("rf_live_your-key", "it is a placeholder"),
        ("xxxxxxxxxxxxxxxx", "it is a placeholder"),
        ("cdt_xxxxxxxxxxxxxxxx", "it is a placeholder"),
        ("r8_...", "it is a placeholder"),
        ("changeme", "it is a placeholder"),
        (f"{SECRET}\n{SECRET}", "it has more than one line"),
        (f"{SECRET} {SECRET}", "there are blanks in it"),
        (f"{SECRET}\u200b", "it holds characters that no key has"),
        (f"{SECRET}\x07", "it holds characters that no key has"),
        ("zqxj81k", "it is shorter than 8 characters"),
        ("zqxj81kf" * 200, "it is longer than 1000 characters"),
    ],
)
def test_a_slip_is_named_without_a_part_of_the_key(key: str, why: str) -> None:
    told = keys.fault(key, "RUNFLOW_API_KEY")
    assert told == why
    assert SECRET[:4] not in why


@pytest.mark.parametrize(
    "key",
    [
        "cdt_0123456789abcdef",
        "r8_AbCdEf0123456789",
        "0b8e7c52-7d0f-4a1e-9b5a-3f2f6f1d2c3b",
        "0b8e7c52-7d0f:4a1e9b5a3f2f6f1d2c3b",
        "eyJhbGciOi.eyJzdWIiOiIx.SflKxwRJ-_5c",
        "thisXisXaXlongXkey",
    ],
)
def test_what_may_be_a_key_is_one(key: str) -> None:
    assert keys.fault(key, "BFL_API_KEY") is None


def test_the_keys_that_the_simulator_takes_have_their_vendors_shape() -> None:
    told = settings("http://127.0.0.1:1")
    for provider, variable in KEY_VARIABLES.items():
        assert keys.fault(told[variable], variable) is None
        assert keys.oddity(told[variable], provider) is None


@pytest.mark.parametrize(("provider", "begins"), keys.PREFIXES.items())
def test_a_key_that_begins_like_another_vendors_is_odd(provider: str, begins: str) -> None:
    assert keys.oddity("sk-0123456789", provider) == f"it does not begin with {begins}, as {provider}'s keys do"


@pytest.mark.parametrize("provider", KEY_VARIABLES)
def test_a_made_up_key_has_its_vendors_shape(provider: str) -> None:
    assert keys.fault(keys.made_up(provider), KEY_VARIABLES[provider]) is None
    assert keys.oddity(keys.made_up(provider), provider) is None
