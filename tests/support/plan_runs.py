"""Plans in a workshop: their steps, run until they end, and what became of them."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from kontext_tools.edits import Edit
from kontext_tools.errors import (
    Billed,
    Moderated,
    OutcomeUnknown,
)
from kontext_tools.jobs import Job
from kontext_tools.planning import Asked
from kontext_tools.plans import Step
from kontext_tools.providers.base import SubmitFailed, Verdict
from kontext_tools.views import Call, View
from support.workshop import OWNER, Workshop


def step(name: str, image: str | None = None, num_images: int = 1, prompt: str = "") -> Step:
    return Step(id=name, edit=Edit(prompt=prompt or f"Do {name}", image=image, num_images=num_images))


def refused() -> SubmitFailed:
    return SubmitFailed(Verdict.REFUSED, Moderated("The provider refused it.", fix="Reword it.").failure)


def lost() -> SubmitFailed:
    failure = OutcomeUnknown("No answer came.", fix="Look there.", billed=Billed.UNKNOWN).failure
    return SubmitFailed(Verdict.UNKNOWN, failure)


async def run(shop: Workshop, *steps: Step, resume: str = "", **call: object) -> View:
    asked = Asked(steps=steps, resume=resume)
    view = await shop.studio.run_plan(asked, Call(owner=OWNER, **call))  # pyright: ignore[reportArgumentType]
    assert isinstance(view, View)
    return view


async def until_ended(shop: Workshop, view: View) -> Job:
    return await until(shop, view, lambda job: job.ended_at is not None)


async def until(shop: Workshop, view: View, holds: Callable[[Job], bool]) -> Job:
    with anyio.fail_after(60):
        return await shop.when(view.job.id, holds)


def fates(job: Job) -> list[tuple[str, int, str]]:
    return [
        (run.step, run.n, "skipped" if run.skipped else run.job.status.value if run.job else "refused")
        for run in job.runs
    ]
