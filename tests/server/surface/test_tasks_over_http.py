"""Tasks over HTTP: the header that names the task, what is refused with which status, and two servers on one folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from kontext_server.simulator.serve import Running
from kontext_server.surface.server import make_server
from kontext_server.surface.tasks import IDENTIFIER
from support.at_simulator import charged_at
from support.looking_in import DataFolder
from support.stdio_server import fields_of
from support.task_client import MODERN, ended, get, over_http, result_of, taking_tasks, task_of, until, update
from support.task_questions import LAKE, YES, an_app, never_asked

pytestmark = pytest.mark.anyio

JOB_SECONDS = 0.3
WITHIN_S = 30


async def post(url: str, method: str, headers: dict[str, str], **params: Any) -> tuple[int, dict[str, Any]]:
    """Send one request of a client that takes tasks as it stands on the wire; give the status and the answer."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "by hand", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": params.pop("capabilities", {"extensions": {IDENTIFIER: {}}}),
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    always = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": MODERN,
        "mcp-method": method,
        "content-type": "application/json",
    }
    async with httpx2.AsyncClient() as client:
        answer = await client.post(url, content=json.dumps(body), headers=always | headers, timeout=WITHIN_S)
    return answer.status_code, answer.json()


async def test_a_question_and_its_job_go_over_http_from_one_server_to_the_next(
    tmp_path: Path, simulator: Running
) -> None:
    async with over_http(make_server(an_app(tmp_path, simulator))) as url, taking_tasks(url, never_asked) as client:
        told = await task_of(client, "generate_image", LAKE)
    async with over_http(make_server(an_app(tmp_path, simulator))) as url, taking_tasks(url, never_asked) as client:
        assert (await get(client, told.task_id))["status"] == "input_required"
        await update(client, told.task_id, confirm=YES)
        data = DataFolder(tmp_path / "data")
        await until(client.session, told.task_id, lambda _: data.one("SELECT state FROM sends") == "submitted")
    async with over_http(make_server(an_app(tmp_path, simulator))) as url, taking_tasks(url, never_asked) as client:
        result = result_of(await ended(client.session, told.task_id))
    assert (fields_of(result)["status"], charged_at(simulator)) == ("completed", 1)


async def test_the_header_must_name_the_task(tmp_path: Path, simulator: Running) -> None:
    with anyio.fail_after(WITHIN_S):
        async with over_http(make_server(an_app(tmp_path, simulator))) as url:
            refused = [
                await post(url, method, headers, taskId="t", inputResponses={})
                for method in ("tasks/get", "tasks/update", "tasks/cancel")
                for headers in ({}, {"mcp-name": "another"}, {"mcp-name": ""})
            ]
            taken = await post(url, "tasks/get", {"mcp-name": "t"}, taskId="t")
            encoded = await post(url, "tasks/get", {"mcp-name": "=?base64?dA==?="}, taskId="t")
            malformed = await post(url, "tasks/get", {"mcp-name": "t"})
    assert {(status, answer["error"]["code"]) for status, answer in refused} == {(400, -32020)}
    for _, answer in (taken, encoded):
        assert answer["error"] == {"code": -32602, "message": "There is no task of that id"}
    assert malformed[1]["error"]["code"] == -32602


async def test_a_client_that_takes_no_tasks_is_told_what_is_missing(tmp_path: Path, simulator: Running) -> None:
    with anyio.fail_after(WITHIN_S):
        async with over_http(make_server(an_app(tmp_path, simulator))) as url:
            status, answer = await post(url, "tasks/get", {"mcp-name": "t"}, taskId="t", capabilities={})
    assert (status, answer["error"]["code"]) == (400, -32021)
    assert answer["error"]["data"] == {"requiredCapabilities": {"extensions": {IDENTIFIER: {}}}}
