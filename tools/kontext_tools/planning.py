"""Into a plan: everything that one call of run_plan asks for is checked before anything is sent.

What this is: the steps' order and pictures, who would serve each, what a resumed plan takes over, and what the rest
costs. What it is not: the rules (`plans`, `runs`) or the carrying out (`planner`). Above: studio. Below: serving,
admitting, runs, plans.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

from kontext_tools import drafting, plans, runs
from kontext_tools.admitting import Admitting
from kontext_tools.budget import Price, parse_price, plain, summed
from kontext_tools.clocks import Clock
from kontext_tools.data_uris import as_stored
from kontext_tools.edits import Edit
from kontext_tools.errors import BudgetExceeded, InvalidArgument, KontextError, NotFound, PlanInvalid
from kontext_tools.inputs import Inputs, require_prompt
from kontext_tools.jobs import Job, Run
from kontext_tools.plans import Plan, Step
from kontext_tools.providers.base import Offer
from kontext_tools.references import new_job_id
from kontext_tools.serving import Serving
from kontext_tools.stores.base import Admission
from kontext_tools.views import Call, Quote

LABEL_CHARS = 80
PROMPT_CHARS = 2_000

_RUNS_YET = "That plan still runs: the call joins it, and sends nothing that it would not send by itself."


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A call of run_plan.

    Attributes:
        steps: as given, their own pictures not loaded yet.
        max_cost: what all of it may cost, such as `0.40 usd`; empty for no limit of the caller's.
        resume: the job_id of the plan that it goes on with, or empty.
    """

    steps: tuple[Step, ...]
    max_cost: str = ""
    resume: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drafted:
    """A plan that could be recorded."""

    job: Job
    prices: tuple[Price, ...]
    images: int


class Planning:
    """Makes plans of calls."""

    def __init__(self, serving: Serving, inputs: Inputs, admitting: Admitting, clock: Clock, random: Random) -> None:
        self._serving = serving
        self._inputs = inputs
        self._admitting = admitting
        self._clock = clock
        self._random = random

    async def quote(self, asked: Asked, earlier: Job | None, call: Call) -> Quote:
        """Give what a plan would send and cost; nothing is recorded. Raises as `admit`."""
        runs_yet = earlier is not None and not earlier.status.ended
        if earlier is not None and runs_yet:
            _joined(asked, earlier)
        drafted = await self._draft(asked, earlier, call)
        quote = await self._admitting.quote(drafted.job, drafted.prices)
        return replace(quote, warnings=(_RUNS_YET, *quote.warnings)) if runs_yet else quote

    async def admit(self, asked: Asked, earlier: Job | None, call: Call) -> Admission:
        """Record a plan, or give the earlier one that it repeats.

        Args:
            asked: what the call asks for.
            earlier: the plan that it resumes.
            call: whose it is.

        Raises:
            PlanInvalid: the steps cannot be carried out.
            Refusal: a step that nobody serves, or whose picture cannot be read; the fix names the step.
            BudgetExceeded, ConfirmationNeeded: the whole would cost too much, or a person must be asked first.
        """
        if earlier is not None and not earlier.status.ended:
            return Admission(job=_joined(asked, earlier), joined=True)
        drafted = await self._draft(asked, earlier, call)
        return await self._admitting.admit_plan(drafted.job, drafted.prices, drafted.images, call.yes)

    async def _draft(self, asked: Asked, earlier: Job | None, call: Call) -> _Drafted:
        for i, step in enumerate(asked.steps):
            with _in_step(i):
                require_prompt(step.edit.prompt)
        plan = Plan(steps=asked.steps, resumed_from=None if earlier is None else earlier.id)
        warnings = plans.check(plan)
        offers = [await self._choice(i, step, call.owner) for i, step in enumerate(plan.steps)]
        steps: list[Step] = []
        for i, step in enumerate(plan.steps):
            with _in_step(i):
                steps.append(await self._loaded(step, call))
        plan = replace(plan, steps=tuple(steps))
        taken = () if earlier is None else runs.carried(plan, earlier)
        counts = runs.to_send(plan, taken)
        by_id = dict(zip((step.id for step in steps), offers, strict=True))
        images = {step_id: count * plan.by_id[step_id].edit.num_images for step_id, count in counts.items()}
        parts = [by_id[step_id].price.times(count) for step_id, count in images.items()]
        prices = summed(parts) or (Price(amount=Decimal(0), unit=offers[0].price.unit),)
        plan = replace(plan, max_cost=_max_cost(asked.max_cost, prices))
        job = self._job(plan, taken, offers, call, warnings, self._request(plan, by_id, images))
        return _Drafted(job=job, prices=prices, images=sum(images.values()))

    async def _choice(self, i: int, step: Step, owner: str) -> Offer:
        with _in_step(i):
            return (await self._serving.choice(step.edit, owner)).offer

    async def _loaded(self, step: Step, call: Call) -> Step:
        """Give a step with its own picture read and kept: the file may be gone when its turn comes."""
        image = step.edit.image
        if image is None or step.link is not None:
            return step
        load = partial(self._inputs.load, call.owner, image)
        drafted = await self._serving.draft(step.tool, step.edit, load, call)
        edit = replace(step.edit, image=as_stored(image))
        return replace(step, edit=edit, source=drafted.job.source, depth=max(0, drafted.job.depth - 1))

    def _request(self, plan: Plan, offers: dict[str, Offer], images: dict[str, int]) -> dict[str, Any]:
        """Give what is to be sent, step by step, for people."""
        return {
            "steps": [
                {
                    "id": step.id,
                    "tool": step.tool,
                    "image": step.edit.image,
                    "provider": offers[step.id].name,
                    "images": images.get(step.id, 0),
                    "price": str(offers[step.id].price.times(images.get(step.id, 0))),
                }
                for step in plan.in_order
            ]
        }

    def _job(
        self,
        plan: Plan,
        taken: tuple[Run, ...],
        offers: Sequence[Offer],
        call: Call,
        warnings: tuple[str, ...],
        request: dict[str, Any],
    ) -> Job:
        prompts = "; ".join(step.edit.prompt for step in plan.steps)[:PROMPT_CHARS]
        edit = Edit(prompt=prompts, label=f"plan {plan.steps[0].edit.prompt}"[:LABEL_CHARS])
        return Job(
            id=new_job_id(edit.label, self._random),
            owner=call.owner,
            tool="run_plan",
            edit=edit,
            sent_prompt=prompts,
            request=request,
            provider=", ".join(dict.fromkeys(offer.name for offer in offers)),
            model=", ".join(dict.fromkeys(offer.model for offer in offers)),
            created_at=self._clock.now(),
            fingerprint=drafting.digest("run_plan", edit, plan=runs.identity(plan)),
            warnings=warnings,
            plan=plan,
            runs=taken,
        )


def _joined(asked: Asked, earlier: Job) -> Job:
    """Give the plan that still runs, if the same is asked for."""
    assert earlier.plan is not None
    if runs.same_words(Plan(steps=asked.steps), earlier.plan):
        return earlier
    raise PlanInvalid(
        f"{earlier.id} still runs, and its steps are others than these; nothing was sent.",
        fix=f"Call get_status(job_id='{earlier.id}', wait_seconds=25) until it has ended, then call again.",
        field="resume_job_id",
        job_id=earlier.id,
    )


def _max_cost(text: str, prices: Sequence[Price]) -> Price | None:
    """Read what a plan may cost, and hold its price against it; the refusal names the unit that it is charged in."""
    if not text:
        return None
    try:
        most = parse_price(text)
    except ValueError:
        raise _max_cost_in("max_cost is not an amount and a unit; nothing was sent.", prices[0]) from None
    for price in prices:
        if price.amount == 0:
            continue
        if price.unit is not most.unit or price.amount is None or most.amount is None:
            raise _max_cost_in(f"max_cost is in {most.unit}, and the plan would cost {price}; nothing was sent.", price)
        if price.amount > most.amount:
            raise BudgetExceeded(
                f"Nothing was sent: the plan would cost {price}, over its max_cost of {most}.",
                fix=f"Call again with fewer steps, or ask the person whether max_cost may be '{price}'.",
                field="max_cost",
            )
    return most


def _max_cost_in(message: str, price: Price) -> InvalidArgument:
    return InvalidArgument(
        message, fix=f"Call again with max_cost in {price.unit}, such as '{_example(price)}'.", field="max_cost"
    )


def _example(price: Price) -> str:
    return f"{plain(price.amount) if price.amount is not None else 1} {price.unit}"


@contextmanager
def _in_step(i: int) -> Generator[None]:
    """Name the step that a refusal is about."""
    try:
        yield
    except KontextError as error:
        error.within(f"steps[{i}]")
        raise


def not_a_plan(job: Job) -> NotFound:
    """Give the refusal of a resume_job_id that is no plan's."""
    return NotFound(
        f"{job.id} is no plan; nothing was sent.",
        fix="Call again without resume_job_id, or with the job_id that run_plan answered with.",
        field="resume_job_id",
    )
