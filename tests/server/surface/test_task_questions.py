"""A task that asks a person before there is a job: what is kept of the call, and what their answer does."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from inline_snapshot import snapshot
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from kontext_server.app import LOCAL_OWNER, App
from kontext_server.simulator.serve import Running
from kontext_server.surface.job_tasks import Asked
from kontext_server.surface.server import make_server
from kontext_tools.edits import Edit
from kontext_tools.tasks import LASTS
from kontext_tools.views import Call
from support.at_simulator import charged_at
from support.fake_clock import FakeClock
from support.looking_in import DataFolder, refusing
from support.stdio_server import fields_of, text_of
from support.task_client import answer_of, cancel, ended, fixed, get, result_of, taking_tasks, task_of, until, update
from support.task_questions import LAKE, YES, an_app, never_asked

pytestmark = pytest.mark.anyio

PHOTO = Path(__file__).parent.parent.parent / "photos" / "grace_hopper.jpg"
NOES: dict[str, dict[str, Any]] = {
    "no": {"action": "accept", "content": {"go": False}},
    "nothing filled in": {"action": "accept"},
    "a word": {"action": "accept", "content": {"go": "true"}},
    "declined": {"action": "decline"},
    "cancelled": {"action": "cancel", "content": {"go": True}},
}


@asynccontextmanager
async def client_of(app: App) -> AsyncGenerator[Client]:
    async with taking_tasks(make_server(app), never_asked) as client:
        yield client


def nothing_happened(folder: Path, simulator: Running) -> bool:
    counter, there = simulator.state.counter(), DataFolder(folder / "data")
    rows = [there.one(f"SELECT COUNT(*) FROM {table}") for table in ("jobs", "ledger", "answers")]
    return (rows, counter["creates"]["core.today"], counter["charged"]["core.today"]) == ([0, 0, 0], 0, 0)


async def test_the_question_is_the_tasks_own_and_a_yes_makes_the_picture(tmp_path: Path, simulator: Running) -> None:
    async with client_of(an_app(tmp_path, simulator)) as client:
        told = await task_of(client, "generate_image", {**LAKE, "num_images": 2})
        asked = await get(client, told.task_id)
        assert nothing_happened(tmp_path, simulator)
        taken = await update(client, told.task_id, confirm=YES)
        result = result_of(await ended(client.session, told.task_id))
    assert (told.status, fixed(taken)) == ("input_required", {"resultType": "complete"})
    assert fixed(asked) == snapshot(
        {
            "resultType": "complete",
            "status": "input_required",
            "statusMessage": "A person is asked first.",
            "ttlMs": 86400000,
            "pollIntervalMs": 1000,
            "inputRequests": {
                "confirm": {
                    "method": "elicitation/create",
                    "params": {
                        "message": """\
Generating 2 pictures costs 240 credit at core.today. Go on?
Prompt: "a lake"\
""",
                        "mode": "form",
                        "requestedSchema": {
                            "type": "object",
                            "properties": {
                                "go": {
                                    "type": "boolean",
                                    "title": "Go on",
                                    "description": "Yes spends it; no sends nothing.",
                                }
                            },
                            "required": ["go"],
                        },
                    },
                }
            },
        }
    )
    assert (fields_of(result)["status"], charged_at(simulator)) == ("completed", 2)


@pytest.mark.parametrize("answer", NOES.values(), ids=NOES)
async def test_anything_but_yes_completes_it_with_the_words_that_say_so(
    tmp_path: Path, simulator: Running, answer: dict[str, Any]
) -> None:
    async with client_of(an_app(tmp_path, simulator)) as client:
        told = await task_of(client, "generate_image", LAKE)
        await update(client, told.task_id, confirm=answer)
        result = result_of(await get(client, told.task_id))
        await update(client, told.task_id, confirm=YES)
        assert result_of(await get(client, told.task_id)) == result
        assert nothing_happened(tmp_path, simulator)
    assert (result.is_error, fields_of(result)["error"]["code"]) == (True, "confirmation_needed")
    assert text_of(result).startswith("Nothing was sent: the person was asked and did not say yes.")


async def test_the_question_outlives_the_server_and_so_does_the_answer(tmp_path: Path, simulator: Running) -> None:
    simulator.state.script({"wire": "core.today", "on": "create", "fault": "none", "seconds": 0.3})
    async with client_of(an_app(tmp_path, simulator)) as client:
        told = await task_of(client, "generate_image", LAKE)
        before = await get(client, told.task_id)
    async with client_of(an_app(tmp_path, simulator)) as client:
        assert await get(client, told.task_id) == before
        await update(client, told.task_id, confirm=YES)
        data = DataFolder(tmp_path / "data")
        await until(client.session, told.task_id, lambda _: data.one("SELECT state FROM sends") == "submitted")
    async with client_of(an_app(tmp_path, simulator)) as client:
        result = result_of(await ended(client.session, told.task_id))
    assert (fields_of(result)["status"], charged_at(simulator)) == ("completed", 1)


async def test_a_picture_in_the_call_lies_on_the_shelf_meanwhile_and_the_call_is_known_again(
    tmp_path: Path, simulator: Running
) -> None:
    uri = f"data:image/jpeg;base64,{base64.b64encode(PHOTO.read_bytes()).decode()}"
    arguments = {"image": uri, "prompt": "Make it sepia", "request_key": "k"}
    async with client_of(an_app(tmp_path, simulator)) as client:
        told = await task_of(client, "edit_image", arguments)
    (row,) = DataFolder(tmp_path / "data").rows("SELECT doc FROM tasks")
    assert len(row[0]) < 2000
    async with client_of(an_app(tmp_path, simulator)) as client:
        await update(client, told.task_id, confirm=YES)
        result = fields_of(result_of(await ended(client.session, told.task_id)))
        again = fields_of(await answer_of(client, "edit_image", arguments))
    assert (result["status"], again["job_id"], again["joined"]) == ("completed", result["job_id"], True)
    assert charged_at(simulator) == 1


async def test_a_plan_is_asked_about_and_goes_on_in_the_next_server(tmp_path: Path, simulator: Running) -> None:
    uri = f"data:image/jpeg;base64,{base64.b64encode(PHOTO.read_bytes()).decode()}"
    first = {"id": "sepia", "prompt": "Make it sepia", "image": uri}
    steps = [first, {"id": "night", "prompt": "Make it night", "image": "$sepia"}]
    async with client_of(an_app(tmp_path, simulator)) as client:
        told = await task_of(client, "run_plan", {"steps": steps})
        assert nothing_happened(tmp_path, simulator)
    (row,) = DataFolder(tmp_path / "data").rows("SELECT doc FROM tasks")
    assert (told.status, len(row[0]) < 2000) == ("input_required", True)
    async with client_of(an_app(tmp_path, simulator)) as client:
        await update(client, told.task_id, confirm=YES)
        result = fields_of(result_of(await ended(client.session, told.task_id)))
    assert [(step["id"], step["status"]) for step in result["steps"]] == [
        ("sepia", "completed"),
        ("night", "completed"),
    ]
    assert charged_at(simulator) == 2


async def test_one_yes_given_ten_times_at_once_and_once_more_makes_one_job(tmp_path: Path, simulator: Running) -> None:
    async with client_of(an_app(tmp_path, simulator)) as client:
        told = await task_of(client, "generate_image", LAKE)
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(lambda: update(client, told.task_id, confirm=YES))
        before = await ended(client.session, told.task_id)
        await update(client, told.task_id, confirm=YES)
        assert await get(client, told.task_id) == before
    assert (fields_of(result_of(before))["status"], charged_at(simulator)) == ("completed", 1)
    assert DataFolder(tmp_path / "data").one("SELECT COUNT(*) FROM jobs") == 1


@pytest.mark.parametrize("repeated", [YES, NOES["no"]], ids=["yes", "no"])
async def test_a_yes_whose_process_died_before_it_was_noted_has_made_its_job_whatever_is_answered_then(
    tmp_path: Path, simulator: Running, repeated: dict[str, Any]
) -> None:
    app = an_app(tmp_path, simulator)
    async with client_of(app) as client:
        told = await task_of(client, "generate_image", LAKE)
        task = await app.tasks.find(LOCAL_OWNER, told.task_id)
        asked = None if task is None else Asked.of(task)
        assert asked is not None
        # All that `tasks/update` does but for the row.
        edit = Edit(prompt="a lake", aspect_ratio="1:1", given=frozenset({"prompt", "output_format"}))
        await app.studio.generate_image(edit, Call(owner=LOCAL_OWNER, yes=asked.question.yes))
        await update(client, told.task_id, confirm=repeated)
        result = result_of(await ended(client.session, told.task_id))
    assert (fields_of(result)["status"], charged_at(simulator)) == ("completed", 1)


async def test_answers_to_what_is_not_asked_are_passed_over_and_one_that_is_none_is_refused(
    tmp_path: Path, simulator: Running
) -> None:
    async with client_of(an_app(tmp_path, simulator)) as client:
        told = await task_of(client, "generate_image", LAKE)
        asked = await get(client, told.task_id)
        await update(client, told.task_id, other=YES)
        for wrong in (7, {"ignored": True}, {"action": "perhaps"}, None):
            with pytest.raises(MCPError, match="confirm is not a form's") as refused:
                await update(client, told.task_id, confirm=wrong)
            assert refused.value.code == types.INVALID_PARAMS
        assert await get(client, told.task_id) == asked
        assert nothing_happened(tmp_path, simulator)


async def test_a_yes_to_an_earlier_price_is_none_and_the_new_one_is_asked_under_a_key_of_its_own(
    tmp_path: Path, simulator: Running
) -> None:
    async with client_of(an_app(tmp_path, simulator)) as client:
        told = await task_of(client, "generate_image", LAKE)
    async with client_of(an_app(tmp_path, simulator, core_today_price="150 credit")) as client:
        await update(client, told.task_id, confirm=YES)
        asked = await get(client, told.task_id)
        await update(client, told.task_id, confirm=YES)
        assert await get(client, told.task_id) == asked
        assert nothing_happened(tmp_path, simulator)
        await update(client, told.task_id, **{"confirm-2": YES})
        result = result_of(await ended(client.session, told.task_id))
    (key,) = asked["inputRequests"]
    assert (key, "costs 150 credit" in asked["inputRequests"][key]["params"]["message"]) == ("confirm-2", True)
    assert fields_of(result)["status"] == "completed"


async def test_what_is_refused_after_the_yes_completes_it_as_the_tool_would_answer(
    tmp_path: Path, simulator: Running
) -> None:
    async with client_of(an_app(tmp_path, simulator)) as client:
        told = await task_of(client, "generate_image", LAKE)
    async with client_of(an_app(tmp_path, simulator, kontext_max_cost="110 credit")) as client:
        await update(client, told.task_id, confirm=YES)
        result = result_of(await get(client, told.task_id))
        assert nothing_happened(tmp_path, simulator)
    assert (result.is_error, fields_of(result)["error"]["code"]) == (True, "budget_exceeded")


async def test_a_yes_that_the_store_could_not_take_can_be_given_again(tmp_path: Path, simulator: Running) -> None:
    async with client_of(an_app(tmp_path, simulator)) as client:
        told = await task_of(client, "generate_image", LAKE)
        with refusing(tmp_path, "jobs"):
            with pytest.raises(MCPError) as refused:
                await update(client, told.task_id, confirm=YES)
            assert (await get(client, told.task_id))["status"] == "input_required"
            assert nothing_happened(tmp_path, simulator)
        await update(client, told.task_id, confirm=YES)
        result = result_of(await ended(client.session, told.task_id))
    assert refused.value.code == types.INTERNAL_ERROR
    assert (fields_of(result)["status"], charged_at(simulator)) == ("completed", 1)


async def test_a_cancelled_question_is_over_and_no_yes_comes_after(tmp_path: Path, simulator: Running) -> None:
    async with client_of(an_app(tmp_path, simulator)) as client:
        told = await task_of(client, "generate_image", LAKE)
        await cancel(client, told.task_id)
        standing = await get(client, told.task_id)
        await update(client, told.task_id, confirm=YES)
        assert await get(client, told.task_id) == standing
        assert nothing_happened(tmp_path, simulator)
    assert (standing["status"], standing["statusMessage"]) == ("cancelled", "Cancelled before anything was sent.")


async def test_a_yes_that_meets_a_cancel_leaves_no_job_running(tmp_path: Path, simulator: Running) -> None:
    simulator.state.script({"wire": "core.today", "on": "create", "fault": "never_ends"})
    async with client_of(an_app(tmp_path, simulator)) as client:
        told = await task_of(client, "generate_image", LAKE)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: update(client, told.task_id, confirm=YES))
            tasks.start_soon(lambda: cancel(client, told.task_id))
        standing = await ended(client.session, told.task_id)
    assert standing["status"] == "cancelled"
    assert set(DataFolder(tmp_path / "data").statuses()) <= {"cancelled"}


async def test_a_question_is_forgotten_when_its_task_is_over(tmp_path: Path, simulator: Running) -> None:
    clock = FakeClock()
    async with client_of(an_app(tmp_path, simulator, clock=clock)) as client:
        told = await task_of(client, "generate_image", LAKE)
        clock.advance(LASTS.total_seconds() - 1)
        assert (await get(client, told.task_id))["status"] == "input_required"
        clock.advance(1)
        for refused in (get(client, told.task_id), update(client, told.task_id, confirm=YES)):
            with pytest.raises(MCPError, match="There is no task of that id"):
                await refused
        assert nothing_happened(tmp_path, simulator)
    assert told.ttl_ms == LASTS.total_seconds() * 1000


async def test_where_the_client_shows_no_forms_the_call_is_refused(tmp_path: Path, simulator: Running) -> None:
    async with taking_tasks(make_server(an_app(tmp_path, simulator))) as client:
        result = await answer_of(client, "generate_image", LAKE)
        assert nothing_happened(tmp_path, simulator)
    assert fields_of(result)["error"]["code"] == "confirmation_needed"
    assert DataFolder(tmp_path / "data").one("SELECT COUNT(*) FROM tasks") == 0


async def test_who_wants_no_task_is_asked_before_the_answer_as_ever(tmp_path: Path, simulator: Running) -> None:
    arguments = {**LAKE, "wait_seconds": 0}
    async with client_of(an_app(tmp_path, simulator)) as client:
        asked = await client.session.call_tool("generate_image", arguments, allow_input_required=True)
        assert isinstance(asked, types.InputRequiredResult)
        assert nothing_happened(tmp_path, simulator)
