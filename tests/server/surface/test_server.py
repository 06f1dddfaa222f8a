"""What a client is told of the server itself: its name and words once, and little with every answer."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import anyio
import pytest
from inline_snapshot import snapshot
from mcp.client import Client
from PIL import Image

from kontext_server.app import build
from kontext_server.settings import load
from kontext_server.surface.server import ICON, INSTRUCTIONS, KontextServer, make_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def server(tmp_path: Path) -> KontextServer:
    return make_server(build(load(kontext_data_dir=tmp_path / "data", kontext_preview="none")))


def test_the_instructions_are_short_and_say_what_every_conversation_needs() -> None:
    assert len(INSTRUCTIONS.split()) <= 120
    for told in (
        "small edits",
        "reference",
        "keep",
        "change report",
        "never describe what you cannot see",
        "path and the cost",
        "get_status with wait_seconds",
        "find_images",
        "run_plan is for known recipes only",
        "may have been charged, ask the person",
    ):
        assert told in INSTRUCTIONS


def test_the_icon_is_a_small_picture() -> None:
    head, _, data = ICON.src.partition(",")
    with Image.open(io.BytesIO(base64.b64decode(data)), formats=["PNG"]) as picture:
        assert (head, picture.size) == ("data:image/png;base64", (48, 48))
    assert len(ICON.src) < 300


async def test_the_handshake_tells_name_words_and_icon(server: KontextServer) -> None:
    with anyio.fail_after(30):
        async with Client(server, mode="legacy") as client:
            told = client.server_info
            words = client.instructions
    assert told is not None and told.icons == [ICON]
    assert (told.name, told.title, words) == ("kontext", "Kontext image editing", INSTRUCTIONS)


async def test_a_client_of_2026_hears_the_icon_once_and_the_name_with_every_answer(server: KontextServer) -> None:
    with anyio.fail_after(30):
        async with Client(server, mode="auto") as client:
            told, words, capabilities = client.server_info, client.instructions, client.server_capabilities
            answer = await client.call_tool("generate_image", {"prompt": "a lake", "dry_run": True})
    assert told is not None and told.icons == [ICON]
    assert words == INSTRUCTIONS and capabilities.prompts is not None and capabilities.completions is not None
    assert answer.meta is not None
    stamp = answer.meta["io.modelcontextprotocol/serverInfo"]
    assert list(stamp) == snapshot(["name", "title", "version"])
    assert len(json.dumps(stamp)) < 100 < len(ICON.src)
