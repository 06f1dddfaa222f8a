"""langchain-mcp-adapters: the server's tools as LangChain tools, called directly by the script.

What the model sees there: the blocks of a ToolMessage, text and picture. The structured content lies in its
`artifact`, which LangChain never gives to a model (one scenario reads it as a program would); of a refused call
there is none. No agent loop: that is LangGraph's, and would call the tools just so. This framework runs on the 1.x
line of `mcp`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from langchain_core.messages import ToolMessage
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools

from clients.following import Converse, Following, Server, main
from clients.reading import Call, Shown


@asynccontextmanager
async def connected(server: Server) -> AsyncGenerator[Converse]:
    """Start a server through the adapters' client, and lead conversations over its tools."""
    command, *arguments = server.command
    client = MultiServerMCPClient(
        {"kontext": {"transport": "stdio", "command": command, "args": arguments, "env": server.env}}
    )
    async with client.session("kontext") as session:
        tools = {tool.name: tool for tool in await load_mcp_tools(session)}

        async def answered(n: int, call: Call) -> Shown:
            asked = {"type": "tool_call", "id": f"call-{n}", "name": call.tool, "args": dict(call.arguments)}
            message = await tools[call.tool].ainvoke(asked)
            assert isinstance(message, ToolMessage)
            return _shown(message, structured=server.structured)

        async def converse(following: Following) -> None:
            calls = following.begin()
            while calls:
                answers = await asyncio.gather(*(answered(n, call) for n, call in enumerate(calls)))
                calls = following.after(answers)

        yield converse


def _shown(message: ToolMessage, *, structured: bool) -> Shown:
    if structured and message.artifact is not None:
        return Shown(fields=message.artifact["structured_content"])
    blocks = message.content_blocks
    text = "\n".join(block["text"] for block in blocks if block["type"] == "text")
    return Shown(text=text, pictures=sum(block["type"] == "image" for block in blocks))


if __name__ == "__main__":
    main(connected)
