"""A plan that an agent made, as a person sees it on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
from click.testing import Result

from kontext_server.app import LOCAL_OWNER, build
from kontext_server.settings import load
from kontext_tools.edits import Edit
from kontext_tools.planning import Asked
from kontext_tools.plans import Step
from kontext_tools.views import Call, View

Invoke = Callable[..., Result]


def planned(home: Path) -> View:
    """Carry out a plan of two steps in the person's data folder."""
    steps = (
        Step(id="base", edit=Edit(prompt="A lake", num_images=2, label="lake")),
        Step(id="night", edit=Edit(prompt="Make it night", image="$base/2")),
    )
    app = build(load(kontext_data_dir=home / ".share" / "kontext"))

    async def carried_out() -> View:
        with anyio.fail_after(60):
            async with app.running():
                view = await app.studio.run_plan(Asked(steps=steps), Call(owner=LOCAL_OWNER, wait_s=50))
                assert isinstance(view, View)
                return view

    return anyio.run(carried_out)


def test_a_plan_is_told_step_by_step_with_the_command_that_goes_on(home: Path, invoke: Invoke) -> None:
    view = planned(home)
    last, output = view.job.images[-1]
    ended = invoke("status", view.job.id)
    assert ended.exit_code == 0
    head, *steps = ended.stdout.splitlines()
    assert head.startswith(f"Plan completed: 2 of 2 steps have pictures; job {view.job.id}")
    assert [step.partition(":")[0] for step in steps] == ["- base", "- night"]
    assert ended.stderr == f'To go on from it:  kontext edit {last.id}/{output.n} "…"\n'
    listed = invoke("jobs").stdout
    assert [line.split()[-1] for line in listed.splitlines() if view.job.id in line] == ["3"]
