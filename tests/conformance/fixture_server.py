"""Our server over HTTP with the conformance suite's fixtures mounted beside our own: for the suite to run against.

The server is the one that `kontext serve --http` serves: its handlers, its paging, its notices, its sealed questions,
its engine, its checks of hosts and bodies. The fixtures stand before it: each handler gives what it has itself, and
anything else goes on to ours. `python -m conformance.fixture_server`, with the environment of a server; the address is
told on stdout.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mcp_types as types
from mcp.server.context import ServerRequestContext

from conformance import fixtures, task_fixtures
from kontext_server.app import App, build
from kontext_server.settings import load, prepare_data_dir
from kontext_server.surface.failures import guarded
from kontext_server.surface.server import KontextServer, make_server
from kontext_server.web.addresses import Addresses
from kontext_server.web.http import run
from kontext_server.web.listening import listening
from kontext_tools.clocks import SystemClock

Context = ServerRequestContext[App, Any]
Paged = types.PaginatedRequestParams


class Mounted:
    """The fixtures before one server's own handlers."""

    def __init__(self, server: KontextServer) -> None:
        self._server = server
        self._before: dict[str, Any] = {}
        self._mount("tools/list", Paged, self._list_tools)
        self._mount("tools/call", types.CallToolRequestParams, self._call_tool)
        self._mount("resources/list", Paged, self._list_resources)
        self._mount("resources/templates/list", Paged, self._list_templates)
        self._mount("resources/read", types.ReadResourceRequestParams, self._read_resource)
        self._mount("prompts/list", Paged, self._list_prompts)
        self._mount("prompts/get", types.GetPromptRequestParams, self._get_prompt)

    def _mount(self, method: str, params: Any, handler: Any) -> None:
        self._before[method] = self._server.get_request_handler(method)
        self._server.add_request_handler(method, params, guarded(handler))

    async def _ours(self, method: str, ctx: Context, params: Any) -> Any:
        """Give what our own server answers; `None` where it serves no such method."""
        entry = self._before[method]
        return None if entry is None else await entry.handler(ctx, params)

    async def _list_tools(self, ctx: Context, params: Paged) -> Any:
        listed: types.ListToolsResult = await self._ours("tools/list", ctx, params)
        return listed.model_copy(update={"tools": [*listed.tools, *fixtures.listed_tools()]})

    async def _call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> Any:
        async def call_ours(name: str, arguments: Mapping[str, Any]) -> fixtures.ToolResult:
            renamed = params.model_copy(update={"name": name, "arguments": dict(arguments)})
            result: fixtures.ToolResult = await self._ours("tools/call", ctx, renamed)
            return result

        tool = fixtures.TOOLS.get(params.name)
        if tool is None:
            return await self._ours("tools/call", ctx, params)
        call = fixtures.Call(
            ctx=ctx,
            arguments=params.arguments or {},
            responses=params.input_responses or {},
            state=params.request_state,
            ours=call_ours,
            publish=self._server.notices.publish,
        )
        return await tool.does(call)

    async def _list_resources(self, ctx: Context, params: Paged) -> Any:
        listed: types.ListResourcesResult = await self._ours("resources/list", ctx, params)
        first = [] if params.cursor else fixtures.listed_resources()
        return listed.model_copy(update={"resources": [*first, *listed.resources]})

    async def _list_templates(self, ctx: Context, params: Paged) -> Any:
        listed: types.ListResourceTemplatesResult = await self._ours("resources/templates/list", ctx, params)
        return listed.model_copy(update={"resource_templates": [*listed.resource_templates, fixtures.TEMPLATE]})

    async def _read_resource(self, ctx: Context, params: types.ReadResourceRequestParams) -> Any:
        uri = str(params.uri)
        found = fixtures.RESOURCES.get(uri) or fixtures.templated(uri)
        if found is None:
            return await self._ours("resources/read", ctx, params)
        return types.ReadResourceResult(contents=[found])

    async def _list_prompts(self, ctx: Context, params: Paged) -> Any:
        listed: types.ListPromptsResult | None = await self._ours("prompts/list", ctx, params)
        own = [] if listed is None else listed.prompts
        return types.ListPromptsResult(prompts=[*own, *fixtures.listed_prompts()])

    async def _get_prompt(self, ctx: Context, params: types.GetPromptRequestParams) -> Any:
        if params.name not in fixtures.PROMPTS:
            return await self._ours("prompts/get", ctx, params)
        return fixtures.prompt(params.name, params.arguments or {}, params.input_responses or {})


def main() -> None:
    """Serve on a free port until a signal comes."""
    settings = load()
    prepare_data_dir(settings)
    with listening("127.0.0.1", 0) as place:
        addresses = Addresses(place.base, bytes(32), SystemClock())
        app = build(settings, address_of=addresses.address)
        server = make_server(app)
        task_fixtures.mount(server, app)
        Mounted(server)
        run(server, app, addresses, place, announce=lambda address: print(address, flush=True))


if __name__ == "__main__":
    main()
