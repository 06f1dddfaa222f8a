"""Clients that take tasks (SEP-2663), for servers in this process, over HTTP and over pipes."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Literal

import anyio
import mcp_types as types
from mcp.client import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.client.session import ClientSession
from mcp.server.lowlevel.server import Server
from pydantic import ConfigDict

from kontext_server.surface.tasks import IDENTIFIER

MODERN = "2026-07-28"
ENDED = frozenset({"completed", "failed", "cancelled"})
FREE = frozenset({"taskId", "createdAt", "lastUpdatedAt", "_meta"})
"""What no two tasks have alike, and the SDK's stamp."""


class Everything(types.Result):
    """A result as it came over the wire."""

    model_config = ConfigDict(extra="allow")


class Told(types.Result):
    """A call's answer that is a task, as it came over the wire."""

    result_type: Literal["task"]
    task_id: str
    status: str
    status_message: str | None = None
    created_at: str
    last_updated_at: str
    ttl_ms: int
    poll_interval_ms: int


class AnyRequest(types.Request[dict[str, Any], str]):
    """A request whose parameters go out as they are."""


class TaskRequest(AnyRequest):
    """One of the three methods; over HTTP its header names the task."""

    name_param = "taskId"


class TakesTasks(ClientExtension):
    """Declares the extension. A call of the client's own waits for its task's end; a session's gives the task."""

    identifier = IDENTIFIER

    def claims(self) -> Sequence[ResultClaim[Any]]:
        """Take a task in an answer's place."""
        return [ResultClaim(result_type="task", model=Told, resolve=self._resolved)]

    async def _resolved(self, told: Told, context: ClaimContext) -> types.CallToolResult:
        return result_of(await ended(context.session, told.task_id))


@asynccontextmanager
async def taking_tasks(
    server: Any, person: Any = None, *, extension: ClientExtension | None = None, within_s: float = 30
) -> AsyncGenerator[Client]:
    """Give a client of a server (in this process, an address or a transport) that takes tasks."""
    with anyio.fail_after(within_s):
        extensions = [extension or TakesTasks()]
        async with Client(server, mode=MODERN, elicitation_callback=person, extensions=extensions) as client:
            yield client


async def task_of(client: Client, tool: str, arguments: dict[str, Any]) -> Told:
    """Call a tool whose answer is a task."""
    told = await client.session.call_tool(tool, arguments, allow_claimed=True, allow_input_required=True)
    assert isinstance(told, Told), told
    return told


async def answer_of(client: Client, tool: str, arguments: dict[str, Any]) -> types.CallToolResult:
    """Call a tool whose answer is none."""
    told = await client.session.call_tool(tool, arguments, allow_claimed=True, allow_input_required=True)
    assert isinstance(told, types.CallToolResult), told
    return told


async def everything(session: ClientSession, request: types.Request[Any, Any]) -> dict[str, Any]:
    """Send a request; give the whole result."""
    result = await session.send_request(request, Everything)
    return result.model_dump(by_alias=True, mode="json", exclude_none=True)


async def ask(session: ClientSession, method: str, task_id: str, **params: Any) -> dict[str, Any]:
    """Send one of the three methods; give the whole result."""
    return await everything(session, TaskRequest(method=method, params={"taskId": task_id, **params}))


async def get(client: Client, task_id: str) -> dict[str, Any]:
    """Give how a task stands."""
    return await ask(client.session, "tasks/get", task_id)


async def update(client: Client, task_id: str, **answers: Any) -> dict[str, Any]:
    """Answer what a task asks."""
    return await ask(client.session, "tasks/update", task_id, inputResponses=answers)


async def cancel(client: Client, task_id: str) -> dict[str, Any]:
    """Wish a task to end."""
    return await ask(client.session, "tasks/cancel", task_id)


async def until(session: ClientSession, task_id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Ask how a task stands until it stands so; the caller has a deadline."""
    while True:
        standing = await ask(session, "tasks/get", task_id)
        if holds(standing):
            return standing


async def ended(session: ClientSession, task_id: str) -> dict[str, Any]:
    """Ask until a task has ended."""
    return await until(session, task_id, lambda standing: standing["status"] in ENDED)


def result_of(standing: dict[str, Any]) -> types.CallToolResult:
    """Give the answer that a completed task holds."""
    assert standing["status"] == "completed", standing
    return types.CallToolResult.model_validate(standing["result"])


def fixed(standing: types.Result | dict[str, Any]) -> dict[str, Any]:
    """Give what of an answer is the same each time."""
    if isinstance(standing, types.Result):
        standing = standing.model_dump(by_alias=True, mode="json", exclude_none=True)
    return {name: value for name, value in standing.items() if name not in FREE}


@asynccontextmanager
async def over_http(server: Server[Any]) -> AsyncGenerator[str]:
    """Serve over HTTP on loopback for as long as the block lasts; give the address."""
    import uvicorn

    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = uvicorn.Server(uvicorn.Config(server.streamable_http_app(), log_level="critical"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(running.serve, sockets=[listener]))
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
            finally:
                running.should_exit = True
