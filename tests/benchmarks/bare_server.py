"""The floor: a bare low-level server of the same SDK with one tool, over its stdio; with `--http`, on a free port."""

from __future__ import annotations

import socket
import sys
from typing import Any

import anyio
import mcp_types as types
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server

ECHO = types.Tool(name="echo", input_schema={"type": "object", "properties": {"text": {"type": "string"}}})


async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
    """Give the one tool."""
    return types.ListToolsResult(tools=[ECHO])


async def call_tool(_: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    """Say it back."""
    text = str((params.arguments or {}).get("text", ""))
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)])


async def main() -> None:
    """Serve until the input ends."""
    server = made()
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def made() -> Server[Any]:
    """Make the server."""
    return Server("bare", version="0", on_list_tools=list_tools, on_call_tool=call_tool)


def over_http() -> None:
    """Serve until it is killed, as ours is served; say where on stdout."""
    import uvicorn

    # Told to be TCP, or asyncio leaves Nagle's algorithm on, which costs 40 ms a call.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
    app = made().streamable_http_app(streamable_http_path="/mcp")
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    over_http() if sys.argv[1:] == ["--http"] else anyio.run(main)
