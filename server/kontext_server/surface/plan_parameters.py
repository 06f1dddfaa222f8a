"""run_plan's parameters as data, and the plan that they ask for.

Above: tools. Below: parameters, arguments, planning.
"""

from __future__ import annotations

from dataclasses import replace

from kontext_server.surface.arguments import Arguments, Kind, Parameter
from kontext_server.surface.parameters import DRY_RUN, IMAGE, KEEP, NUM_IMAGES, PROMPT, RATIO, SEED, edit_of, wait
from kontext_tools.edits import MATCH_INPUT
from kontext_tools.planning import Asked
from kontext_tools.plans import MAX_STEPS, Step

_STEP = (
    Parameter(name="id", kind=Kind.NAME, required=True, max_chars=40, aliases=("name",), description="Its name."),
    replace(PROMPT, description="As in edit_image."),
    replace(
        IMAGE,
        required=False,
        default=None,
        description="$id of a step, $id/2, $id/* (a run for each output) or any image; without it: generate.",
    ),
    replace(KEEP, description="As in edit_image."),
    replace(NUM_IMAGES, description="Variants."),
    replace(RATIO, default=MATCH_INPUT, choices_listed=False, description="As in edit_image."),
    replace(SEED, description="A number."),
)


def run_plan(wait_s: int) -> tuple[Parameter, ...]:
    """Give run_plan's parameters."""
    steps = Parameter(
        name="steps",
        kind=Kind.OBJECTS,
        required=True,
        max_items=MAX_STEPS,
        fields=_STEP,
        description="Like [{id: 'car', prompt: 'A red car'}, {id: 'sea', image: '$car', prompt: 'Put it by the sea'}].",
    )
    most = Parameter(
        name="max_cost",
        kind=Kind.NAME,
        default="",
        max_chars=100,
        aliases=("max_cost_usd", "budget"),
        description="Stop before it costs more, such as 0.40 usd.",
    )
    resume = Parameter(
        name="resume_job_id",
        kind=Kind.NAME,
        default="",
        max_chars=200,
        aliases=("resume", "resume_from"),
        description="An earlier plan: its finished, unchanged steps are reused.",
    )
    return (steps, most, resume, wait(wait_s), DRY_RUN)


def plan_of(arguments: Arguments) -> Asked:
    """Give the plan that a call's arguments ask for."""
    steps = tuple(Step(id=step["id"], edit=edit_of(step)) for step in arguments["steps"])
    return Asked(steps=steps, max_cost=arguments["max_cost"], resume=arguments["resume_job_id"])
