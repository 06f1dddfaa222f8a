"""The demo's assistant: starts a server over stdio and asks it for edits, as any MCP client does.

What this is: a client of `kontext serve` that sees nothing but the protocol, so that the demo shows what an assistant
gets; the page's pictures it reads by their addresses as well. What it is not: a way past the server. Above: demo.
Below: mcp.client, a process of this same program, surface.recording.
"""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mcp_types as types
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.shared.exceptions import MCPError

from kontext_server.settings import Settings
from kontext_server.surface.recording import recorded
from kontext_server.surface.resources import Content
from kontext_tools.choosing import KEY_VARIABLES, SANDBOX
from kontext_tools.errors import Failure

WAIT_S = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One edit that was done.

    Attributes:
        prompt: what was asked.
        image: what it started from: the photograph's path, or the reference before.
        fields: the answer's structured content.
    """

    prompt: str
    image: str
    fields: Mapping[str, Any]

    @property
    def ref(self) -> str:
        """The result's reference."""
        return self.fields["images"][0]["ref"]

    @property
    def path(self) -> Path:
        """The result's file."""
        return Path(self.fields["images"][0]["path"])

    @property
    def cost(self) -> str:
        """What it cost, such as `0 usd`."""
        cost = self.fields["cost"]
        return f"{cost.get('amount', 'an unknown amount of')} {cost['unit']}"

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.fields["seconds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What the demo has made: its edits, in order, and the resources that its page holds, by URI."""

    steps: Sequence[Step]
    recorded: Mapping[str, Any]


class Stopped(Exception):
    """The demo ended early: with the server's own failure, or because it could not be talked to (`None`)."""

    def __init__(self, failure: Failure | None) -> None:
        super().__init__("the demo stopped")
        self.failure = failure


def log_of(data_dir: Path) -> Path:
    """Give where the server's stderr is kept."""
    return data_dir / "server.log"


async def edited(photo: Path, prompts: Sequence[str], data_dir: Path, on_step: Callable[[Step], None]) -> Made:
    """Ask a server of our own for one edit after the other, each of the result before; read what the page needs.

    Args:
        photo: where it starts.
        prompts: what is asked.
        data_dir: where the server keeps its results and its log; there already.
        on_step: told after each.

    Raises:
        Stopped: an edit was refused or failed, or the server could not be talked to.
    """
    steps: list[Step] = []
    found: Mapping[str, Any] = {}
    stopped: Stopped | None = None
    try:
        async with _connected(photo.parent, data_dir) as client:
            try:
                image = str(photo)
                for prompt in prompts:
                    step = Step(prompt=prompt, image=image, fields=await _edit(client, image, prompt))
                    on_step(step)
                    steps.append(step)
                    image = step.ref
                found = await recorded(partial(_read, client), [step.fields["job_id"] for step in steps])
            except Stopped as early:
                # Raised out of the block, the client's task group would wrap it into an exception group.
                stopped = early
    except* (MCPError, OSError):
        stopped = Stopped(None)
    if stopped is not None:
        raise stopped
    return Made(steps=steps, recorded=found)


def environment(photos: Path, data_dir: Path) -> dict[str, str]:
    """Give the server's environment: ours without anything that could reach a provider or cost money."""
    settings = {name.upper() for name in Settings.model_fields} | set(KEY_VARIABLES.values())
    secret_files = {f"{name}_FILE" for name in settings}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in settings | secret_files and not name.startswith("KONTEXT_")
    }
    return kept | {
        "KONTEXT_PROVIDER": SANDBOX,
        "KONTEXT_DATA_DIR": str(data_dir),
        "KONTEXT_IMAGE_ROOTS": str(photos),
        # A person's kontext.toml may hold keys; where the platform has another folder, the provider named decides.
        "XDG_CONFIG_HOME": str(data_dir / "no-config"),
    }


@asynccontextmanager
async def _connected(photos: Path, data_dir: Path) -> AsyncGenerator[Client]:
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "kontext_server", "serve"],
        env=environment(photos, data_dir),
    )
    with log_of(data_dir).open("w", encoding="utf-8") as log:
        async with Client(stdio_client(server, errlog=log)) as client:
            yield client


async def _edit(client: Client, image: str, prompt: str) -> Mapping[str, Any]:
    arguments = {"image": image, "prompt": prompt, "provider": SANDBOX, "wait_seconds": WAIT_S}
    fields = await _call(client, "edit_image", arguments)
    while not fields["images"]:
        fields = await _call(client, "get_status", {"job_id": fields["job_id"], "wait_seconds": WAIT_S})
    return fields


async def _read(client: Client, uri: str) -> Content:
    (content,) = (await client.read_resource(uri)).contents
    data = base64.b64decode(content.blob) if isinstance(content, types.BlobResourceContents) else content.text
    return Content(uri=uri, media_type=content.mime_type or "", data=data)


async def _call(client: Client, tool: str, arguments: dict[str, Any]) -> Mapping[str, Any]:
    result = await client.call_tool(tool, arguments)
    fields: Mapping[str, Any] = result.structured_content or {}
    if "error" in fields:
        raise Stopped(Failure.from_dict(fields["error"]))
    return fields
