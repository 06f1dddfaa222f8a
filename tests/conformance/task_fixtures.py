"""The tools that the conformance suite's tasks-* scenarios call, as a second kind of task of our own extension.

`mount(server, app)` adds them to a server of ours, beside its tools and in front of nothing: the rows, the three
methods, the gate and the shapes on the wire are those of production (`kontext_server.surface.tasks`). What stands
behind a task here is its row alone: time passes, answers are written into it. So it is durable like a job's.

As a program it serves over HTTP: `python tests/conformance/task_fixtures.py PORT FOLDER`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.server.lowlevel.server import Server

from kontext_server.app import App
from kontext_server.surface.asking import owner_of
from kontext_server.surface.job_tasks import KIND, JobTasks
from kontext_server.surface.tasks import Standing, Status, TaskExtension, created, declared, require_declared
from kontext_server.surface.tools import Tools
from kontext_tools.stores.tasks import Task
from kontext_tools.tasks import Tasks

FIXTURE = "fixture"
STATE = "the name was asked for"
QUESTIONS: Mapping[str, Mapping[str, str]] = {
    "confirm_delete": {"confirm": "Delete it?"},
    "multi_input": {"first": "A first name?", "second": "A second one?"},
}
SECONDS: Mapping[str, float] = {"failing_job": 1, "protocol_error_job": 0}
NEEDS_TASKS = frozenset({"failing_job", "test_tool_with_task"})
NAMES = ("greet", "slow_compute", *SECONDS, *QUESTIONS, "test_tool_with_task")
SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}


class FixtureTasks:
    """Tasks whose row is all there is of them."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks

    async def standing(self, task: Task) -> Standing:
        """Tell it by the row and the time."""
        tool, arguments = task.doc["tool"], task.doc["arguments"]
        open_ = {key: words for key, words in QUESTIONS.get(tool, {}).items() if key not in task.doc["answers"]}
        ends_at = task.created_at + timedelta(seconds=SECONDS.get(tool, arguments.get("seconds", 0)))
        if task.doc["cancelled"]:
            return Standing(status=Status.CANCELLED)
        if open_:
            return Standing(status=Status.INPUT_REQUIRED, asks={key: _form(words) for key, words in open_.items()})
        if datetime.now(UTC) < ends_at:
            return Standing(status=Status.WORKING, message="It takes its time.")
        if tool == "protocol_error_job":
            broken = types.ErrorData(code=types.INTERNAL_ERROR, message="It broke")
            return Standing(status=Status.FAILED, error=broken, at=ends_at)
        return Standing(status=Status.COMPLETED, result=_result(tool, arguments), at=ends_at)

    async def answered(self, task: Task, answers: Mapping[str, Any]) -> None:
        """Write down what was asked for, each answer alone or all together."""
        known = {key: answer for key, answer in answers.items() if key in QUESTIONS.get(task.doc["tool"], {})}
        await self._write(task, {"answers": known | task.doc["answers"]})

    async def cancelled(self, task: Task) -> None:
        """Write it down, unless it has ended."""
        standing = await self.standing(task)
        if standing.status in (Status.WORKING, Status.INPUT_REQUIRED):
            await self._write(task, {"cancelled": True})

    async def _write(self, task: Task, news: Mapping[str, Any]) -> None:
        while await self._tasks.move(task, {**task.doc, **news}) is None:
            again = await self._tasks.find(task.owner, task.id)
            assert again is not None
            task = again


def mount(server: Server[App], app: App) -> None:
    """Add the fixture tools to a server that `make_server` made of this app."""
    kinds = {KIND: JobTasks(app, Tools(app)), FIXTURE: FixtureTasks(app.tasks)}
    TaskExtension(app.tasks, kinds).serve(server)
    own_list, own_call = server.get_request_handler("tools/list"), server.get_request_handler("tools/call")
    assert own_list is not None and own_call is not None

    async def list_tools(ctx: ServerRequestContext[App, Any], params: Any) -> HandlerResult:
        listed = await own_list.handler(ctx, params)
        assert isinstance(listed, types.ListToolsResult)
        fixtures = [types.Tool(name=name, description="A fixture.", input_schema=SCHEMA) for name in NAMES]
        return types.ListToolsResult(tools=[*listed.tools, *fixtures])

    async def call_tool(ctx: ServerRequestContext[App, Any], params: types.CallToolRequestParams) -> HandlerResult:
        if params.name in NAMES:
            return await _called(app, ctx, params)
        return await own_call.handler(ctx, params)

    server.add_request_handler("tools/list", types.PaginatedRequestParams, list_tools)
    server.add_request_handler("tools/call", types.CallToolRequestParams, call_tool)


async def _called(
    app: App, ctx: ServerRequestContext[App, Any], params: types.CallToolRequestParams
) -> types.CallToolResult | types.InputRequiredResult | types.Result:
    tool, arguments = params.name, dict(params.arguments or {})
    if tool in NEEDS_TASKS:
        require_declared(ctx)
    if tool == "test_tool_with_task":
        answer = (params.input_responses or {}).get("user_name")
        if params.request_state != STATE or not isinstance(answer, types.ElicitResult):
            return types.InputRequiredResult(input_requests={"user_name": _form("Whose?")}, request_state=STATE)
        arguments["name"] = (answer.content or {}).get("name")
    if tool == "greet" or not declared(ctx):
        await anyio.sleep(arguments.get("seconds", 0))
        return _result(tool, arguments)
    doc: dict[str, Any] = {"tool": tool, "arguments": arguments, "answers": {}, "cancelled": False}
    return created(await app.tasks.make(owner_of(ctx), FIXTURE, doc), Standing(status=Status.WORKING))


def _form(words: str) -> types.ElicitRequest:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "confirm": {"type": "boolean"}},
    }
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=words, requested_schema=schema))


def _result(tool: str, arguments: Mapping[str, Any]) -> types.CallToolResult:
    text = f"Hello, {arguments['name']}!" if "name" in arguments else f"{tool} is done."
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=tool == "failing_job")


def serve(port: int, folder: Path) -> None:
    """Serve the fixtures over HTTP on loopback."""
    import uvicorn

    from kontext_server.app import build
    from kontext_server.settings import load
    from kontext_server.surface.server import make_server

    app = build(load(kontext_data_dir=folder))
    server = make_server(app)
    mount(server, app)
    uvicorn.run(server.streamable_http_app(), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    import sys

    serve(int(sys.argv[1]), Path(sys.argv[2]))
