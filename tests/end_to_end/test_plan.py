"""A plan through the whole server: one call, one charge for each picture, over a kill and a resume."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest

from kontext_server.simulator.serve import Running, running
from support.by_hand import by_hand
from support.stdio_server import ERAS, PHOTOS, call, connected, fields_of, text_of

pytestmark = pytest.mark.anyio

CAT = str(PHOTOS / "chelsea.png")
STEPS: list[dict[str, Any]] = [
    {"id": "base", "image": CAT, "prompt": "Make it a watercolour", "num_images": 3},
    {"id": "night", "image": "$base/*", "prompt": "Make it night", "keep": "the cat"},
    {"id": "last", "image": "$night/2", "prompt": "Mirror it"},
]
"""Five edits: one, three from its three outputs, one from the second of those; seven pictures."""
PICTURES = 3 + 3 + 1


@pytest.mark.parametrize("era", ERAS)
async def test_five_edits_with_a_fan_out_of_three_need_one_call(tmp_path: Path, simulator: Running, era: str) -> None:
    with anyio.fail_after(120):
        async with connected(tmp_path, simulator.settings, era=era) as client:
            done = await call(client, "run_plan", steps=STEPS, wait_seconds=50)
            fields = fields_of(done)
            assert fields["status"] == "completed", text_of(done)
            again = fields_of(await call(client, "run_plan", steps=STEPS, resume_job_id=fields["job_id"]))
            found = fields_of(await call(client, "find_images", since="today", limit=50))
            of_base = fields_of(await call(client, "find_images", derived_from=fields["images"][1]["ref"]))
    assert [(step["id"], step["status"]) for step in fields["steps"]] == [
        ("base", "completed"),
        ("night", "completed"),
        ("night", "completed"),
        ("night", "completed"),
        ("last", "completed"),
    ]
    assert len(fields["images"]) == PICTURES
    refs = [image["ref"] for image in fields["images"]]
    assert {image["ref"] for image in found["images"]} == set(refs)
    assert {image["ref"] for image in of_base["images"]} == {refs[4], refs[6]}
    assert all(Path(image["path"]).is_file() for image in fields["images"])
    assert fields["cost"] == {"amount": "840", "unit": "credit", "basis": "list_price"}
    assert fields["depth"] == 3
    assert [block.type for block in done.content] == ["text", "image"]
    assert simulator.state.counter()["charged"]["core.today"] == PICTURES
    assert again["cost"] == {"amount": "0", "unit": "credit", "basis": "reported"}
    assert all(step["cost"] == again["cost"] for step in again["steps"])
    assert [image["ref"] for image in again["images"]] == [image["ref"] for image in fields["images"]]


async def test_a_plan_named_as_an_image_is_refused_with_its_steps_own_references(tmp_path: Path) -> None:
    steps = [{"id": "car", "prompt": "A red car"}, {"id": "sea", "image": "$car", "prompt": "By the sea"}]
    with anyio.fail_after(60):
        async with connected(tmp_path, {"KONTEXT_PREVIEW": "none"}) as client:
            plan = fields_of(await call(client, "run_plan", steps=steps, wait_seconds=50))
            refs = ", ".join(image["ref"] for image in plan["images"])
            for tool, arguments in (
                ("edit_image", {"image": plan["job_id"], "prompt": "Make it night"}),
                ("edit_image", {"image": f"{plan['job_id']}/1", "prompt": "Make it night"}),
                ("view_images", {"refs": [plan["job_id"]]}),
                ("find_images", {"derived_from": plan["job_id"]}),
            ):
                error = fields_of(await call(client, tool, **arguments))["error"]
                assert (error["code"], error["fix"]) == ("unknown_ref", f"Call again with one of: {refs}.")


async def test_a_plan_killed_half_way_goes_on_and_pays_for_nothing_twice(tmp_path: Path) -> None:
    with running(job_seconds=1.0) as simulator, anyio.fail_after(120):
        with by_hand(tmp_path, simulator.settings) as server:
            plan_id = server.call("run_plan", steps=STEPS, wait_seconds=0)["job_id"]
            while simulator.state.counter()["charged"]["core.today"] <= STEPS[0]["num_images"]:
                server.call("get_status", job_id=plan_id, wait_seconds=1)
            server.process.kill()
        async with connected(tmp_path, simulator.settings) as client:
            fields: dict[str, Any] = {"status": ""}
            while fields["status"] not in ("completed", "failed", "unknown"):
                fields = fields_of(await call(client, "get_status", job_id=plan_id, wait_seconds=50))
            resumed = fields_of(await call(client, "run_plan", steps=STEPS, resume_job_id=plan_id, wait_seconds=50))
        charged = simulator.state.counter()["charged"]["core.today"]
    finished = [step for step in fields["steps"] if step["status"] == "completed"]
    assert finished and {step["id"] for step in finished} >= {"base"}
    # A create that was on its way at the kill is unknown, and charged once; it is not sent again.
    unknown = [step for step in fields["steps"] if step["status"] == "unknown"]
    assert charged <= PICTURES
    assert len([step for step in resumed["steps"] if step.get("reused")]) == len(finished)
    assert [step["job_id"] for step in resumed["steps"] if step["status"] == "unknown"] == [
        step["job_id"] for step in unknown
    ]


async def test_steps_are_taken_as_models_send_them(tmp_path: Path, simulator: Running) -> None:
    steps = (
        '[{"name": "`one`", "prompt": "A red car", "n": "2"}, {"id": "two", "input_image": "$one/2", "prompt": "Blue"}]'
    )
    with anyio.fail_after(60):
        async with connected(tmp_path, simulator.settings) as client:
            quote = fields_of(await call(client, "run_plan", steps=steps, dry_run="true", max_cost="360 credits"))
            refused = await call(client, "run_plan", steps=[{"id": "a", "prompt": "x", "imge": "$b"}])
    assert quote["cost"] == {"amount": "360", "unit": "credit", "basis": "list_price"}
    assert fields_of(refused)["error"]["fix"] == "In steps[0]: Call again with image instead."
    assert simulator.state.counter()["charged"]["core.today"] == 0


async def test_the_progress_of_a_plan_grows_with_each_notification(tmp_path: Path) -> None:
    heard: list[tuple[float, str | None]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        assert total is not None
        heard.append((progress, message))

    steps = [{"id": "a", "image": CAT, "prompt": "Make it sepia"}, {"id": "b", "image": "$a", "prompt": "Mirror it"}]
    with anyio.fail_after(60):
        async with connected(tmp_path) as client:
            await client.call_tool("run_plan", {"steps": steps}, progress_callback=on_progress)
    told = [progress for progress, _ in heard]
    assert len(told) > 1 and all(earlier < later for earlier, later in pairwise(told))
    assert "1 of 2 steps done, 1 pictures made" in {message for _, message in heard}
