"""The conformance suite's task tools go through our own extension, beside our own tasks."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from conformance.task_fixtures import NAMES, mount
from kontext_server.app import build
from kontext_server.settings import load
from kontext_server.surface.server import make_server
from support.stdio_server import fields_of, text_of
from support.task_client import MODERN, answer_of, cancel, ended, get, result_of, taking_tasks, task_of, until, update
from support.task_questions import never_asked

pytestmark = pytest.mark.anyio

ACCEPTED: dict[str, Any] = {"action": "accept", "content": {"name": "Ann", "confirm": True}}


@asynccontextmanager
async def client_of(folder: Path) -> AsyncGenerator[Client]:
    app = build(load(kontext_data_dir=folder / "data"))
    server = make_server(app)
    mount(server, app)
    async with taking_tasks(server, never_asked) as client:
        yield client


async def test_they_stand_beside_our_own_tools_and_our_own_tasks(tmp_path: Path) -> None:
    async with client_of(tmp_path) as client:
        listed = {tool.name for tool in (await client.list_tools()).tools}
        ours = await client.call_tool("generate_image", {"prompt": "a lake"})
        greeted = await answer_of(client, "greet", {"name": "World"})
    assert listed > {*NAMES, "edit_image"}
    assert (fields_of(ours)["status"], text_of(greeted)) == ("completed", "Hello, World!")


async def test_an_error_of_the_protocol_fails_and_one_of_the_tool_completes(tmp_path: Path) -> None:
    async with client_of(tmp_path) as client:
        broken = await ended(client.session, (await task_of(client, "protocol_error_job", {})).task_id)
        failing = await ended(client.session, (await task_of(client, "failing_job", {})).task_id)
    assert (broken["status"], broken["error"]["code"], "result" in broken) == ("failed", -32603, False)
    assert result_of(failing).is_error


async def test_answers_are_taken_one_by_one_by_whichever_server_there_is(tmp_path: Path) -> None:
    async with client_of(tmp_path) as client:
        told = await task_of(client, "multi_input", {})
        both = await get(client, told.task_id)
        await update(client, told.task_id, first=ACCEPTED)
    async with client_of(tmp_path) as client:
        one = await get(client, told.task_id)
        await update(client, told.task_id, second=ACCEPTED)
        done = await get(client, told.task_id)
    assert [sorted(standing["inputRequests"]) for standing in (both, one)] == [["first", "second"], ["second"]]
    assert done["status"] == "completed"


async def test_one_that_takes_long_is_cancelled(tmp_path: Path) -> None:
    async with client_of(tmp_path) as client:
        told = await task_of(client, "slow_compute", {"seconds": 600})
        await cancel(client, told.task_id)
        standing = await until(client.session, told.task_id, lambda found: found["status"] != "working")
    assert standing["status"] == "cancelled"


async def test_what_needs_a_task_is_refused_to_who_takes_none(tmp_path: Path) -> None:
    app = build(load(kontext_data_dir=tmp_path / "data"))
    server = make_server(app)
    mount(server, app)
    async with Client(server, mode=MODERN) as client:
        with pytest.raises(MCPError) as refused:
            await client.call_tool("failing_job", {})
    assert refused.value.code == -32021
