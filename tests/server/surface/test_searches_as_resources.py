"""A search by its address: what find_images gives, for a view that reads addresses alone; and who made an image."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import anyio
import mcp_types as types
import pytest
from inline_snapshot import snapshot
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from kontext_server.app import LOCAL_OWNER, build
from kontext_server.settings import load
from kontext_server.surface.server import make_server
from kontext_tools.edits import Edit
from kontext_tools.jobs import Source, SourceKind
from kontext_tools.stores.sqlite import SqliteStore
from support.fake_clock import START
from support.rows import a_job, admit, an_output, claim_all
from support.stdio_server import ERAS, call, fields_of

pytestmark = pytest.mark.anyio

MADE = (
    ("one-car-0000", "a red car", "fal", None),
    ("two-car-0000", "the car at 50% & more: 1+1", "bfl", "one-car-0000/1"),
    ("the-sea-0000", "the sea, très bleu", "fal", None),
)


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A data folder with three pictures, one a second."""
    store = SqliteStore(tmp_path / "kontext.db")
    for n, (job_id, prompt, provider, parent) in enumerate(MADE):
        now = START + timedelta(seconds=n)
        source = None if parent is None else Source(kind=SourceKind.RESULT, parent=parent)
        job = a_job(job_id, owner=LOCAL_OWNER, provider=provider, created_at=now, source=source)
        await admit(store, replace(job, edit=Edit(prompt=prompt, aspect_ratio="1:1")), now=now)
        (taken,) = await claim_all(store, now=now, lease_until=now + timedelta(seconds=9))
        await store.save(taken.send, now=now, release=False, outputs=[an_output(job_id=job.id)])
    await store.close()
    return tmp_path


@asynccontextmanager
async def client_of(folder: Path, era: str = "legacy") -> AsyncGenerator[Client]:
    app = build(load(kontext_data_dir=folder, kontext_preview="none"))
    with anyio.fail_after(30):
        async with Client(make_server(app), mode=era) as client:
            yield client


async def read(client: Client, uri: str) -> dict[str, Any]:
    (content,) = (await client.read_resource(uri)).contents
    assert isinstance(content, types.TextResourceContents)
    assert (content.uri, content.mime_type) == (uri, "application/json")
    return json.loads(content.text)


def refs(page: dict[str, Any]) -> list[str]:
    return [image["ref"] for image in page["images"]]


@pytest.mark.parametrize("era", ERAS)
async def test_an_address_gives_what_find_images_gives(folder: Path, era: str) -> None:
    asked: tuple[dict[str, Any], ...] = (
        {},
        {"query": "car"},
        {"query": "car lorry", "since": "2026-11-20"},
        {"derived_from": "one-car-0000/1", "limit": 1},
        {"query": "nothing like it"},
    )
    async with client_of(folder, era) as client:
        for arguments in asked:
            found = fields_of(await call(client, "find_images", **arguments))
            told = await read(client, "kontext://images" + (f"?{urlencode(arguments)}" if arguments else ""))
            assert told == {name: value for name, value in found.items() if name != "next"}
        whole = await read(client, "kontext://images?query=bleu")
    assert whole == snapshot(
        {
            "images": [
                {
                    "ref": "the-sea-0000/1",
                    "uri": "kontext://images/the-sea-0000/1",
                    "label": "",
                    "prompt": "the sea, très bleu",
                    "created_at": "2026-11-20T12:00:02+00:00",
                    "provider": "fal",
                    "width": 64,
                    "height": 48,
                }
            ]
        }
    )


@pytest.mark.parametrize("era", ERAS)
async def test_one_providers_images_are_found_with_and_without_words_and_by_pages(folder: Path, era: str) -> None:
    async with client_of(folder, era) as client:
        assert refs(await read(client, "kontext://images?provider=bfl")) == ["two-car-0000/1"]
        assert refs(await read(client, "kontext://images?provider=fal&query=car")) == ["one-car-0000/1"]
        for nobody in ("Fal", "fa", "fal*", "sandbox", "fal bfl"):
            assert refs(await read(client, f"kontext://images?provider={quote(nobody)}")) == []
        page = await read(client, "kontext://images?provider=fal&limit=1")
        cursor = page["next_cursor"]
        rest = await read(client, f"kontext://images?provider=fal&cursor={cursor}")
        assert (refs(page), refs(rest), "next_cursor" in rest) == (["the-sea-0000/1"], ["one-car-0000/1"], False)
        with pytest.raises(MCPError):
            await client.read_resource(f"kontext://images?provider=bfl&cursor={cursor}")


@pytest.mark.parametrize(
    "query", ["?query=50%25%20%26", "?query=50%25+%26", "?query=1%2B1", "?query=tr%C3%A8s+bleu", "?query=très"]
)
async def test_words_are_read_as_a_form_writes_them(folder: Path, query: str) -> None:
    expected = ["the-sea-0000/1"] if "tr" in query else ["two-car-0000/1"]
    async with client_of(folder) as client:
        assert refs(await read(client, "kontext://images" + query)) == expected


@pytest.mark.parametrize("query", ["", "?", "?query=", "?query=&since=&provider=&derived_from=&limit=&cursor="])
async def test_what_is_left_empty_asks_for_nothing(folder: Path, query: str) -> None:
    async with client_of(folder) as client:
        assert len(refs(await read(client, "kontext://images" + query))) == 3


WRONG = (
    "?q=car",
    "?query=car&query=car",
    "?query",
    "?query=car&",
    "?query=%ff",
    "?limit=0",
    "?limit=51",
    "?limit=ten",
    "?since=some%20day",
    "?cursor=x",
    "?derived_from=blue-bus-4k7q/1",
    "?derived_from=/etc/passwd",
    "?provider=" + "x" * 101,
    "?query=" + "x" * 501,
    "?query=%00",
    "/?query=car",
)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("query", WRONG)
async def test_what_asks_for_anything_else_is_no_address(folder: Path, era: str, query: str) -> None:
    async with client_of(folder, era) as client:
        with pytest.raises(MCPError) as refused:
            await client.read_resource("kontext://images" + query)
    assert refused.value.error.code == (-32002 if era == "legacy" else types.INVALID_PARAMS)
    assert refused.value.error.message == "There is no resource of that address."


async def test_the_address_is_told_by_no_list_and_no_template(folder: Path) -> None:
    async with client_of(folder) as client:
        listed = [resource.uri for resource in (await client.list_resources()).resources]
        templates = [each.uri_template for each in (await client.list_resource_templates()).resource_templates]
    assert not [uri for uri in (*listed, *templates) if uri.startswith("kontext://images?") or "?" in uri]
