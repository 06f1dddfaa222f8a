"""The openai-agents runner over its own MCP server class; its `Model` is led by the script.

What the model sees there: the blocks, text and picture; with `use_structured_content` the structured content as JSON
in their place, except of a refused call. That class gives a call 5 s unless told otherwise, less than an edit is
waited for.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from agents import Agent, Model, ModelResponse, Runner, Usage, set_tracing_disabled
from agents.items import TResponseStreamEvent
from agents.mcp import MCPServerStdio
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from clients.following import Converse, Following, Server, main
from clients.reading import Call, Shown

MOST_TURNS = 20
CALL_S = 60


@asynccontextmanager
async def connected(server: Server) -> AsyncGenerator[Converse]:
    """Start a server through the framework's class, and lead conversations over it."""
    set_tracing_disabled(True)  # it would go out to the vendor
    command, *arguments = server.command

    async def converse(following: Following) -> None:
        agent = Agent(name="scripted", model=_Scripted(following), mcp_servers=[started])
        await Runner.run(agent, "Go.", max_turns=MOST_TURNS)

    async with MCPServerStdio(
        {"command": command, "args": arguments, "env": server.env},
        use_structured_content=server.structured,
        client_session_timeout_seconds=CALL_S,
    ) as started:
        yield converse


class _Scripted(Model):
    """A model that follows a script."""

    def __init__(self, following: Following) -> None:
        self._following = following

    async def get_response(self, *_: Any, input: Any, **__: Any) -> ModelResponse:  # noqa: A002  # the framework's name
        """Give the next turn for the answers to the last."""
        said: list[Any] = [] if isinstance(input, str) else input
        made = sum(item.get("type") == "function_call" for item in said)
        calls = self._following.after(_answers(said)) if made else self._following.begin()
        output = [_asked(f"call-{made + n}", call) for n, call in enumerate(calls)] if calls else [_done()]
        return ModelResponse(output=[*output], usage=Usage(), response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> AsyncIterator[TResponseStreamEvent]:
        """Refuse: the runner is not asked to stream."""
        raise NotImplementedError


def _asked(call_id: str, call: Call) -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(
        type="function_call", call_id=call_id, name=call.tool, arguments=json.dumps(dict(call.arguments))
    )


def _done() -> ResponseOutputMessage:
    text = ResponseOutputText(type="output_text", text="Done.", annotations=[])
    return ResponseOutputMessage(type="message", id="done", role="assistant", status="completed", content=[text])


def _answers(said: Sequence[Any]) -> list[Shown]:
    """Give the last turn's answers in the order of its calls."""
    outputs = {item["call_id"]: item["output"] for item in said if item.get("type") == "function_call_output"}
    order = [item["call_id"] for item in said if item.get("type") == "function_call"]
    last = next((n for n, item in enumerate(reversed(said)) if item.get("type") != "function_call_output"), 0)
    return [_shown(outputs[call_id]) for call_id in order[len(order) - last :]]


def _shown(output: Any) -> Shown:
    if isinstance(output, str):
        try:
            return Shown(fields=json.loads(output))
        except ValueError:
            return Shown(text=output)
    text = "\n".join(part["text"] for part in output if part["type"] == "input_text")
    return Shown(text=text, pictures=sum(part["type"] == "input_image" for part in output))


if __name__ == "__main__":
    main(connected)
