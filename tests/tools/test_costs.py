"""What a plan has cost, held against what its caller allowed and what a person agreed to."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from kontext_tools.budget import Price, Unit
from kontext_tools.costs import agreed, check_max_cost, cost_of
from kontext_tools.edits import Edit
from kontext_tools.errors import BudgetExceeded
from kontext_tools.jobs import Job, Run
from kontext_tools.plans import Plan, Step
from support.rows import a_job, usd

CREDITS = Price(amount=Decimal(120), unit=Unit.CREDIT)
UNKNOWN = Price(amount=None, unit=Unit.USD)


def a_plan(*spent: Price, carried: bool = False, max_cost: Price | None = None, yes: tuple[Price, ...] = ()) -> Job:
    steps = tuple(Step(id=f"s{n}", edit=Edit(prompt="a red car")) for n in range(len(spent)))
    runs = tuple(
        Run(step=step.id, n=1, job=a_job(f"red-car-000{n}", price=price), carried=carried)
        for n, (step, price) in enumerate(zip(steps, spent, strict=True))
    )
    return replace(a_job(), sends=(), plan=Plan(steps=steps, max_cost=max_cost, agreed=yes), runs=runs)


def test_a_yes_in_two_units_is_held_unit_by_unit() -> None:
    plan = a_plan(CREDITS, usd("0.04"), yes=(CREDITS.times(2), usd("0.08")))
    assert agreed(plan, CREDITS) == CREDITS
    assert agreed(plan, usd("0.04")) == usd("0.04")
    assert agreed(plan, usd("0.05")) is None
    assert agreed(plan, UNKNOWN) is None


def test_a_yes_to_an_unknown_amount_is_to_what_the_steps_cost() -> None:
    assert agreed(a_plan(UNKNOWN, yes=(UNKNOWN,)), UNKNOWN) == UNKNOWN
    assert agreed(a_plan(UNKNOWN, yes=(UNKNOWN,)), usd("0.04")) == usd("0.04")
    assert agreed(a_plan(UNKNOWN, yes=(UNKNOWN,)), CREDITS) is None


def test_a_plan_that_nobody_was_asked_about_has_no_yes() -> None:
    assert agreed(a_plan(), usd("0.04")) is None


@pytest.mark.parametrize("price", [usd("0.05"), CREDITS, UNKNOWN])
def test_what_may_pass_a_plans_max_cost_is_refused(price: Price) -> None:
    with pytest.raises(BudgetExceeded):
        check_max_cost(a_plan(usd("0.04"), max_cost=usd("0.08")), price)


def test_what_was_taken_over_does_not_count() -> None:
    plan = a_plan(usd("0.04"), carried=True, max_cost=usd("0.04"))
    check_max_cost(plan, usd("0.04"))
    assert cost_of(plan).amount == 0
