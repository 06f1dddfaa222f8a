"""A plan: several edits in one call, each naming the outputs that it starts from; pure.

What this is: the steps, the references between them, their order and how many pictures they come to, refused as a whole
where that cannot be. What it is not: what became of the steps (`jobs.Run`), which may start (`runs`) or who starts them
(`planner`). Above: jobs, runs, planner, studio. Below: edits, pictures, errors.

A step's `image` is `$step` (its one output, or the first of several), `$step/2` or `$step/*` (a run for each output),
or any image reference; without one the step generates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

from kontext_tools.budget import Price
from kontext_tools.edits import Edit
from kontext_tools.errors import PlanInvalid
from kontext_tools.pictures import Source
from kontext_tools.references import nearest

MAX_STEPS = 20
MAX_PLAN_IMAGES = 20

_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")
_LINK = re.compile(r"\$([A-Za-z0-9_-]{1,40})(?:/([0-9]{1,2}|\*))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a step starts from, where that is another step: one of its outputs, or each of them."""

    step: str
    n: int | None = None
    every: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a plan.

    Attributes:
        id: the caller's name for it.
        edit: what is asked; its image as it was given, a data URI without its data.
        source: its own picture, loaded when the plan was recorded; `None` for a generation or a link.
        depth: edits that lie behind that picture.
    """

    id: str
    edit: Edit
    source: Source | None = None
    depth: int = 0

    @property
    def tool(self) -> str:
        """The verb that makes it."""
        return "generate_image" if self.edit.image is None else "edit_image"

    @property
    def link(self) -> Link | None:
        """The step that it starts from, if it does."""
        found = _LINK.fullmatch(self.edit.image or "")
        if found is None:
            return None
        return Link(step=found[1], n=int(found[2]) if found[2] not in (None, "*") else None, every=found[2] == "*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A job's place in a plan: which run of which step it is. One job alone has it."""

    plan_id: str
    step: str
    run: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one call of run_plan asks for.

    Attributes:
        steps: in the caller's order.
        max_cost: what all of it may cost, if the caller said so.
        resumed_from: the plan whose finished steps it takes over.
        agreed: what a person said yes to, one price for each unit; empty where nobody was asked.
    """

    steps: tuple[Step, ...]
    max_cost: Price | None = None
    resumed_from: str | None = None
    agreed: tuple[Price, ...] = ()

    @cached_property
    def by_id(self) -> Mapping[str, Step]:
        """The steps by their ids."""
        return {step.id: step for step in self.steps}

    @cached_property
    def in_order(self) -> tuple[Step, ...]:
        """The steps, each after the one that it starts from, else in the caller's order."""
        links = {step.id: [link.step] if (link := step.link) else [] for step in self.steps}
        return tuple(self.by_id[name] for name in TopologicalSorter(links).static_order())

    @cached_property
    def runs_of(self) -> Mapping[str, int]:
        """How often each step runs: once, or once for each output of the step that it fans out from."""
        runs: dict[str, int] = {}
        for step in self.in_order:
            link = step.link
            every = link is not None and link.every
            runs[step.id] = runs[link.step] * self.by_id[link.step].edit.num_images if link and every else 1
        return runs

    @cached_property
    def level_of(self) -> Mapping[str, int]:
        """How many steps each one waits for, itself among them."""
        levels: dict[str, int] = {}
        for step in self.in_order:
            levels[step.id] = 1 + (levels[link.step] if (link := step.link) else 0)
        return levels

    def outputs_of(self, step_id: str) -> int:
        """Give how many pictures a step comes to, over all its runs."""
        return self.runs_of[step_id] * self.by_id[step_id].edit.num_images

    @property
    def images(self) -> int:
        """How many pictures the whole comes to."""
        return sum(self.outputs_of(step.id) for step in self.steps)

    def origin(self, step: Step, run: int) -> tuple[str, int, int] | None:
        """Give the output that a run starts from: step, its run, and the picture's number within that run's job."""
        link = step.link
        if link is None:
            return None
        output = run if link.every else link.n or 1
        earlier_run, n = divmod(output - 1, self.by_id[link.step].edit.num_images)
        return link.step, earlier_run + 1, n + 1


def check(plan: Plan) -> tuple[str, ...]:
    """Refuse a plan that cannot be carried out; give the warnings that it deserves.

    Raises:
        PlanInvalid: an id that is none or is given twice, a step that does not exist, a circle, an output that will
            not be there, or more than 20 pictures. Nothing was sent; the fix names the place by its number from 0.
    """
    _check_ids(plan.steps)
    _check_links(plan.steps)
    _check_order(plan)
    warnings: list[str] = []
    for i, step in enumerate(plan.steps):
        link = step.link
        if link is None:
            continue
        outputs = plan.outputs_of(link.step)
        if link.n is not None and not 1 <= link.n <= outputs:
            raise _invalid(
                f"steps[{i}].image names an output that ${link.step} will not have; it makes {outputs}",
                f"Write image '${link.step}/{outputs}' in steps[{i}]",
                i,
            )
        if link.n is None and not link.every and outputs > 1:
            if plan.runs_of[link.step] > 1:
                raise _invalid(
                    f"steps[{i}].image names a step of {outputs} outputs without saying which",
                    f"Write image '${link.step}/*' for all of them, or '${link.step}/1' for one, in steps[{i}]",
                    i,
                )
            warnings.append(f"${link.step} makes {outputs} pictures: {step.id} starts from ${link.step}/1.")
    if plan.images > MAX_PLAN_IMAGES:
        raise PlanInvalid(
            f"The plan comes to {plan.images} pictures, and at most {MAX_PLAN_IMAGES} are made by one; nothing was "
            "sent.",
            fix="Call again with fewer steps, a lower num_images, or '$step/1' in place of '$step/*'.",
            field="steps",
        )
    return tuple(warnings)


def _check_ids(steps: Sequence[Step]) -> None:
    seen: set[str] = set()
    for i, step in enumerate(steps):
        if not _ID.fullmatch(step.id):
            raise _invalid(
                f"steps[{i}].id is no name", f"Give steps[{i}] an id of letters, digits, _ and -, such as step{i}", i
            )
        if step.id in seen:
            raise _invalid(f"steps[{i}].id is another step's too", f"Give steps[{i}] an id of its own", i)
        seen.add(step.id)


def _check_links(steps: Sequence[Step]) -> None:
    names = [step.id for step in steps]
    for i, step in enumerate(steps):
        if step.edit.image is None or not step.edit.image.startswith("$"):
            continue
        link = step.link
        if link is None or link.step not in names or link.step == step.id:
            others = [name for name in names if name != step.id]
            near = nearest((step.edit.image[1:]).partition("/")[0], others, count=1)
            fix = f"Write image '${near[0]}' in steps[{i}]" if near else f"Leave image out of steps[{i}] to generate"
            raise _invalid(f"steps[{i}].image names no other step of this plan", fix, i)


def _check_order(plan: Plan) -> None:
    try:
        plan.in_order  # noqa: B018  # computing it is the check
    except CycleError as error:
        circle: Sequence[str] = error.args[1]
        i = next(i for i, step in enumerate(plan.steps) if step.id in circle)
        raise _invalid(
            f"The steps wait for each other in a circle ({' -> '.join(circle)})",
            f"Let steps[{i}] start from a picture of its own, or leave its image out to generate",
            i,
        ) from None


def _invalid(what: str, fix: str, i: int) -> PlanInvalid:
    return PlanInvalid(f"{what}; nothing was sent.", fix=f"{fix}, and call again.", field=f"steps[{i}]")
