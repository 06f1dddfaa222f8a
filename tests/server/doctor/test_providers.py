"""Providers: what is off and how to have it, keys that cannot be keys, who serves, and what a cap refuses."""

from __future__ import annotations

from typing import Any

import pytest
from inline_snapshot import snapshot

from kontext_server.doctor import providers
from kontext_server.doctor.findings import Finding
from server.doctor.conftest import MakeCase

pytestmark = pytest.mark.anyio

KEYS = {
    "CORE_TODAY_API_KEY": "cdt_zqxj0123456789",
    "KKIAI_API_KEY": "zqxj0123456789",
    "RUNFLOW_API_KEY": "rf_live_zqxj0123456789",
    "EACHLABS_API_KEY": "zqxj0123456789",
    "REPLICATE_API_TOKEN": "r8_zqxj0123456789",
    "BFL_API_KEY": "zqxj0123456789",
    "FAL_KEY": "zqxj0123456789:zqxj",
}


async def told(case: MakeCase, settings: dict[str, Any]) -> list[Finding]:
    return list(await providers.look(case(settings)))


def shown(lines: list[Finding]) -> list[tuple[str, ...]]:
    return [(line.name, line.status.value, line.cause, *([line.fix] if line.fix else [])) for line in lines]


async def test_without_a_key_each_says_what_to_set_and_nothing_fails(case: MakeCase) -> None:
    assert shown(await told(case, {})) == snapshot(
        [
            ("core.today", "ok", "off: set CORE_TODAY_API_KEY"),
            ("kkiai", "ok", "off: set KKIAI_API_KEY"),
            ("runflow", "ok", "off: set RUNFLOW_API_KEY"),
            ("eachlabs", "ok", "off: set EACHLABS_API_KEY"),
            ("replicate", "ok", "off: set REPLICATE_API_TOKEN"),
            ("bfl", "ok", "off: set BFL_API_KEY"),
            ("fal", "ok", "off: set FAL_KEY"),
            ("auto", "ok", "sandbox: it edits by simple means, asks no model and costs nothing"),
        ]
    )


async def test_with_every_key_all_are_on_in_order(case: MakeCase) -> None:
    assert shown(await told(case, KEYS)) == snapshot(
        [
            ("core.today", "ok", "on: CORE_TODAY_API_KEY is set"),
            ("kkiai", "ok", "on: KKIAI_API_KEY is set"),
            ("runflow", "ok", "on: RUNFLOW_API_KEY is set"),
            ("eachlabs", "ok", "on: EACHLABS_API_KEY is set"),
            ("replicate", "ok", "on: REPLICATE_API_TOKEN is set"),
            ("bfl", "ok", "on: BFL_API_KEY is set"),
            ("fal", "ok", "on: FAL_KEY is set"),
            ("auto", "ok", "core.today, then kkiai, then runflow, then eachlabs, then replicate, then bfl, then fal"),
        ]
    )


async def test_a_key_that_cannot_be_one_is_a_failure_of_the_settings(case: MakeCase) -> None:
    (line,) = [line for line in await told(case, {"FAL_KEY": "Key zqxj0123456789"}) if line.name == "fal"]
    assert shown([line]) == snapshot(
        [
            (
                "fal",
                "fail",
                "FAL_KEY cannot be a key: a header's word stands before it; only the key itself belongs there",
                "Set FAL_KEY to the key alone.",
            )
        ]
    )
    assert line.of_settings


async def test_a_key_that_looks_like_anothers_is_a_warning(case: MakeCase) -> None:
    (line,) = [line for line in await told(case, {"REPLICATE_API_TOKEN": KEYS["BFL_API_KEY"]}) if line.status != "ok"]
    assert shown([line]) == snapshot(
        [
            (
                "replicate",
                "warn",
                "REPLICATE_API_TOKEN may be another's key: it does not begin with r8_, as replicate's keys do",
                "Run kontext doctor --online to have it tried.",
            )
        ]
    )


async def test_a_provider_without_the_model_is_off(case: MakeCase) -> None:
    lines = await told(case, {"RUNFLOW_API_KEY": KEYS["RUNFLOW_API_KEY"], "KONTEXT_MODEL": "kontext-max"})
    assert shown([line for line in lines if line.name in ("runflow", "auto")]) == snapshot(
        [
            (
                "runflow",
                "warn",
                "off: it has no kontext-max",
                "Set KONTEXT_MODEL to kontext-pro, or leave it to another one.",
            ),
            ("auto", "ok", "sandbox: it edits by simple means, asks no model and costs nothing"),
        ]
    )


@pytest.mark.parametrize(
    ("settings", "auto"),
    [
        (
            {"KONTEXT_PROVIDER": "fal"},
            snapshot(
                [
                    (
                        "auto",
                        "warn",
                        "sandbox; fal of KONTEXT_PROVIDER is off",
                        "Set FAL_KEY, or take fal out of KONTEXT_PROVIDER.",
                    )
                ]
            ),
        ),
        (
            {"KONTEXT_PROVIDER": "fal", "BFL_API_KEY": KEYS["BFL_API_KEY"]},
            snapshot(
                [
                    (
                        "auto",
                        "fail",
                        "nobody serves: KONTEXT_PROVIDER names only what is off (fal)",
                        "Set FAL_KEY, or take fal out of KONTEXT_PROVIDER.",
                    )
                ]
            ),
        ),
        (
            {"KONTEXT_PROVIDER": "fal, bfl", "BFL_API_KEY": KEYS["BFL_API_KEY"]},
            snapshot(
                [
                    (
                        "auto",
                        "warn",
                        "bfl; fal of KONTEXT_PROVIDER is off",
                        "Set FAL_KEY, or take fal out of KONTEXT_PROVIDER.",
                    )
                ]
            ),
        ),
        (
            {"KONTEXT_PROVIDER": "bfl, sandbox", "BFL_API_KEY": KEYS["BFL_API_KEY"]},
            snapshot([("auto", "ok", "bfl, then sandbox")]),
        ),
        (
            {"KONTEXT_PROVIDER": "sandbox", "BFL_API_KEY": KEYS["BFL_API_KEY"]},
            snapshot([("auto", "ok", "sandbox: it edits by simple means, asks no model and costs nothing")]),
        ),
    ],
)
async def test_the_order_is_told_as_the_server_would_have_it(case: MakeCase, settings: Any, auto: Any) -> None:
    assert shown([line for line in await told(case, settings) if line.name == "auto"]) == auto


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        (
            {"KONTEXT_MAX_COST": "1 usd"},
            snapshot(
                [
                    (
                        "price of core.today",
                        "warn",
                        "120 credit, and KONTEXT_MAX_COST counts no credit: every call there is refused",
                        "Add a cap in credit to KONTEXT_MAX_COST, or set CORE_TODAY_PRICE if you pay otherwise.",
                    ),
                    (
                        "price of kkiai",
                        "warn",
                        "unknown, and KONTEXT_MAX_COST is set: every call there is refused",
                        "Set KKIAI_PRICE, such as '0.04 usd'.",
                    ),
                ]
            ),
        ),
        ({"KONTEXT_DAILY_BUDGET": "1 usd, 3000 credit", "KKIAI_PRICE": "0.04 usd"}, snapshot([])),
        ({"KONTEXT_DAILY_BUDGET": "3000 credit", "KKIAI_PRICE": "1 credit"}, snapshot([])),
        (
            {"KONTEXT_MAX_COST": "0.03 usd, 100 credit", "KKIAI_PRICE": "0.03 usd"},
            snapshot(
                [
                    (
                        "price of core.today",
                        "warn",
                        "120 credit, more than KONTEXT_MAX_COST allows: every call there is refused",
                        "Raise KONTEXT_MAX_COST, or set CORE_TODAY_PRICE if you pay less.",
                    )
                ]
            ),
        ),
        ({"KONTEXT_CONFIRM_ABOVE": "1 usd"}, snapshot([])),
    ],
)
async def test_a_provider_that_the_caps_refuse_is_told_with_its_variable(
    case: MakeCase, settings: dict[str, str], warned: Any
) -> None:
    on = {name: KEYS[name] for name in ("CORE_TODAY_API_KEY", "KKIAI_API_KEY")}
    assert shown([line for line in await told(case, on | settings) if line.status != "ok"]) == warned


@pytest.mark.parametrize("key", ["", "   "])
async def test_an_empty_key_is_none(case: MakeCase, key: str) -> None:
    (line,) = [line for line in await told(case, {"BFL_API_KEY": key}) if line.name == "bfl"]
    assert line.cause == "off: set BFL_API_KEY"


async def test_no_line_holds_a_part_of_a_key(case: MakeCase) -> None:
    for keys in (KEYS, {name: f"Bearer {key}" for name, key in KEYS.items()}):
        assert "zqxj" not in repr(await told(case, keys))
