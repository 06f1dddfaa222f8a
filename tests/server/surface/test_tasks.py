"""Jobs as tasks: what a client that takes tasks is told, from the call to the answer, in this process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from inline_snapshot import snapshot
from mcp.client import Client
from mcp.client.extension import advertise
from mcp.shared.exceptions import MCPError

from kontext_server.app import LOCAL_OWNER, App, build
from kontext_server.settings import load
from kontext_server.simulator.serve import Running, running
from kontext_server.surface import asking
from kontext_server.surface.server import make_server
from kontext_server.surface.tasks import IDENTIFIER
from support.at_simulator import charged_at
from support.looking_in import DataFolder, refusing
from support.stdio_server import ERAS, fields_of, text_of
from support.task_client import (
    MODERN,
    AnyRequest,
    Everything,
    answer_of,
    cancel,
    ended,
    everything,
    fixed,
    get,
    result_of,
    taking_tasks,
    task_of,
    until,
    update,
)

pytestmark = pytest.mark.anyio

LAKE: dict[str, Any] = {"prompt": "a lake", "output_format": "png"}
METHODS = ("tasks/get", "tasks/update", "tasks/cancel")
WITHIN_S = 30


def an_app(folder: Path, simulator: Running | None = None, *, wire: str = "core.today", **settings: Any) -> App:
    of_wires = {} if simulator is None else simulator.settings_of(wire)
    lower = {name.lower(): value for name, value in of_wires.items()}
    return build(load(kontext_data_dir=folder / "data", **(lower | {"kontext_preview": "small"} | settings)))


@asynccontextmanager
async def client_of(app: App) -> AsyncGenerator[Client]:
    async with taking_tasks(make_server(app)) as client:
        yield client


def on_create(simulator: Running, fault: str, wire: str = "core.today", **more: Any) -> None:
    simulator.state.script({"wire": wire, "on": "create", "fault": fault, **more})


async def refusal(client: Client, method: str, params: dict[str, Any]) -> types.ErrorData:
    with pytest.raises(MCPError) as refused:
        await client.session.send_request(AnyRequest(method=method, params=params), Everything)
    return refused.value.error


class TestACall:
    async def test_it_is_answered_with_a_task_that_gives_what_the_tool_would_have_answered(
        self, tmp_path: Path, simulator: Running
    ) -> None:
        async with client_of(an_app(tmp_path, simulator)) as client:
            told = await task_of(client, "generate_image", LAKE)
            done = await ended(client.session, told.task_id)
            job_id = done["result"]["structuredContent"]["job_id"]
            status = await client.call_tool("get_status", {"job_id": job_id})
        assert {**fixed(told), "statusMessage": ""} == snapshot(
            {
                "resultType": "task",
                "status": "working",
                "statusMessage": "",
                "ttlMs": 86400000,
                "pollIntervalMs": 1000,
            }
        )
        assert {**fixed(done), "result": ""} == snapshot(
            {
                "resultType": "complete",
                "status": "completed",
                "ttlMs": 86400000,
                "pollIntervalMs": 1000,
                "result": "",
            }
        )
        result = result_of(done)
        assert (result.content, result.structured_content) == (status.content, status.structured_content)
        assert [block.type for block in result.content] == ["text", "image"]
        assert (done["createdAt"], done["taskId"]) == (told.created_at, told.task_id)
        assert done["lastUpdatedAt"] > done["createdAt"]
        assert charged_at(simulator) == 1

    async def test_an_ordinary_client_of_tasks_sees_a_tool_that_answers(
        self, tmp_path: Path, simulator: Running
    ) -> None:
        async with client_of(an_app(tmp_path, simulator)) as client:
            result = await client.call_tool("generate_image", LAKE)
        assert fields_of(result)["status"] == "completed"

    async def test_the_sandbox_makes_tasks_as_well(self, tmp_path: Path) -> None:
        async with client_of(an_app(tmp_path)) as client:
            result = await client.call_tool("generate_image", LAKE)
        assert (fields_of(result)["status"], fields_of(result)["provider"]) == ("completed", "sandbox")

    async def test_a_wait_that_was_asked_for_is_kept_and_only_what_goes_on_is_a_task(
        self, tmp_path: Path, simulator: Running
    ) -> None:
        async with client_of(an_app(tmp_path, simulator)) as client:
            waited = await answer_of(client, "generate_image", {**LAKE, "wait_seconds": 50})
            on_create(simulator, "never_ends")
            told = await task_of(client, "generate_image", {**LAKE, "prompt": "a sea", "wait_seconds": 1})
        assert fields_of(waited)["status"] == "completed"
        assert told.status == "working"

    async def test_who_wants_the_job_id_at_once_gets_it_and_no_task(self, tmp_path: Path, simulator: Running) -> None:
        on_create(simulator, "never_ends")
        async with client_of(an_app(tmp_path, simulator)) as client:
            at_once = await answer_of(client, "generate_image", {**LAKE, "wait_seconds": 0})
            status = await answer_of(client, "get_status", {"job_id": fields_of(at_once)["job_id"]})
        assert fields_of(at_once)["status"] == fields_of(status)["status"] == "pending"
        assert DataFolder(tmp_path / "data").one("SELECT COUNT(*) FROM tasks") == 0

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            ({"prompt": " "}, "invalid_argument"),
            ({**LAKE, "colour": "red"}, "invalid_argument"),
            ({**LAKE, "guidance_scale": 3}, "unsupported_by_provider"),
            ({**LAKE, "num_images": 4}, "budget_exceeded"),
            ({**LAKE, "dry_run": True}, None),
        ],
    )
    async def test_what_makes_no_job_is_answered_at_once(
        self, tmp_path: Path, simulator: Running, arguments: dict[str, Any], told: str | None
    ) -> None:
        async with client_of(an_app(tmp_path, simulator, kontext_max_cost="120 credit")) as client:
            result = await answer_of(client, "generate_image", arguments)
        assert fields_of(result).get("error", {}).get("code") == told
        rows = [DataFolder(tmp_path / "data").one(f"SELECT COUNT(*) FROM {table}") for table in ("jobs", "tasks")]
        assert rows == [0, 0]

    async def test_what_joins_a_job_that_has_ended_is_answered_at_once_and_what_joins_a_running_one_later(
        self, tmp_path: Path, simulator: Running
    ) -> None:
        on_create(simulator, "never_ends")
        async with client_of(an_app(tmp_path, simulator)) as client:
            made = result_of(await ended(client.session, (await task_of(client, "generate_image", _second())).task_id))
            again = await answer_of(client, "generate_image", _second())
            running_ = await task_of(client, "generate_image", LAKE)
            joined = await task_of(client, "generate_image", LAKE)
            await cancel(client, joined.task_id)
            standing = await ended(client.session, running_.task_id)
        assert (fields_of(again)["job_id"], fields_of(again)["joined"]) == (fields_of(made)["job_id"], True)
        assert (joined.task_id != running_.task_id, standing["status"]) == (True, "cancelled")

    async def test_the_answer_that_comes_later_tells_that_it_joined(self, tmp_path: Path) -> None:
        with running(job_seconds=0.3) as slow:
            async with client_of(an_app(tmp_path, slow)) as client:
                first = await task_of(client, "generate_image", LAKE)
                second = await task_of(client, "generate_image", LAKE)
                results = [result_of(await ended(client.session, told.task_id)) for told in (first, second)]
        assert [fields_of(result).get("joined") for result in results] == [None, True]
        assert fields_of(results[0])["job_id"] == fields_of(results[1])["job_id"]


def _second() -> dict[str, Any]:
    """Give a call of its own, whose create meets no script: the first script is taken by the first create."""
    return {**LAKE, "prompt": "a sea", "request_key": "k", "provider": "sandbox"}


class TestTheEnd:
    async def test_a_job_that_failed_is_completed_with_the_tools_own_failure(
        self, tmp_path: Path, simulator: Running
    ) -> None:
        on_create(simulator, "fail", error="no GPU")
        async with client_of(an_app(tmp_path, simulator)) as client:
            told = await task_of(client, "generate_image", LAKE)
            result = result_of(await ended(client.session, told.task_id))
        fields = fields_of(result)
        assert (result.is_error, fields["status"], fields["error"]["code"]) == (True, "failed", "provider_error")

    async def test_one_whose_fate_is_unknown_stays_as_it_was_told_whatever_a_person_finds_out(
        self, tmp_path: Path, simulator: Running
    ) -> None:
        on_create(simulator, "accept_then_reset")
        app = an_app(tmp_path, simulator)
        async with client_of(app) as client:
            told = await task_of(client, "generate_image", LAKE)
            before = result_of(await ended(client.session, told.task_id))
            await app.studio.resolve(LOCAL_OWNER, fields_of(before)["job_id"], charged=False)
            after = result_of(await get(client, told.task_id))
        assert (before.is_error, fields_of(before)["error"]["code"]) == (True, "outcome_unknown")
        assert after == before

    async def test_one_whose_reply_was_lost_is_working_until_it_is_found(
        self, tmp_path: Path, simulator: Running
    ) -> None:
        on_create(simulator, "accept_then_reset", wire="replicate")
        async with client_of(an_app(tmp_path, simulator, wire="replicate")) as client:
            told = await task_of(client, "generate_image", LAKE)
            result = result_of(await ended(client.session, told.task_id))
        assert (result.is_error, fields_of(result)["status"]) == (False, "completed")
        assert charged_at(simulator, "replicate") == 1

    async def test_a_cancel_is_taken_with_nothing_said_and_seen_by_the_next_look(
        self, tmp_path: Path, simulator: Running
    ) -> None:
        on_create(simulator, "never_ends")
        async with client_of(an_app(tmp_path, simulator)) as client:
            told = await task_of(client, "generate_image", LAKE)
            taken = await cancel(client, told.task_id)
            standing = await ended(client.session, told.task_id)
            again = await cancel(client, told.task_id)
            after = await get(client, told.task_id)
        assert fixed(taken) == fixed(again) == {"resultType": "complete"}
        assert after == standing
        assert fixed(standing) == snapshot(
            {
                "resultType": "complete",
                "status": "cancelled",
                "statusMessage": "Cancelled; nothing more happens.",
                "ttlMs": 86400000,
                "pollIntervalMs": 1000,
            }
        )

    async def test_one_that_somebody_else_cancelled_at_the_provider_says_so_in_its_answer(
        self, tmp_path: Path, simulator: Running
    ) -> None:
        on_create(simulator, "cancelled_elsewhere")
        async with client_of(an_app(tmp_path, simulator)) as client:
            told = await task_of(client, "generate_image", LAKE)
            result = result_of(await ended(client.session, told.task_id))
        assert (result.is_error, fields_of(result)["error"]["code"]) == (True, "cancelled")

    async def test_a_cancel_of_one_that_has_ended_takes_nothing_back(self, tmp_path: Path) -> None:
        async with client_of(an_app(tmp_path)) as client:
            told = await task_of(client, "generate_image", LAKE)
            before = await ended(client.session, told.task_id)
            await cancel(client, told.task_id)
            assert await get(client, told.task_id) == before

    async def test_where_the_provider_cannot_cancel_the_picture_comes_all_the_same(self, tmp_path: Path) -> None:
        with running(job_seconds=0.3) as slow:
            async with client_of(an_app(tmp_path, slow, wire="runflow", kontext_image_roots=str(PHOTOS))) as client:
                cat = {"image": str(PHOTOS / "chelsea.png"), "prompt": "Make it sepia"}
                told = await task_of(client, "edit_image", cat)
                await until(client.session, told.task_id, lambda _: charged_at(slow, "runflow") == 1)
                await cancel(client, told.task_id)
                result = result_of(await ended(client.session, told.task_id))
        assert fields_of(result)["status"] == "completed"


PHOTOS = Path(__file__).parent.parent.parent / "photos"


class TestWhoMayAsk:
    async def test_a_task_outlives_its_server(self, tmp_path: Path, simulator: Running) -> None:
        on_create(simulator, "none", seconds=0.3)
        async with client_of(an_app(tmp_path, simulator)) as client:
            told = await task_of(client, "generate_image", LAKE)
            data = DataFolder(tmp_path / "data")
            await until(client.session, told.task_id, lambda _: data.one("SELECT state FROM sends") == "submitted")
        async with client_of(an_app(tmp_path, simulator)) as client:
            result = result_of(await ended(client.session, told.task_id))
        assert (fields_of(result)["status"], charged_at(simulator)) == ("completed", 1)

    async def test_what_never_was_and_what_is_anothers_read_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with client_of(an_app(tmp_path)) as client:
            told = await task_of(client, "generate_image", LAKE)
            await ended(client.session, told.task_id)
        monkeypatch.setattr(asking, "LOCAL_OWNER", "bob")
        async with client_of(an_app(tmp_path)) as client:
            refused = [
                await refusal(client, method, {"taskId": task_id, "inputResponses": {}})
                for method in METHODS
                for task_id in (told.task_id, "never-was", "")
            ]
        assert {(error.code, error.message) for error in refused} == {(-32602, "There is no task of that id")}

    async def test_a_client_that_takes_no_tasks_gets_none_and_may_not_ask(
        self, tmp_path: Path, simulator: Running
    ) -> None:
        with anyio.fail_after(WITHIN_S):
            async with Client(make_server(an_app(tmp_path, simulator)), mode=MODERN) as client:
                result = await client.call_tool("generate_image", LAKE)
                refused = [await refusal(client, method, {"taskId": "t", "inputResponses": {}}) for method in METHODS]
                listen = {"notifications": {"taskIds": ["t"]}}
                refused.append(await refusal(client, "subscriptions/listen", listen))
        assert fields_of(result)["status"] == "completed"
        assert {(error.code, str(error.data)) for error in refused} == {
            (-32021, str({"requiredCapabilities": {"extensions": {IDENTIFIER: {}}}}))
        }

    @pytest.mark.parametrize("params", [{"taskId": "t", "inputResponses": {}}, {}, {"taskId": 7}])
    async def test_in_the_handshake_era_there_are_no_such_methods_and_no_tasks(
        self, tmp_path: Path, params: dict[str, Any]
    ) -> None:
        with anyio.fail_after(WITHIN_S):
            async with Client(
                make_server(an_app(tmp_path)), mode=ERAS[0], extensions=[advertise(IDENTIFIER)]
            ) as client:
                result = await client.call_tool("generate_image", LAKE)
                refused = [await refusal(client, method, params) for method in METHODS]
        assert fields_of(result)["status"] == "completed"
        assert {error.code for error in refused} == {-32601}

    @pytest.mark.parametrize("params", [{}, {"taskId": 7}, {"taskId": None}])
    async def test_a_malformed_request_is_told_so(self, tmp_path: Path, params: dict[str, Any]) -> None:
        async with client_of(an_app(tmp_path)) as client:
            refused = [await refusal(client, method, params) for method in METHODS]
            refused.append(await refusal(client, "tasks/update", {"taskId": "t"}))
        assert {error.code for error in refused} == {-32602}

    @pytest.mark.parametrize("method", ["tasks/result", "tasks/list"])
    async def test_the_methods_of_the_year_before_do_not_exist(self, tmp_path: Path, method: str) -> None:
        async with client_of(an_app(tmp_path)) as client:
            assert (await refusal(client, method, {"taskId": "t"})).code == -32601

    async def test_the_server_says_that_it_has_tasks(self, tmp_path: Path) -> None:
        async with client_of(an_app(tmp_path)) as client:
            told = await everything(client.session, AnyRequest(method="server/discover", params={}))
        assert told["capabilities"]["extensions"] == {"io.modelcontextprotocol/ui": {}, IDENTIFIER: {}}
        assert "tasks" not in told["capabilities"]

    async def test_a_store_that_cannot_be_read_is_no_unknown_task(self, tmp_path: Path) -> None:
        async with client_of(an_app(tmp_path)) as client:
            told = await task_of(client, "generate_image", LAKE)
            await ended(client.session, told.task_id)
        (tmp_path / "data" / "kontext.db").write_bytes(b"no database at all" * 100)
        async with client_of(an_app(tmp_path)) as client:
            with pytest.raises(MCPError, match="not sound") as refused:
                await get(client, told.task_id)
        assert refused.value.code == types.INTERNAL_ERROR

    async def test_a_row_says_nothing_of_what_was_asked(self, tmp_path: Path) -> None:
        async with client_of(an_app(tmp_path)) as client:
            told = await task_of(client, "generate_image", LAKE)
            done = await ended(client.session, told.task_id)
        (row,) = DataFolder(tmp_path / "data").rows("SELECT owner, kind, doc FROM tasks")
        job_id = done["result"]["structuredContent"]["job_id"]
        assert row == ("local", "job", f'{{"job": "{job_id}", "joined": false}}')


async def test_where_no_row_of_a_task_can_be_written_the_job_is_told_as_to_any_client(
    tmp_path: Path, simulator: Running
) -> None:
    on_create(simulator, "never_ends")
    async with client_of(an_app(tmp_path, simulator)) as client:
        with refusing(tmp_path, "tasks"):
            told = fields_of(await answer_of(client, "generate_image", LAKE))
    assert told["status"] == "pending"
    assert told["next"] == f"Call get_status(job_id='{told['job_id']}', wait_seconds=25)."


@pytest.mark.parametrize("method", ["tasks/get", "tasks/cancel"])
async def test_a_task_whose_job_is_gone_is_none(tmp_path: Path, method: str) -> None:
    app = an_app(tmp_path)
    async with client_of(app) as client:
        task = await app.tasks.make(LOCAL_OWNER, "job", {"job": "red-car-4k7q", "joined": False})
        assert (await refusal(client, method, {"taskId": task.id})).message == "There is no task of that id"


async def test_an_answer_to_a_task_that_asks_nothing_is_passed_over(tmp_path: Path) -> None:
    async with client_of(an_app(tmp_path)) as client:
        told = await task_of(client, "generate_image", LAKE)
        taken = await update(client, told.task_id, confirm={"action": "accept", "content": {"go": True}})
        result = result_of(await ended(client.session, told.task_id))
    assert fixed(taken) == {"resultType": "complete"}
    assert "Generated" in text_of(result)
