"""What a view is told of a job: who made it, when, and what its caller set, so that a variant can be asked for."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from inline_snapshot import snapshot
from mcp.client import Client

from kontext_server.app import LOCAL_OWNER, build
from kontext_server.settings import load
from kontext_server.surface.server import make_server
from kontext_tools.asked import fnv1a
from kontext_tools.edits import Edit
from kontext_tools.images import ImageFacts
from kontext_tools.jobs import Job, Source, SourceKind
from kontext_tools.stores.sqlite import SqliteStore
from support.rows import a_job, admit
from support.stdio_server import ERAS, call, fields_of
from support.workshop import png

pytestmark = pytest.mark.anyio

FACTS = ImageFacts(media_type="image/png", width=64, height=48, size_bytes=1234, sha256="ab" * 32)
GIVEN = {"image", "prompt", "seed", "label", "provider"}


@asynccontextmanager
async def client_of(folder: Path, era: str = "legacy") -> AsyncGenerator[Client]:
    settings = {"kontext_image_roots": str(folder), "kontext_preview": "none"}
    with anyio.fail_after(60):
        async with Client(make_server(build(load(kontext_data_dir=folder / "data", **settings))), mode=era) as client:
            yield client


async def read(client: Client, uri: str) -> dict[str, Any]:
    (content,) = (await client.read_resource(uri)).contents
    assert isinstance(content, types.TextResourceContents)
    return json.loads(content.text)


async def recorded(folder: Path, job: Job) -> None:
    store = SqliteStore(folder / "data" / "kontext.db")
    await admit(store, job)
    await store.close()


@pytest.mark.parametrize("era", ERAS)
async def test_a_job_tells_what_its_caller_set_and_nothing_that_was_a_default(tmp_path: Path, era: str) -> None:
    (tmp_path / "cat.png").write_bytes(png())
    async with client_of(tmp_path, era) as client:
        asked = {"prompt": "Make it teal", "keep": "the face", "seed": 7, "output_format": "jpg", "provider": "sandbox"}
        path = str(tmp_path / "cat.png")
        edited = await call(client, "edit_image", image=path, label="x", wait_seconds=50, **asked)
        job_id = fields_of(edited)["job_id"]
        again = await call(client, "edit_image", image=f"{job_id}/1", prompt="Darker", num_images="2", wait_seconds=50)
        drawn = await call(client, "generate_image", prompt="A lake", provider="auto", label="", wait_seconds=50)
        told = {name: fields_of(answer)["job_id"] for name, answer in (("again", again), ("drawn", drawn))}
        first = await read(client, f"kontext://jobs/{job_id}")
        of_the_image = (await read(client, f"kontext://images/{job_id}/1/meta"))["job"]
        others = {name: (await read(client, f"kontext://jobs/{other}"))["arguments"] for name, other in told.items()}
    assert {name: first[name] for name in ("tool", "arguments")} == {
        "tool": "edit_image",
        "arguments": {**asked, "image": f"{job_id}/0"},
    }
    assert first["created_at"].endswith("+00:00") and len(first["created_at"]) == len("2026-11-20T12:00:00+00:00")
    assert {name: of_the_image[name] for name in ("tool", "created_at", "arguments")} == {
        name: first[name] for name in ("tool", "created_at", "arguments")
    }
    assert others == {
        "again": {"prompt": "Darker", "image": f"{job_id}/1", "num_images": 2},
        "drawn": {"prompt": "A lake"},
    }


async def test_arguments_can_be_sent_again_as_they_are_told(tmp_path: Path) -> None:
    async with client_of(tmp_path) as client:
        asked = {"prompt": "Make it teal", "aspect_ratio": "16x9", "safety_tolerance": "1", "prompt_upsampling": "true"}
        data = "data:image/png;base64," + base64.b64encode(png()).decode()
        first = fields_of(await call(client, "edit_image", image=data, wait_seconds=50, **asked))["job_id"]
        arguments = (await read(client, f"kontext://jobs/{first}"))["arguments"]
        second = fields_of(await call(client, "edit_image", wait_seconds=50, **{**arguments, "seed": 4}))["job_id"]
        again = (await read(client, f"kontext://jobs/{second}"))["arguments"]
    assert arguments == snapshot(
        {
            "prompt": "Make it teal",
            "image": f"{first}/0",
            "aspect_ratio": "16:9",
            "safety_tolerance": 1,
            "prompt_upsampling": True,
        }
    )
    assert again == {**arguments, "image": f"{second}/0", "seed": 4}


SOURCES = {
    "an address of which no copy is kept yet": (Source(kind=SourceKind.URL, url="https://cdn.test/a?sig=secret"), None),
    "an address": (
        Source(kind=SourceKind.URL, url="https://cdn.test/a?sig=secret", facts=FACTS, blob="sources/a.png"),
        "red-car-4k7q/0",
    ),
    "a file": (Source(kind=SourceKind.FILE, facts=FACTS, blob="sources/a.png"), "red-car-4k7q/0"),
    "an earlier result": (
        Source(kind=SourceKind.RESULT, facts=FACTS, blob="images/blue-bus-4k7q-2.png", parent="blue-bus-4k7q/2"),
        "blue-bus-4k7q/2",
    ),
}


@pytest.mark.parametrize("kind", SOURCES)
async def test_an_image_is_told_by_a_reference_of_ours_or_not_at_all(tmp_path: Path, kind: str) -> None:
    source, ref = SOURCES[kind]
    edit = Edit(prompt="Make it red", image="/home/ann/secret.png", seed=3, label="x", given=frozenset(GIVEN))
    await recorded(tmp_path, a_job(owner=LOCAL_OWNER, tool="edit_image", edit=edit, source=source))
    async with client_of(tmp_path) as client:
        (content,) = (await client.read_resource("kontext://jobs/red-car-4k7q")).contents
    assert isinstance(content, types.TextResourceContents)
    expected = {"prompt": "Make it red", **({} if ref is None else {"image": ref}), "seed": 3}
    assert json.loads(content.text)["arguments"] == expected
    assert "secret" not in content.text


async def test_the_list_of_jobs_tells_of_each_when_by_which_tool_and_the_beginning_of_its_words(tmp_path: Path) -> None:
    long = "Make the sky blue. " * 50
    await recorded(tmp_path, replace(a_job(owner=LOCAL_OWNER), edit=Edit(prompt=long, aspect_ratio="1:1")))
    async with client_of(tmp_path) as client:
        steps = [{"id": "car", "prompt": "A car", "seed": 3}, {"id": "sea", "image": "$car", "prompt": "By the sea"}]
        plan_id = fields_of(await call(client, "run_plan", steps=steps, wait_seconds=50))["job_id"]
        jobs = (await read(client, "kontext://jobs"))["jobs"]
        plan = await read(client, f"kontext://jobs/{plan_id}")
        sea = await read(client, f"kontext://jobs/{plan['steps'][1]['job_id']}")
    told = {job["job_id"]: {name: job[name] for name in ("tool", "prompt")} for job in jobs}
    assert told == {
        sea["job_id"]: {"tool": "edit_image", "prompt": "By the sea"},
        plan["steps"][0]["job_id"]: {"tool": "generate_image", "prompt": "A car"},
        plan_id: {"tool": "run_plan", "prompt": plan["prompt"]},
        "red-car-4k7q": {"tool": "generate_image", "prompt": long[:499] + "…"},
    }
    assert jobs[-1]["created_at"] == "2026-11-20T12:00:00+00:00"
    assert not any("arguments" in job for job in jobs)
    assert (plan["tool"], "arguments" in plan) == ("run_plan", False)
    assert sea["arguments"] == {"prompt": "By the sea", "image": f"{plan['steps'][0]['job_id']}/1"}


async def test_the_list_of_jobs_tells_by_what_a_view_knows_its_call_and_never_the_image(tmp_path: Path) -> None:
    path, data = str(tmp_path / "secret.png"), "data:image/png;base64," + base64.b64encode(png()).decode()
    (tmp_path / "secret.png").write_bytes(png())
    async with client_of(tmp_path) as client:

        async def job_of(tool: str, **arguments: Any) -> str:
            return fields_of(await call(client, tool, wait_seconds=50, **arguments))["job_id"]

        by_path = await job_of("edit_image", image=f"`{path}`", prompt="Make it teal")
        by_ref = await job_of("edit_image", input_image=f"{by_path}/1", prompt="Make it teal")
        by_data = await job_of("edit_image", image=data, prompt="Make it teal")
        drawn = await job_of("generate_image", prompt="Make it teal")
        steps = [{"id": "car", "prompt": "A car"}, {"id": "sea", "image": "$car", "prompt": "By the sea"}]
        plan = await job_of("run_plan", steps=steps)
        jobs = (await read(client, "kontext://jobs"))["jobs"]
        whole = [await read(client, f"kontext://jobs/{job['job_id']}") for job in jobs]
        told = {job["job_id"]: job.get("asked") for job in jobs if job["job_id"] in (by_path, by_ref, by_data, drawn)}
        of_plan = [job.get("asked") for job in jobs if job["job_id"] == plan or "A car" in job["prompt"]]
    assert told == {
        by_path: fnv1a(f"Make it teal\x00{path}"),
        by_ref: fnv1a(f"Make it teal\x00{by_path}/1"),
        by_data: None,
        drawn: fnv1a("Make it teal\x00"),
    }
    assert sorted(of_plan, key=str) == [None, "c9a44608"]
    assert not any("asked" in job for job in whole)
    assert "secret.png" not in json.dumps([{**job, "images": []} for job in jobs])


async def test_a_job_that_was_only_looked_at_is_still_owed_to_its_call(tmp_path: Path) -> None:
    """A call whose answer was lost joins when it is made again: whoever looked on meanwhile was not its caller."""
    (tmp_path / "cat.png").write_bytes(png())
    asked = {"image": str(tmp_path / "cat.png"), "prompt": "Make it teal", "wait_seconds": 0}
    async with client_of(tmp_path) as client:
        job = fields_of(await call(client, "edit_image", **asked))["job_id"]
        while (await read(client, f"kontext://jobs/{job}"))["status"] != "completed":
            await read(client, "kontext://jobs")
        await read(client, f"kontext://images/{job}/1/meta")
        again = fields_of(await call(client, "edit_image", **asked))
    assert (again["job_id"], again["joined"]) == (job, True)
