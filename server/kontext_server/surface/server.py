"""The MCP server: the SDK's low-level class with our handlers, each wrapped at registration.

What this is: where the protocol meets the tools and the resources, the same in both eras (2025-11-25 and before by
handshake, 2026-07-28 without). What it is not: a transport (`stdio`). Above: stdio. Below: tools, resources, tasks.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import mcp_types as types
from mcp.server.caching import CacheHint
from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from kontext_server import __version__
from kontext_server.app import App
from kontext_server.surface import completion, prompts, scopes, studio_app
from kontext_server.surface.asking import ANSWER_WITHIN_S, Caller, owner_of, whose
from kontext_server.surface.catalogue import TEMPLATES
from kontext_server.surface.counting import counted
from kontext_server.surface.failures import contain, guarded
from kontext_server.surface.job_tasks import KIND, JobTasks
from kontext_server.surface.limits import Handler, Limits
from kontext_server.surface.notices import Notices
from kontext_server.surface.own_keys import OwnKeys
from kontext_server.surface.resources import Resources
from kontext_server.surface.tasks import TaskExtension, declared
from kontext_server.surface.tools import Tools
from kontext_server.surface.unread import if_read, refuse_unread
from kontext_tools.meters import UNMETERED, Meter

NAME = "kontext"
SEAL_BYTES = 32
INSTRUCTIONS = (
    "kontext edits pictures with FLUX.1 Kontext. Make several small edits rather than one large one, and look after "
    "each. Answers name pictures by reference (red-car-4k7q/1): pass it as image for the next edit; to branch, edit an "
    "earlier one. Name in keep what must not change. If the picture is not shown to you, judge by the change report; "
    "never describe what you cannot see. Tell the person the url or path and the cost. While a job runs, call "
    "get_status with wait_seconds. Before asking the person for a past picture, try find_images. run_plan is for "
    "known recipes only. When something may have been charged, ask the person before trying again."
)
"""At most 120 words: every client puts it before the model for the whole conversation."""

ICON = types.Icon(
    src="data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAADAAAAAwAgMAAAAqbBEUAAAACVBMVEUkMEj////wljzjQhp2AAAAeUlEQVR42sWQ"
    "uxHEIAwFd4hUBkX5+lE9rooyFDEXCOtproAz2QJv9YGXzueCcd8wzoWxBZMQwBI4FAzwAmPrZRI0wRI4XjDYshkhmFWg8ge8dXDyCbukv99Y6dOk"
    "BfGI0tB6y/wDaTgQmCDLalXeVzX7CCaIFvjv+QIJeRs6fOxjLAAAAABJRU5ErkJggg==",
    mime_type="image/png",
    sizes=["48x48"],
)
"""Told once for each connection. In 2026-07-28 the server's name stands on every answer: there it has no icon."""

Context = ServerRequestContext[App, Any]


class KontextServer(Server[App]):
    """The SDK's server, which tells a client of the handshake era that its resources change, on every transport."""

    notices: Notices
    """Of this server; whoever stops its transport closes their streams."""

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        """Give the options of `initialize`. Over HTTP the SDK asks for them itself and names none."""
        changing = notification_options or NotificationOptions(resources_changed=True)
        return super().create_initialization_options(changing, experimental_capabilities, extensions)

    @property
    def server_info_stamp(self) -> dict[str, Any]:
        """The server's name as it stands on every answer of 2026-07-28: without its icon."""
        return {name: value for name, value in super().server_info_stamp.items() if name != "icons"}

    async def discover(self, ctx: Context, _: types.RequestParams) -> types.DiscoverResult:
        """Serve `server/discover`: the one answer of 2026-07-28 with the server's icon."""
        with_icon = self.server_info.model_dump(by_alias=True, mode="json", exclude_none=True)
        return types.DiscoverResult(
            supported_versions=list(MODERN_PROTOCOL_VERSIONS),
            capabilities=self.get_capabilities(protocol_version=ctx.protocol_version),
            instructions=self.instructions,
            _meta={types.SERVER_INFO_META_KEY: with_icon},
        )


def _as_it_is(handler: Handler) -> Handler:
    return handler


def make_server(
    app: App, *, seal: bytes | None = None, meter: Meter = UNMETERED, limits: Limits | None = None
) -> KontextServer:
    """Make the server of one app; its lifespan starts and stops the app.

    Args:
        app: what it serves.
        seal: the key of questions' states, 32 bytes, the same in all processes that may get the answer; without one it
            is this process's own.
        meter: who is told of calls.
        limits: how often one owner may ask, where people sign in.
    """
    tools, resources = Tools(app), Resources(app, whose)
    notices = Notices(app, whose)
    job_tasks = JobTasks(app, tools)
    limited, gates = (_as_it_is, []) if limits is None else (limits.calls, [limits.gate])
    own_keys = OwnKeys(app)

    @asynccontextmanager
    async def lifespan(_: Server[App]) -> AsyncGenerator[App]:
        async with app.running(), notices.running():
            yield app

    @guarded
    async def list_tools(ctx: Context, _: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[*tools.specs, *studio_app.listed(ctx)])

    @counted(meter, app.clock, {*(spec.name for spec in tools.specs), studio_app.READ})
    @guarded
    @if_read
    @limited
    @studio_app.served_by(resources.contents)
    async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> HandlerResult:
        call = job_tasks.call if declared(ctx) else tools.call
        return await call(params.name, params.arguments, Caller(ctx, params, own_keys))

    @guarded
    async def list_resources(_: Context, params: types.PaginatedRequestParams | None) -> types.ListResourcesResult:
        return await resources.page(None if params is None else params.cursor)

    @guarded
    async def list_templates(_: Context, __: types.PaginatedRequestParams | None) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=TEMPLATES)

    @guarded
    async def read_resource(ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        return await resources.read(str(params.uri), protocol_version=ctx.protocol_version)

    @guarded
    async def list_prompts(_: Context, __: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
        return types.ListPromptsResult(prompts=prompts.PROMPTS)

    @guarded
    async def get_prompt(_: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        return prompts.get(params.name, params.arguments)

    @guarded
    async def complete(ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        return await completion.complete(app, owner_of(ctx), params)

    private = CacheHint(ttl_ms=0, scope="private")
    server = KontextServer(
        NAME,
        version=__version__,
        title="Kontext image editing",
        instructions=INSTRUCTIONS,
        icons=[ICON],
        lifespan=lifespan,
        cache_hints={"tools/list": private, "resources/list": private, "resources/read": private},
        # Without this the SDK lists all tools before each call over HTTP, to look for header parameters we have not.
        get_tool_input_schema=lambda _: None,
        on_list_tools=list_tools,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
        on_subscribe_resource=guarded(notices.watch),
        on_unsubscribe_resource=guarded(notices.unwatch),
        on_subscriptions_listen=guarded(notices.listen),
    )
    server.notices = notices
    server.add_request_handler("server/discover", types.RequestParams, server.discover)
    server.add_notification_handler("notifications/initialized", types.NotificationParams, notices.initialized)
    # Registered by name: its answer may be a task as well, which the constructor's own type does not know.
    server.add_request_handler("tools/call", types.CallToolRequestParams, call_tool)
    studio_app.serve(server)
    TaskExtension(app.tasks, {KIND: job_tasks}).serve(server)
    # A question's state goes through the client, sealed and bound to its owner (`asking`).
    keys = [secrets.token_bytes(SEAL_BYTES) if seal is None else seal]
    security = RequestStateSecurity(keys=keys, ttl=ANSWER_WITHIN_S, bind_principal=owner_of)
    server.middleware.append(RequestStateBoundary(security, default_audience=NAME))
    server.middleware[:0] = [contain, refuse_unread, scopes.gate, *gates, notices.prolong]
    return server
