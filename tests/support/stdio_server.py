"""A real server over stdio, and real clients of it, for end-to-end tests."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import mcp_types as types
from mcp.client import Client
from mcp.client.session import ElicitationFnT, MessageHandlerFnT

from support.forked import over_stdio

COMMAND: tuple[str, ...] = (sys.executable, "-m", "kontext_server", "serve")
ERAS = ("legacy", "2026-07-28")
PHOTOS = Path(__file__).parent.parent / "photos"

# Nothing of the machine's own configuration reaches a server under test.
_OF_THE_MACHINE = ("PATH", "LANG", "SYSTEMROOT", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG", "COVERAGE_FILE")


def environment(folder: Path, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the environment of a server with its own data folder and home."""
    kept = {name: os.environ[name] for name in _OF_THE_MACHINE if name in os.environ}
    return {
        **kept,
        "HOME": str(folder / "home"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "KONTEXT_DATA_DIR": str(folder / "data"),
        "KONTEXT_IMAGE_ROOTS": str(PHOTOS),
        **(settings or {}),
    }


@asynccontextmanager
async def connected(
    folder: Path,
    settings: Mapping[str, str] | None = None,
    *,
    era: str = "legacy",
    person: ElicitationFnT | None = None,
    on_message: MessageHandlerFnT | None = None,
) -> AsyncGenerator[Client]:
    """Give a client of a server that was started for it, and ends with it; it can ask where there is a person."""
    server = over_stdio(environment(folder, settings))
    async with Client(server, mode=era, elicitation_callback=person, message_handler=on_message) as client:
        yield client


async def call(client: Client, tool: str, **arguments: Any) -> types.CallToolResult:
    """Call a tool."""
    result = await client.call_tool(tool, arguments)
    assert isinstance(result, types.CallToolResult)
    return result


def text_of(result: types.CallToolResult) -> str:
    """Give an answer's text."""
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


def fields_of(result: types.CallToolResult) -> dict[str, Any]:
    """Give an answer's structured content."""
    fields: Any = result.structured_content
    assert isinstance(fields, dict)
    return cast("dict[str, Any]", fields)
