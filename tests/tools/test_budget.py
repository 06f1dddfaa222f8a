"""Prices, costs and caps, exact to the billionth."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from kontext_tools.budget import (
    Basis,
    Caps,
    Cost,
    Price,
    Unit,
    day_of,
    from_nano,
    parse_caps,
    parse_price,
    plain,
    summed,
    to_nano,
    total,
)
from kontext_tools.errors import BudgetExceeded, ConfirmationNeeded, KontextError

NANOS = st.integers(-(10**18), 10**18)
AMOUNTS = st.integers(0, 10**15).map(lambda nano: Decimal(nano).scaleb(-9))


def price(amount: str | None, unit: Unit = Unit.USD) -> Price:
    return Price(amount=None if amount is None else Decimal(amount), unit=unit)


def cost(amount: str | None, basis: Basis = Basis.REPORTED, unit: Unit = Unit.USD) -> Cost:
    return Cost(amount=None if amount is None else Decimal(amount), unit=unit, basis=basis)


def caps(*, daily: str = "", call: str = "", ask: str = "") -> Caps:
    return Caps(daily=parse_caps(daily), per_call=parse_caps(call), confirm_above=parse_caps(ask))


def refused(of: Caps, asked: Price) -> KontextError:
    def check() -> None:
        of.check_call(asked)
        of.check_agreed(asked, None)

    with pytest.raises(KontextError) as caught:
        check()
    return caught.value


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("0.04 usd", price("0.04")),
        (" 120  CREDITS ", price("120", Unit.CREDIT)),
        ("0 usd", price("0")),
        ("1e2 credit", price("100", Unit.CREDIT)),
        ("0.000000001 usd", price("0.000000001")),
        ("1000000000 usd", price("1000000000")),
    ],
)
def test_a_price_is_an_amount_and_a_unit(text: str, read: Price) -> None:
    assert parse_price(text) == read


@pytest.mark.parametrize(
    "text",
    [
        "",
        "usd",
        "0.04",
        "0.04usd",
        "$0.04",
        "0.04 eur",
        "0,04 usd",
        "-1 usd",
        "nan usd",
        "snan usd",
        "inf usd",
        "1e400 usd",
        "1000000001 usd",
        "0.0000000001 usd",
        "1 usd 2",
    ],
)
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="amount"):
        parse_price(text)


@given(st.text(max_size=20) | st.text("0123456789.eE+-_ usdcrit", max_size=20))
def test_any_text_is_a_price_within_bounds_or_refused(text: str) -> None:
    try:
        read = parse_price(text)
    except ValueError:
        return
    assert read.amount is not None and 0 <= read.amount <= 10**9
    assert from_nano(to_nano(read.amount)) == read.amount


@given(AMOUNTS, st.sampled_from(Unit))
def test_a_price_that_is_written_is_read_again(amount: Decimal, unit: Unit) -> None:
    written = Price(amount=amount, unit=unit)
    assert parse_price(str(written)) == written


def test_caps_are_a_list_of_prices_each_unit_once() -> None:
    assert parse_caps("5 usd, 3000 credit") == {Unit.USD: Decimal(5), Unit.CREDIT: Decimal(3000)}
    assert parse_caps("") == parse_caps(" , ") == {}
    for wrong in ("5 usd, 6 usd", "5", "5 usd; 3000 credit"):
        with pytest.raises(ValueError, match=r"amount|twice"):
            parse_caps(wrong)


@given(NANOS)
def test_whole_billionths_go_and_come_back(nano: int) -> None:
    assert to_nano(from_nano(nano)) == nano


@given(st.lists(AMOUNTS, max_size=20))
def test_a_sum_of_billionths_is_the_sum_of_the_amounts(amounts: list[Decimal]) -> None:
    assert from_nano(sum(map(to_nano, amounts))) == sum(amounts)


def test_half_a_billionth_is_rounded_up() -> None:
    assert (to_nano(Decimal("0.0000000005")), to_nano(Decimal("0.00000000049"))) == (1, 0)


def test_ten_thousand_cents_are_a_hundred_dollars_to_the_last_digit() -> None:
    added = total([cost("0.01")] * 10_000)
    assert added is not None and added.amount == Decimal(100)
    thirds = total([cost("0.000000003")] * 10_000)
    assert thirds is not None and plain(thirds.amount or Decimal(0)) == "0.00003"


def test_a_total_is_as_certain_as_its_weakest_part() -> None:
    assert total([]) is None
    assert total([cost("1"), cost("2")]) == cost("3")
    assert total([cost("1"), cost("2", Basis.LIST_PRICE)]) == cost("3", Basis.LIST_PRICE)
    assert total([cost("1"), cost(None, Basis.UNKNOWN)]) == cost(None, Basis.UNKNOWN)


def test_dollars_and_credits_are_never_added() -> None:
    assert total([cost("1"), cost("1", unit=Unit.CREDIT)]) == cost(None, Basis.UNKNOWN)
    assert total([cost("1"), cost("0", unit=Unit.CREDIT)]) == cost("1")


def test_prices_are_summed_by_their_units() -> None:
    a, b = Price(amount=Decimal("0.04"), unit=Unit.USD), Price(amount=Decimal(120), unit=Unit.CREDIT)
    assert summed([a, b, a]) == (Price(amount=Decimal("0.08"), unit=Unit.USD), b)
    assert summed([a, Price(amount=None, unit=Unit.USD)]) == (Price(amount=None, unit=Unit.USD),)
    assert summed([]) == ()


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        ("120.00", "120"),
        ("0.040", "0.04"),
        ("0", "0"),
        ("0E-9", "0"),
        ("1E+3", "1000"),
        ("100", "100"),
        ("1E-9", "0.000000001"),
    ],
)
def test_an_amount_is_written_plainly(amount: str, written: str) -> None:
    assert plain(Decimal(amount)) == written


@given(st.none() | AMOUNTS, st.sampled_from(Unit), st.sampled_from(Basis))
def test_a_cost_comes_back_from_its_public_form(amount: Decimal | None, unit: Unit, basis: Basis) -> None:
    told = Cost(amount=amount, unit=unit, basis=basis)
    assert Cost.from_dict(told.to_dict()) == told
    assert all(isinstance(value, str) for value in told.to_dict().values())


def test_a_price_is_told_as_the_cost_that_is_expected() -> None:
    assert Cost.listed(price("0.04").times(3)).to_dict() == snapshot(
        {"amount": "0.12", "unit": "usd", "basis": "list_price"}
    )
    assert Cost.listed(price("0")).basis is Basis.REPORTED
    assert Cost.listed(price(None).times(2)).to_dict() == {"unit": "usd", "basis": "unknown"}


def test_prices_and_costs_read_well() -> None:
    assert [str(price("0.040")), str(price(None)), str(cost("120", unit=Unit.CREDIT)), str(cost(None))] == snapshot(
        ["0.04 usd", "an unknown amount of usd", "120 credit", "an unknown amount of usd"]
    )


def test_a_day_is_a_utc_day() -> None:
    seoul = timezone(timedelta(hours=9))
    assert day_of(datetime(2026, 11, 21, 8, 59, tzinfo=seoul)) == "2026-11-20"
    assert day_of(datetime(2026, 11, 21, 9, 0, tzinfo=seoul)) == "2026-11-21"


def test_without_a_cap_any_price_passes() -> None:
    for asked in (price("1000000"), price(None), price("1", Unit.CREDIT)):
        Caps.none().check_call(asked)
        Caps.none().check_day(asked, Decimal(10**9))


def test_what_is_free_passes_every_cap() -> None:
    strict = caps(daily="0 credit", call="0 credit", ask="0 credit")
    strict.check_call(price("0"))
    strict.check_agreed(price("0"), None)
    strict.check_day(price("0"), Decimal(10**9))


def test_a_call_over_its_cap_is_refused_and_one_at_it_passes() -> None:
    of = caps(call="0.04 usd")
    of.check_call(price("0.04"))
    error = refused(of, price("0.040000001"))
    assert isinstance(error, BudgetExceeded)
    assert error.failure.message == snapshot(
        "Nothing was sent: the call would cost 0.040000001 usd, and 0.04 usd are allowed for one."
    )
    assert "KONTEXT_MAX_COST" in error.failure.fix


@pytest.mark.parametrize(
    ("of", "variable"), [(caps(call="1 usd"), "KONTEXT_MAX_COST"), (caps(daily="1 usd"), "KONTEXT_DAILY_BUDGET")]
)
@pytest.mark.parametrize("asked", [price("1", Unit.CREDIT), price(None)], ids=str)
def test_where_a_cap_is_set_what_no_cap_counts_is_refused_with_the_variable(
    of: Caps, variable: str, asked: Price
) -> None:
    error = refused(of, asked)
    assert isinstance(error, BudgetExceeded) and variable in error.failure.fix


def test_a_person_is_asked_above_the_amount_that_they_named_and_no_argument_answers_for_them() -> None:
    of = caps(ask="0.10 usd")
    of.check_agreed(price("0.10"), None)
    for asked in (price("0.11"), price(None), price("1", Unit.CREDIT)):
        assert of.asks_above(asked)
        assert isinstance(refused(of, asked), ConfirmationNeeded)
        of.check_agreed(asked, asked)


@pytest.mark.parametrize(
    ("agreed", "other", "holds"),
    [
        (price("0.20"), price("0.20"), True),
        (price("0.20"), price("0.19"), True),
        (price("0.20"), price("0.200000001"), False),
        (price("0.20"), price(None), False),
        (price("0.20"), price("0.20", Unit.CREDIT), False),
        (price(None), price(None), True),
        (price(None), price("0.11"), False),
        (price(None), price(None, Unit.CREDIT), False),
    ],
    ids=str,
)
def test_a_yes_holds_up_to_its_own_price_in_its_own_unit(agreed: Price, other: Price, holds: bool) -> None:
    of = caps(ask="0.10 usd")
    with nullcontext() if holds else pytest.raises(ConfirmationNeeded):
        of.check_agreed(other, agreed)


def test_a_day_is_spent_to_the_last_billionth_and_no_further() -> None:
    of = caps(daily="5 usd")
    of.check_day(price("0.04"), Decimal("4.96"))
    with pytest.raises(BudgetExceeded) as caught:
        of.check_day(price("0.04"), Decimal("4.960000001"))
    assert caught.value.failure.message == snapshot(
        "Nothing was sent: 4.960000001 of today's 5 usd are spent or reserved, and the call would cost 0.04 usd."
    )


def test_a_days_cap_counts_its_own_unit_only() -> None:
    replace(caps(daily="5 usd")).check_day(price("9", Unit.CREDIT), Decimal(10**6))
