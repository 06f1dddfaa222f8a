"""Past results as resources in both eras: every one of them by pages, newest first, and what else is to be read."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import anyio
import mcp_types as types
import pytest
from inline_snapshot import snapshot
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from kontext_server.app import LOCAL_OWNER, build
from kontext_server.settings import load
from kontext_server.surface.guide import GUIDE
from kontext_server.surface.server import make_server
from kontext_tools.stores.sqlite import SqliteStore
from support.fake_clock import START
from support.rows import a_job, admit, an_output, claim_all
from support.stdio_server import ERAS

pytestmark = pytest.mark.anyio

WITHIN_S = 30
FIXED = [
    "kontext://jobs",
    "kontext://usage",
    "kontext://providers",
    "kontext://guide",
    "ui://kontext/studio.html",
]


@asynccontextmanager
async def client_of(folder: Path, era: str) -> AsyncGenerator[Client]:
    app = build(load(kontext_data_dir=folder / "data", kontext_preview="none"))
    with anyio.fail_after(WITHIN_S):
        async with Client(make_server(app), mode=era) as client:
            yield client


async def kept(folder: Path, count: int) -> None:
    """Record so many pictures, one a second."""
    store = SqliteStore(folder / "data" / "kontext.db")
    for n in range(count):
        now = START + timedelta(seconds=n)
        job = a_job(f"lake-{n:04}", owner=LOCAL_OWNER, created_at=now)
        await admit(store, job, now=now)
        (taken,) = await claim_all(store, now=now, lease_until=now + timedelta(seconds=9))
        await store.save(taken.send, now=now, release=False, outputs=[an_output(job_id=job.id)])
    await store.close()


@pytest.mark.parametrize("era", ERAS)
async def test_all_pictures_are_listed_by_pages_newest_first(tmp_path: Path, era: str) -> None:
    await kept(tmp_path, 120)
    pages: list[list[types.Resource]] = []
    async with client_of(tmp_path, era) as client:
        cursor: str | None = None
        while not pages or cursor:
            page = await client.list_resources(cursor=cursor)
            pages.append(page.resources)
            cursor = page.next_cursor
    fixed = [resource.uri for resource in pages[0] if not resource.uri.startswith("kontext://images/")]
    assert fixed == FIXED
    pictures = [resource for page in pages for resource in page][len(fixed) :]
    assert [resource.uri for resource in pictures] == [f"kontext://images/lake-{n:04}/1" for n in range(119, -1, -1)]
    assert [len(page) for page in pages] == [55, 50, 20]
    assert pictures[0].model_dump(by_alias=True, exclude_none=True) == snapshot(
        {
            "name": "lake-0119/1",
            "title": "a red car",
            "uri": "kontext://images/lake-0119/1",
            "description": "64x48, fal, 2026-11-20T12:01:59+00:00",
            "mimeType": "image/png",
            "size": 1234,
            "annotations": {"priority": 1.0, "lastModified": "2026-11-20T12:01:59+00:00"},
        }
    )
    told = [resource.annotations for resource in pictures]
    priorities = [each.priority for each in told if each is not None and each.priority is not None]
    assert priorities == sorted(priorities, reverse=True) and (len(priorities), priorities[-1]) == (120, 0)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("cursor", ["", "x", "1.x", "9" * 30 + ".a-0000.1", "kontext://jobs"])
async def test_a_cursor_of_somebody_elses_is_refused(tmp_path: Path, era: str, cursor: str) -> None:
    async with client_of(tmp_path, era) as client:
        with pytest.raises(MCPError) as refused:
            await client.list_resources(cursor=cursor)
    assert refused.value.error.code == types.INVALID_PARAMS


@pytest.mark.parametrize("era", ERAS)
async def test_every_template_says_what_it_gives(tmp_path: Path, era: str) -> None:
    async with client_of(tmp_path, era) as client:
        templates = (await client.list_resource_templates()).resource_templates
    assert templates and all(template.title and template.description for template in templates)
    # An image's own type is known only once it is there.
    assert [template.name for template in templates if template.mime_type is None] == ["image"]


@pytest.mark.parametrize("era", ERAS)
async def test_the_guide_is_read_and_short(tmp_path: Path, era: str) -> None:
    async with client_of(tmp_path, era) as client:
        (guide,) = (await client.read_resource("kontext://guide")).contents
    assert isinstance(guide, types.TextResourceContents)
    assert (guide.text, guide.mime_type) == (GUIDE, "text/markdown")
    assert len(GUIDE.split()) <= 350
    for told in ("`keep`", "'SALE'", "English", "`run_plan`", "`dry_run`", "`num_images`"):
        assert told in GUIDE


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("uri", ["kontext://guides", "kontext://guide/1", "kontext://jobs/red-car-4k7q", "x://y"])
async def test_what_is_not_there_is_told_with_the_eras_own_code(tmp_path: Path, era: str, uri: str) -> None:
    async with client_of(tmp_path, era) as client:
        with pytest.raises(MCPError) as refused:
            await client.read_resource(uri)
    assert refused.value.error.code == (-32002 if era == "legacy" else types.INVALID_PARAMS)


@pytest.mark.parametrize("era", ERAS)
async def test_the_lists_answer_with_json_that_says_what_they_hold(tmp_path: Path, era: str) -> None:
    await kept(tmp_path, 2)
    read: dict[str, list[str]] = {}
    async with client_of(tmp_path, era) as client:
        for uri in ("kontext://jobs", "kontext://usage", "kontext://providers", "kontext://jobs/lake-0001"):
            (content,) = (await client.read_resource(uri)).contents
            assert isinstance(content, types.TextResourceContents) and content.mime_type == "application/json"
            read[uri] = list(json.loads(content.text))
    assert read == snapshot(
        {
            "kontext://jobs": ["jobs"],
            "kontext://usage": ["days", "budget_left"],
            "kontext://providers": ["auto", "providers", "not_configured"],
            "kontext://jobs/lake-0001": [
                "job_id",
                "status",
                "provider",
                "images",
                "cost",
                "seconds",
                "depth",
                "warnings",
                "prompt",
                "sent_prompt",
                "request",
                "sha256",
                "timeline",
                "next",
                "tool",
                "created_at",
                "arguments",
            ],
        }
    )
