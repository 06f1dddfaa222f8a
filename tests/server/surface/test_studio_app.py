"""The studio as an MCP App: how both eras are told of it, whose answers it shows, and the tool that it alone calls."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib import resources
from pathlib import Path
from random import Random
from typing import Any

import anyio
import mcp_types as types
import pytest
from inline_snapshot import snapshot
from mcp.client import Client
from mcp.client.extension import advertise
from PIL import Image

from kontext_server.app import LOCAL_OWNER, build
from kontext_server.settings import load
from kontext_server.surface.resources import Resources
from kontext_server.surface.server import make_server
from kontext_server.surface.tool import MAX_ANSWER_BYTES
from kontext_tools.edits import Edit
from kontext_tools.jobs import Job
from kontext_tools.stores.sqlite import SqliteStore
from support.rows import a_job, admit
from support.stdio_server import ERAS, call, fields_of
from support.task_client import AnyRequest, everything
from support.workshop import png

pytestmark = pytest.mark.anyio

URI = "ui://kontext/studio.html"
MEDIA_TYPE = "text/html;profile=mcp-app"
SHOWS = advertise("io.modelcontextprotocol/ui", {"mimeTypes": [MEDIA_TYPE]})
OTHER = advertise("io.modelcontextprotocol/tasks", {})


@asynccontextmanager
async def client_of(folder: Path, era: str, *extensions: Any) -> AsyncGenerator[Client]:
    settings = {"kontext_image_roots": str(folder), "kontext_preview": "none"}
    app = build(load(kontext_data_dir=folder / "data", **settings))
    with anyio.fail_after(60):
        async with Client(make_server(app), mode=era, extensions=list(extensions)) as client:
            yield client


async def asked(client: Client, method: str, **params: Any) -> dict[str, Any]:
    return await everything(client.session, AnyRequest(method=method, params=params))


async def edited(client: Client, folder: Path, data: bytes) -> str:
    """Edit a picture; give the job's id."""
    (folder / "cat.png").write_bytes(data)
    answer = await call(client, "edit_image", image=str(folder / "cat.png"), prompt="Make it teal", wait_seconds=50)
    return fields_of(answer)["job_id"]


async def recorded(folder: Path, job: Job) -> None:
    store = SqliteStore(folder / "data" / "kontext.db")
    await admit(store, job)
    await store.close()


@pytest.mark.parametrize("era", ERAS)
async def test_both_eras_are_told_of_the_extension_and_of_tasks_only_the_one_that_has_them(
    tmp_path: Path, era: str
) -> None:
    async with client_of(tmp_path, "legacy" if era == "legacy" else "auto") as client:
        capabilities = client.server_capabilities
    tasks: dict[str, dict[str, Any]] = {} if era == "legacy" else {"io.modelcontextprotocol/tasks": {}}
    assert capabilities.extensions == {"io.modelcontextprotocol/ui": {}, **tasks}
    assert capabilities.tools is not None and capabilities.resources is not None


@pytest.mark.parametrize("era", ERAS)
async def test_the_page_is_a_resource_that_loads_nothing_from_anywhere(tmp_path: Path, era: str) -> None:
    page = (resources.files("kontext_server") / "assets" / "studio.html").read_text(encoding="utf-8")
    async with client_of(tmp_path, era) as client:
        listed = (await asked(client, "resources/list"))["resources"]
        read = (await asked(client, "resources/read", uri=URI))["contents"]
    assert [resource for resource in listed if resource["uri"].startswith("ui:")] == listed[-1:]
    assert listed[-1] == snapshot(
        {
            "name": "studio",
            "title": "The studio",
            "uri": "ui://kontext/studio.html",
            "description": "A page that shows pictures, what they were made from, and all there are.",
            "mimeType": "text/html;profile=mcp-app",
            "_meta": {"ui": {"prefersBorder": True}},
        }
    )
    assert read == [{"uri": URI, "mimeType": MEDIA_TYPE, "text": page, "_meta": {"ui": {"prefersBorder": True}}}]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("extensions", [(), (SHOWS,)], ids=["no page", "shows it"])
async def test_five_tools_name_the_page_to_every_client(tmp_path: Path, era: str, extensions: tuple[Any, ...]) -> None:
    async with client_of(tmp_path, era, *extensions) as client:
        tools = (await asked(client, "tools/list"))["tools"]
    bound = {tool["name"]: tool["_meta"] for tool in tools if "resourceUri" in tool.get("_meta", {}).get("ui", {})}
    meta = {"ui": {"resourceUri": URI}, "ui/resourceUri": URI}
    assert bound == dict.fromkeys(("edit_image", "generate_image", "get_status", "view_images", "run_plan"), meta)


@pytest.mark.parametrize("era", ERAS)
async def test_only_a_client_that_shows_the_page_is_listed_its_tool(tmp_path: Path, era: str) -> None:
    async with client_of(tmp_path, era, SHOWS) as client:
        *tools, last = (await asked(client, "tools/list"))["tools"]
    assert last == snapshot(
        {
            "name": "studio_read",
            "description": "Give what an address holds.",
            "inputSchema": {
                "type": "object",
                "properties": {"uri": {"type": "string", "description": "A kontext:// address."}},
                "required": ["uri"],
            },
            "annotations": {"readOnlyHint": True, "openWorldHint": False},
            "_meta": {"ui": {"visibility": ["app"]}},
        }
    )
    for extensions in ((), (OTHER,)):
        async with client_of(tmp_path, era, *extensions) as client:
            assert (await asked(client, "tools/list"))["tools"] == tools
    assert len(tools) == 7


@pytest.mark.parametrize("era", ERAS)
async def test_for_any_other_client_its_tool_is_none(tmp_path: Path, era: str) -> None:
    async with client_of(tmp_path, era) as client:
        answers = [
            await asked(client, "tools/call", name=name, arguments={"uri": "kontext://guide"})
            for name in ("studio_read", "studio_write")
        ]
    assert answers[0] == answers[1]
    assert answers[0]["structuredContent"]["error"]["message"] == "There is no tool of that name."
    assert "studio_read" not in str(answers[0])


@pytest.mark.parametrize("era", ERAS)
async def test_its_tool_gives_what_reading_the_resource_gives(tmp_path: Path, era: str) -> None:
    async with client_of(tmp_path, era, SHOWS) as client:
        job_id = await edited(client, tmp_path, png())
        image = f"kontext://images/{job_id}/1"
        addresses = (
            "kontext://guide",
            "kontext://jobs",
            f"kontext://jobs/{job_id}",
            "kontext://images?query=teal&limit=1",
            image,
            f"kontext://images/{job_id}/0",
            *(f"{image}/{form}" for form in ("preview", "thumb", "meta", "lineage")),
        )
        for uri in addresses:
            (held,) = (await client.read_resource(uri)).contents
            answer = await call(client, "studio_read", uri=uri)
            (block,) = answer.content
            assert isinstance(block, types.EmbeddedResource) and block.resource == held
            size = len(held.text.encode()) if isinstance(held, types.TextResourceContents) else _size(held)
            assert answer.structured_content == {"uri": uri, "media_type": held.mime_type, "bytes": size}
            assert not answer.is_error


def _size(held: types.BlobResourceContents) -> int:
    return len(base64.b64decode(held.blob))


def noise(width: int, height: int) -> bytes:
    """Give a picture that no format makes small."""
    out = io.BytesIO()
    Image.frombytes("RGB", (width, height), Random(7).randbytes(3 * width * height)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("era", ERAS)
async def test_what_one_answer_cannot_hold_is_refused_with_a_smaller_address(tmp_path: Path, era: str) -> None:
    await recorded(tmp_path, replace(a_job(owner=LOCAL_OWNER), edit=Edit(prompt="x" * 400_000, aspect_ratio="1:1")))
    async with client_of(tmp_path, era, SHOWS) as client:
        # Base64 adds a third: 500 kB still go, 540 kB do not.
        fits, large = [await edited(client, tmp_path, noise(417, height)) for height in (400, 432)]
        whole = await call(client, "studio_read", uri=f"kontext://images/{fits}/0")
        assert not whole.is_error and 600_000 < len(whole.model_dump_json(by_alias=True)) < 700_000
        for uri, tool, less in (
            (f"kontext://images/{large}/0", "studio_read", ("uri", f"kontext://images/{large}/0/preview")),
            ("kontext://jobs/red-car-4k7q", "get_status", ("job_id", "red-car-4k7q")),
        ):
            refused = await call(client, "studio_read", uri=uri)
            more = ", which tells less of it" if tool == "get_status" else ""
            assert (refused.is_error, fields_of(refused)) == (
                True,
                {
                    "error": {
                        "code": "invalid_argument",
                        "message": "What uri names is too large for one answer.",
                        "fix": f"Call {tool}({less[0]}='{less[1]}'){more}.",
                        "field": "uri",
                        "retryable": False,
                        "billed": "no",
                    }
                },
            )
            assert not (await call(client, tool, **dict([less]))).is_error


SMALLER = {
    "kontext://images/red-car-4k7q/1": "Call studio_read(uri='kontext://images/red-car-4k7q/1/preview').",
    "kontext://images/red-car-4k7q/1/meta": "Call studio_read(uri='kontext://images/red-car-4k7q/1/preview').",
    "kontext://images/red-car-4k7q/1/preview": "Call studio_read(uri='kontext://images/red-car-4k7q/1/thumb').",
    "kontext://images/red-car-4k7q/1/thumb": "Only a part of it can be had: call studio_read(uri='kontext://jobs/…') "
    "with the id of one job.",
    "kontext://images": "Call studio_read(uri='kontext://images?limit=25').",
    "kontext://images?query=it%27s+a+%22car%22&limit=9": "Call studio_read(uri='kontext://images?"
    "query=it%27s+a+%22car%22&limit=4').",
    "kontext://images?limit=1": "Only a part of it can be had: call studio_read(uri='kontext://jobs/…') with the id "
    "of one job.",
    "kontext://jobs": "Only a part of it can be had: call studio_read(uri='kontext://jobs/…') with the id of one job.",
    "kontext://jobs/red-car-4k7q": "Call get_status(job_id='red-car-4k7q'), which tells less of it.",
}


@pytest.mark.parametrize("uri", SMALLER)
async def test_what_is_too_large_is_refused_with_what_gives_less_of_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    async def held(*_: Any) -> types.TextResourceContents:
        return types.TextResourceContents(uri=uri, text="x" * MAX_ANSWER_BYTES)

    monkeypatch.setattr(Resources, "contents", held)
    async with client_of(tmp_path, "legacy", SHOWS) as client:
        refused = await call(client, "studio_read", uri=uri)
    assert fields_of(refused)["error"]["fix"] == SMALLER[uri]


WRONG = {
    "": "invalid_argument",
    "kontext://": "invalid_argument",
    "kontext://pictures": "invalid_argument",
    "red-car-4k7q/1": "invalid_argument",
    "file:///etc/passwd": "invalid_argument",
    "https://example.com/cat.png": "invalid_argument",
    URI: "invalid_argument",
    "kontext://images?limit=51": "invalid_argument",
    "kontext://images?q=car": "invalid_argument",
    "kontext://images?cursor=x": "invalid_argument",
    "kontext://images?derived_from=blue-bus-4k7q/1": "unknown_ref",
    "kontext://images/blue-bus-4k7q/1": "unknown_ref",
    "kontext://images/red-car-4k7q/1/thumb": "unknown_ref",
    "kontext://images/red-car-4k7q/7/lineage": "unknown_ref",
    "kontext://images/blue-bus-4k7q/1/meta": "not_found",
    "kontext://jobs/blue-bus-4k7q": "not_found",
}


@pytest.mark.parametrize("uri", WRONG)
async def test_an_address_that_is_none_is_refused_with_one_that_is(tmp_path: Path, uri: str) -> None:
    await recorded(tmp_path, a_job(owner=LOCAL_OWNER))
    async with client_of(tmp_path, "legacy", SHOWS) as client:
        refused = await call(client, "studio_read", uri=uri)
        error = fields_of(refused)["error"]
        assert (refused.is_error, error["code"], error["field"]) == (True, WRONG[uri], "uri")
        assert len(refused.content) == 1 and isinstance(refused.content[0], types.TextContent)
        instead = re.fullmatch(
            r"Call studio_read\(uri='([^']+)'\) for the (?:images|jobs) that there are\.", error["fix"]
        )
        assert instead is not None
        assert not (await call(client, "studio_read", uri=instead[1])).is_error


@pytest.mark.parametrize("arguments", [{}, {"uri": None}, {"uri": 7.5, "more": 1}, {"uri": ["kontext://guide"]}])
async def test_its_tools_arguments_are_read_as_any_tools(tmp_path: Path, arguments: dict[str, Any]) -> None:
    async with client_of(tmp_path, "legacy", SHOWS) as client:
        refused = await call(client, "studio_read", **arguments)
    assert fields_of(refused)["error"]["code"] == "invalid_argument"


@pytest.mark.parametrize("era", ERAS)
async def test_a_file_that_was_changed_is_never_served(tmp_path: Path, era: str) -> None:
    async with client_of(tmp_path, era, SHOWS) as client:
        job_id = await edited(client, tmp_path, png())
        (kept,) = (tmp_path / "data" / "images").glob(f"{job_id}-1.png")
        kept.write_bytes(png(colour="red"))
        for form in ("", "/preview", "/thumb"):
            refused = await call(client, "studio_read", uri=f"kontext://images/{job_id}/1{form}")
            assert fields_of(refused)["error"]["code"] == "result_invalid"
