"""The Tasks extension (`io.modelcontextprotocol/tasks`, SEP-2663): a call is answered with an id, and fetched later.

What this is: the three methods, what they refuse and the shapes on the wire, for tasks of any kind. What it is not:
what stands behind a task (`job_tasks`: our jobs), or its row (`kontext_tools.tasks`). Above: server, job_tasks.
Below: asking, extensions, kontext_tools.tasks.

It exists on the wire of 2026-07-28 alone, and for a request whose client declares it. Facts are those of
https://github.com/modelcontextprotocol/ext-tasks, specification/2026-07-28/tasks.md. No `notifications/tasks`: a server
may send them, a client has to poll all the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol, cast

import mcp_types as types
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ConfigDict

from kontext_server.surface.asking import owner_of
from kontext_server.surface.extensions import declares
from kontext_server.surface.failures import guarded
from kontext_server.surface.wording import told
from kontext_tools.errors import KontextError, NotFound
from kontext_tools.stores.tasks import Task
from kontext_tools.tasks import Tasks

IDENTIFIER = "io.modelcontextprotocol/tasks"
POLL_MS = 1000
"""So often a client should ask; the engine itself looks at a provider every half second to five seconds."""
METHODS = frozenset({"tasks/get", "tasks/update", "tasks/cancel"})

UNBUILT = ConfigDict(defer_build=True)
"""Few clients know tasks: what reads and writes them is built at the first."""

Context = ServerRequestContext[Any, Any]


class Status(StrEnum):
    """What a client is told."""

    WORKING = "working"
    INPUT_REQUIRED = "input_required"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a task stands.

    Attributes:
        status: of the five.
        message: for people, where there is something to say.
        at: when it came to stand so; `None` where the row's own time says it.
        asks: what a person is to answer, by a key that is never used again; where input is required.
        result: what the call would have been answered with, good or bad; where it is completed.
        error: a protocol's error, nothing else; where it failed.
    """

    status: Status
    message: str | None = None
    at: datetime | None = None
    asks: Mapping[str, types.ElicitRequest] = field(default_factory=dict[str, types.ElicitRequest])
    result: types.CallToolResult | None = None
    error: types.ErrorData | None = None


class Kind(Protocol):
    """What stands behind the tasks of one kind. It keeps what it must in the row, so that any process may serve it."""

    async def standing(self, task: Task) -> Standing:
        """Tell how a task stands; what has ended stays as it is. Raises `NotFound` where what it stood for is gone."""
        ...

    async def answered(self, task: Task, answers: Mapping[str, Any]) -> None:
        """Take answers to what it asks, by their keys; those to what is not asked are passed over.

        Raises:
            MCPError: an answer is none.
        """
        ...

    async def cancelled(self, task: Task) -> None:
        """Take the wish to end it; what has ended stays as it is."""
        ...


class TaskParams(types.RequestParams):
    """Parameters of `tasks/get` and `tasks/cancel`."""

    model_config = UNBUILT
    task_id: str


class UpdateParams(TaskParams):
    """Parameters of `tasks/update`."""

    input_responses: dict[str, Any]


class TaskFields(types.Result):
    """What both shapes tell of a task."""

    model_config = UNBUILT
    task_id: str
    status: str
    status_message: str | None
    created_at: str
    last_updated_at: str
    ttl_ms: int
    poll_interval_ms: int = POLL_MS


class CreatedTask(TaskFields):
    """In the place of a tool's answer: where to fetch it."""

    result_type: Literal["task"] = "task"


class DetailedTask(TaskFields):
    """The answer of `tasks/get`."""

    result_type: Literal["complete"] = "complete"
    input_requests: dict[str, types.ElicitRequest] | None = None
    result: types.CallToolResult | None = None
    error: types.ErrorData | None = None


class Acknowledged(types.Result):
    """The answer of `tasks/update` and `tasks/cancel`: nothing but that it was taken."""

    model_config = UNBUILT
    result_type: Literal["complete"] = "complete"


def declared(ctx: Context) -> bool:
    """Whether this request's client takes tasks: it says so on each request, and on this wire alone."""
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS and declares(ctx, IDENTIFIER)


def require_declared(ctx: Context) -> None:
    """Refuse what only a client that takes tasks can be served.

    Raises:
        MCPError: it does not.
    """
    if not declared(ctx):
        needed = types.ClientCapabilities(extensions={IDENTIFIER: {}})
        data = types.MissingRequiredClientCapabilityErrorData(required_capabilities=needed)
        raise MCPError(
            types.MISSING_REQUIRED_CLIENT_CAPABILITY,
            f"This request needs the client to declare {IDENTIFIER}",
            data.model_dump(by_alias=True, mode="json", exclude_none=True),
        )


def created(task: Task, standing: Standing) -> CreatedTask:
    """Give a tool's answer that says where its answer is; the task is durable by now."""
    return CreatedTask(**_fields(task, standing))


class TaskExtension:
    """The extension over a server's tasks.

    Args:
        tasks: their rows.
        kinds: what stands behind them, by name.
    """

    def __init__(self, tasks: Tasks, kinds: Mapping[str, Kind]) -> None:
        self._tasks = tasks
        self._kinds = kinds

    def serve(self, server: Server[Any]) -> None:
        """Declare the extension and serve its methods."""
        server.extensions[IDENTIFIER] = {}
        server.middleware.append(_gate)
        server.add_request_handler("tasks/get", TaskParams, _served(self._get))
        server.add_request_handler("tasks/update", UpdateParams, _served(self._update))
        server.add_request_handler("tasks/cancel", TaskParams, _served(self._cancel))

    async def _get(self, ctx: Context, params: TaskParams) -> HandlerResult:
        task, kind = await self._found(ctx, params)
        standing = await kind.standing(task)
        return DetailedTask(
            **_fields(task, standing),
            input_requests=dict(standing.asks) or None,
            result=standing.result,
            error=standing.error,
        )

    async def _update(self, ctx: Context, params: UpdateParams) -> HandlerResult:
        task, kind = await self._found(ctx, params)
        await kind.answered(task, params.input_responses)
        return Acknowledged()

    async def _cancel(self, ctx: Context, params: TaskParams) -> HandlerResult:
        task, kind = await self._found(ctx, params)
        await kind.cancelled(task)
        return Acknowledged()

    async def _found(self, ctx: Context, params: TaskParams) -> tuple[Task, Kind]:
        task = await self._tasks.find(owner_of(ctx), params.task_id)
        kind = None if task is None else self._kinds.get(task.kind)
        if task is None or kind is None:
            raise _unknown()
        return task, kind


def _unknown() -> MCPError:
    """Give the one refusal for what never was, is over, and is another's."""
    return MCPError(types.INVALID_PARAMS, "There is no task of that id")


def _fields(task: Task, standing: Standing) -> dict[str, Any]:
    return {
        "task_id": task.id,
        "status": standing.status.value,
        "status_message": standing.message,
        "created_at": _told_at(task.created_at),
        "last_updated_at": _told_at(max(task.updated_at, standing.at or task.updated_at)),
        "ttl_ms": round((task.ends_at - task.created_at).total_seconds() * 1000),
    }


def _told_at(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _served(
    handler: Callable[[Context, Any], Awaitable[HandlerResult]],
) -> Callable[[Context, Any], Awaitable[HandlerResult]]:
    """Wrap a method's handler: a store that cannot be read must not read as a task that is not there."""

    async def served(ctx: Context, params: Any) -> HandlerResult:
        try:
            return await handler(ctx, params)
        except NotFound:
            raise _unknown() from None
        except KontextError as error:
            raise MCPError(types.INTERNAL_ERROR, told(error.failure).partition("\n")[0]) from None

    return guarded(served)


async def _gate(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Refuse what is wrong with a request as such, before its parameters are looked at.

    In the handshake era there are no such methods, not even for a malformed call. Over HTTP the header by which such
    requests are routed must name the task; the SDK checks that for the protocol's own methods only.
    """
    if ctx.method in METHODS:
        if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            raise MCPError(types.METHOD_NOT_FOUND, "Method not found", data=ctx.method)
        _check_header(ctx)
        require_declared(ctx)
    elif ctx.method == "subscriptions/listen" and _wants_tasks(ctx.params):
        require_declared(ctx)
    return await call_next(ctx)


def _check_header(ctx: Context) -> None:
    task_id = (ctx.params or {}).get("taskId")
    if ctx.request is None or not isinstance(task_id, str):
        return
    if decode_header_value(ctx.request.headers.get(MCP_NAME_HEADER)) != task_id:
        raise MCPError(types.HEADER_MISMATCH, f"The {MCP_NAME_HEADER} header does not name the body's taskId")


def _wants_tasks(params: Mapping[str, Any] | None) -> bool:
    wanted = (params or {}).get("notifications")
    return isinstance(wanted, Mapping) and "taskIds" in cast("Mapping[str, Any]", wanted)
