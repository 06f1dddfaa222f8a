"""What a job cost, or will: a job of its own, or a plan's runs together; pure.

What this is: the sum over sends and runs, and the limit that a plan's caller set. What it is not: amounts as such, or
an operator's caps (`budget`). Above: views, stores. Below: jobs, budget.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from kontext_tools.budget import Cost, Price, Unit, total
from kontext_tools.errors import BudgetExceeded
from kontext_tools.jobs import Job, Run, Send


def cost_of(job: Job) -> Cost:
    """Give what a job cost, or will: what was released is not counted, nor what a plan took over from another."""
    if job.plan is not None:
        runs = [cost_of(run.job) for run in job.runs if run.job is not None and not run.carried]
        return total(runs) or Cost.listed(Price(amount=Decimal(0), unit=_unit_of(job)))
    counted = [
        send.cost or Cost.listed(send.price)
        for send in job.sends
        if not (send.state.ended and send.failure is not None and send.failure.billed == "no")
    ]
    return total(counted) or Cost.listed(Price(amount=Decimal(0), unit=_unit_of(job)))


def check_max_cost(plan: Job, price: Price, *, but: Send | None = None) -> None:
    """Refuse what would take a plan over what its caller allowed.

    Args:
        plan: as it stands.
        price: of what is to be sent.
        but: the send in whose place that is, if it is in one's.

    Raises:
        BudgetExceeded: it would be passed, or nobody could say that it is not.
    """
    assert plan.plan is not None
    most = plan.plan.max_cost
    if most is None or price.amount == 0:
        return
    spent = _spent(plan, but)
    if any(cost.unit is not most.unit and cost.amount != 0 for cost in spent) or not _fits(spent, most, price):
        raise BudgetExceeded(
            f"Nothing was sent: this step costs {price}, with which the plan would pass its max_cost of {most}.",
            fix="Call run_plan again with resume_job_id and a higher max_cost; finished steps are not paid again.",
            field="max_cost",
        )


def agreed(plan: Job, price: Price) -> Price | None:
    """Give what a person has agreed to for a step of this price: it, while the plan stays within their yes.

    A yes to an amount that nobody knows is to whatever the steps cost in its unit.
    """
    assert plan.plan is not None
    open_ended = any(most.amount is None and most.unit is price.unit for most in plan.plan.agreed)
    return price if open_ended or any(_fits(_spent(plan), most, price) for most in plan.plan.agreed) else None


def _fits(spent: list[Cost], most: Price, price: Price) -> bool:
    """Whether a price fits under an amount, with what was spent in its unit; what nobody knows does not."""
    if price.amount == 0:
        return True
    amounts = [price.amount, *(cost.amount for cost in spent if cost.unit is most.unit)]
    known = price.unit is most.unit and most.amount is not None and None not in amounts
    return known and _sum(*amounts) <= _sum(most.amount)


def _spent(plan: Job, but: Send | None = None) -> list[Cost]:
    runs = plan.runs if but is None else [_without(run, but) for run in plan.runs]
    return [cost_of(run.job) for run in runs if run.job is not None and not run.carried]


def _sum(*amounts: Decimal | None) -> Decimal:
    return sum((amount for amount in amounts if amount is not None), Decimal(0))


def _without(run: Run, but: Send) -> Run:
    if run.job is None or run.job.id != but.job_id:
        return run
    return replace(run, job=replace(run.job, sends=tuple(send for send in run.job.sends if send.n != but.n)))


def _unit_of(job: Job) -> Unit:
    sends = [send for part in (job, *(run.job for run in job.runs if run.job)) for send in part.sends]
    return sends[0].price.unit if sends else Unit.USD
