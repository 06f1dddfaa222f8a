"""One tool as a value: what is published of it, and what it does; and how an answer is put together.

What it is not: any tool (`tools`, `looking`) or its words. Above: tools, looking, studio_app. Below: arguments.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mcp_types as types

from kontext_server.surface.arguments import Arguments, Parameter, schema_of
from kontext_tools.views import Call, Quote, View

Verb = Callable[[Arguments, Call], Awaitable[types.CallToolResult]]
Start = Callable[[Arguments, Call], Awaitable[View | Quote]]

MAX_ANSWER_BYTES = 690_000
"""A whole answer stays under 700 KB, with what frames it on the wire."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool: what is published of it, and what it does.

    Attributes:
        spec: what `tools/list` gives.
        parameters: what it takes.
        verb: serves a call whole.
        starts: of a tool whose calls are jobs: gives what is told of one, so that it can be told later.
    """

    spec: types.Tool
    parameters: tuple[Parameter, ...]
    verb: Verb
    starts: Start | None = None


def tool(
    name: str,
    title: str,
    description: str,
    parameters: Sequence[Parameter],
    annotations: types.ToolAnnotations,
    verb: Verb,
    *,
    answers: Mapping[str, str],
) -> Tool:
    """Make a tool.

    Args:
        name: as called.
        title: for people.
        description: for the model.
        parameters: of its input schema, in order.
        annotations: all four hints.
        verb: what it does.
        answers: the top-level fields of its structured content, with their JSON types. Clients judge error answers by
            them too, so nothing is required and `error` is listed (DESIGN.md section 5).
    """
    spec = types.Tool(
        name=name,
        title=title,
        description=description,
        input_schema=schema_of(parameters),
        output_schema={"type": "object", "properties": {field: {"type": kind} for field, kind in answers.items()}},
        annotations=annotations,
    )
    return Tool(spec=spec, parameters=tuple(parameters), verb=verb)


def result(text: str, fields: dict[str, Any]) -> types.CallToolResult:
    """Give an answer as text and structured content."""
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], structured_content=fields)
