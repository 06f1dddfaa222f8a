"""An answer without its text, or without its structured content, is enough: some clients show a model only one."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.client import Client

from kontext_server.app import build
from kontext_server.settings import load
from kontext_server.surface.server import make_server
from kontext_server.surface.tools import Tools
from support.stdio_server import fields_of, text_of
from support.workshop import png

pytestmark = pytest.mark.anyio

PLAN = [
    {"id": "base", "prompt": "A lake", "num_images": 2},
    {"id": "night", "image": "$base/*", "prompt": "Make it night"},
]
KINDS_OF_ONE_JOB = ("done", "running", "joined", "waited for", "in full", "ended already", "priced")


@pytest.fixture(scope="module")
async def answers(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[dict[str, types.CallToolResult]]:
    """One answer of each kind, from a real server."""
    tmp_path = tmp_path_factory.mktemp("answers")
    (tmp_path / "cat.png").write_bytes(png())
    settings = {"kontext_image_roots": str(tmp_path), "kontext_preview": "none"}
    app = build(load(kontext_data_dir=tmp_path / "data", **settings))
    with anyio.fail_after(60):
        async with Client(make_server(app), mode="legacy") as client:

            async def call(tool: str, **arguments: Any) -> types.CallToolResult:
                result = await client.call_tool(tool, arguments)
                assert isinstance(result, types.CallToolResult)
                return result

            first = await call("edit_image", image=str(tmp_path / "cat.png"), prompt="Make it teal", wait_seconds=50)
            ref = fields_of(first)["images"][0]["ref"]
            running = await call("edit_image", image=ref, prompt="Make it night", keep="the cat", wait_seconds=0)
            job_id = fields_of(running)["job_id"]
            yield {
                "done": first,
                "running": running,
                "joined": await call("edit_image", image=ref, prompt="Make it night", keep="the cat", wait_seconds=0),
                "waited for": await call("get_status", job_id=job_id, wait_seconds=50),
                "in full": await call("get_status", job_id=job_id, detail="full"),
                "ended already": await call("cancel_job", job_id=job_id),
                "priced": await call("edit_image", image=ref, prompt="Make it red", dry_run=True),
                "plan": (plan := await call("run_plan", steps=PLAN, wait_seconds=50)),
                "plan in full": await call("get_status", job_id=fields_of(plan)["job_id"], detail="full"),
                "found": await call("find_images", query="night"),
                "seen": await call("view_images", refs=[ref]),
                "refused": await call("edit_image", image=ref, prompt="Make it red", aspect_ratio="17:9"),
            }


def facts(fields: dict[str, Any]) -> list[str]:
    """Give what a model needs to go on, as it must stand in the text."""
    told: list[str] = [
        str(fields[name]) for name in ("job_id", "status", "provider", "outcome", "next") if name in fields
    ]
    told += [str(fields[name]) for name in ("parent", "resumed_from") if name in fields]
    for image in fields.get("images", []):
        told += [str(image[name]) for name in ("ref", "path") if name in image]
        told += [f"{image['width']}x{image['height']}"]
    if "cost" in fields:
        told.append(str(fields["cost"]["amount"]))
    if "change" in fields:
        told += [str(fields["change"]["percent"]), fields["change"]["where"], str(fields["change"]["sharpness"])]
    told += fields.get("warnings", [])
    for step in fields.get("steps", []):
        told += [step["id"], step["status"]]
    if "error" in fields:
        told += [fields["error"][name] for name in ("code", "message", "fix", "billed")]
    if fields.get("joined"):
        told.append("joined")
    # What detail=full adds: each of its facts as it stands in JSON.
    told += [json.dumps(fields[name]) for name in ("prompt", "keep", "request", "sha256", "timeline") if name in fields]
    return told


async def test_the_text_says_what_the_structured_content_says(answers: dict[str, types.CallToolResult]) -> None:
    for kind, answer in answers.items():
        text = text_of(answer).replace("[", "").replace("]", "")
        missing = [fact for fact in facts(fields_of(answer)) if fact.replace("[", "").replace("]", "") not in text]
        assert not missing, (kind, missing, text)


async def test_the_text_of_one_job_has_at_most_five_lines_and_of_a_failure_three(
    answers: dict[str, types.CallToolResult],
) -> None:
    lines = {kind: len(text_of(answer).splitlines()) for kind, answer in answers.items()}
    assert all(lines[kind] <= 5 for kind in KINDS_OF_ONE_JOB)
    assert lines["plan"] == lines["plan in full"] <= len(fields_of(answers["plan"])["steps"]) + 2
    assert lines["found"] <= len(fields_of(answers["found"])["images"]) + 2
    assert lines["refused"] <= 3


TOOL_OF = {"running": "edit_image", "joined": "edit_image", "done": "edit_image", "priced": "edit_image"} | {
    "waited for": "get_status",
    "in full": "get_status",
    "plan in full": "get_status",
    "ended already": "cancel_job",
    "plan": "run_plan",
    "found": "find_images",
    "seen": "view_images",
    "refused": "edit_image",
}


async def test_every_field_of_an_answer_is_listed_by_its_tool(
    answers: dict[str, types.CallToolResult], tmp_path: Path
) -> None:
    schemas = {tool.name: tool.output_schema or {} for tool in Tools(build(load(kontext_data_dir=tmp_path))).specs}
    for kind, answer in answers.items():
        assert set(fields_of(answer)) <= set(schemas[TOOL_OF[kind]]["properties"]), kind


async def test_no_answer_holds_a_picture_in_words(answers: dict[str, types.CallToolResult]) -> None:
    for answer in answers.values():
        assert "base64" not in text_of(answer) and "base64" not in str(fields_of(answer))
        assert not any(isinstance(block, types.ResourceLink) for block in answer.content)
