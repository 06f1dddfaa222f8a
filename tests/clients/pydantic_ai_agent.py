"""pydantic-ai's agent over its own MCP toolset; its `FunctionModel` is led by the script.

What the model sees there: the structured content where an answer is text alone; only the blocks, text and picture,
as soon as a picture comes along; a refused call as an answer marked `retried`, with the structured content.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastmcp.client.transports import StdioTransport
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import UsageLimits

from clients.following import Converse, Following, Server, main
from clients.reading import Call, Shown

MOST_TURNS = 20


@asynccontextmanager
async def connected(server: Server) -> AsyncGenerator[Converse]:
    """Start a server through the toolset, and lead conversations over it."""
    command, *arguments = server.command
    transport = StdioTransport(command, arguments, env=server.env)
    # Its own 5 s to start are of a machine that does nothing else.
    toolset: MCPToolset[None] = MCPToolset(transport, max_retries=3, init_timeout=60)

    async def converse(following: Following) -> None:
        def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            assert info.function_tools, "the toolset gives the model no tools"
            answers = _answers(messages)
            return _response(following.after(answers) if answers else following.begin())

        agent = Agent(FunctionModel(model), deps_type=type(None), toolsets=[toolset])
        await agent.run("Go.", usage_limits=UsageLimits(request_limit=MOST_TURNS))

    async with toolset:
        yield converse


def _response(calls: Sequence[Call]) -> ModelResponse:
    if not calls:
        return ModelResponse(parts=[TextPart("Done.")])
    return ModelResponse(parts=[ToolCallPart(asked.tool, dict(asked.arguments)) for asked in calls])


def _answers(messages: list[ModelMessage]) -> list[Shown]:
    """Give the last turn's answers in the order of its calls."""
    if len(messages) < 3:
        return []
    order = [part.tool_call_id for part in messages[-2].parts if isinstance(part, ToolCallPart)]
    given = {part.tool_call_id: _shown(part.content) for part in messages[-1].parts if isinstance(part, ToolReturnPart)}
    return [given[call_id] for call_id in order]


def _shown(content: Any) -> Shown:
    if isinstance(content, dict):
        return Shown(fields=content)
    parts: list[Any] = content if isinstance(content, list) else [content]
    text = "\n".join(part for part in parts if isinstance(part, str))
    pictures = sum(isinstance(part, BinaryContent) for part in parts)
    try:
        return Shown(fields=json.loads(text))
    except ValueError:
        return Shown(text=text, pictures=pictures)


if __name__ == "__main__":
    main(connected)
