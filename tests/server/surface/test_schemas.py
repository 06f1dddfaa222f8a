"""What a model chooses from: schemas that every client takes, in few words, the same at every start."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest

from kontext_server.app import build
from kontext_server.settings import Settings, load
from kontext_server.surface import prompts, studio_app
from kontext_server.surface.catalogue import TEMPLATES
from kontext_server.surface.server import INSTRUCTIONS
from kontext_server.surface.tools import Tools
from support.kept import is_as_kept, names_in

KEYS = {
    "core_today_api_key": "cdt_x",
    "kkiai_api_key": "k",
    "runflow_api_key": "k",
    "eachlabs_api_key": "k",
    "replicate_api_token": "r8_x",
    "bfl_api_key": "k",
    "fal_key": "k",
}
TOOLS = (
    "edit_image",
    "generate_image",
    "get_status",
    "cancel_job",
    "find_images",
    "view_images",
    "run_plan",
)
MOST_OF_ALL = 12_000
MOST_AS_A_MODEL_SEES_THEM = 8_000
MOST_OF_A_DESCRIPTION = 600
MOST_DEPTH = 3
FORBIDDEN = {
    "$ref",
    "$defs",
    "$schema",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "oneOf",
    "pattern",
    "prefixItems",
    "title",
}
"""Each breaks a client that people use (gemini-cli, zed, LibreChat, opencode, google-genai's own helper)."""


def specs(folder: Path, **settings: Any) -> list[types.Tool]:
    read: Settings = load(kontext_data_dir=folder, **settings)
    return Tools(build(read)).specs


@pytest.fixture
def tools(tmp_path: Path) -> dict[str, types.Tool]:
    return {tool.name: tool for tool in specs(tmp_path, **KEYS)}


def dumped(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def nodes(schema: dict[str, Any], depth: int = 1) -> Iterator[tuple[dict[str, Any], int]]:
    """Give a schema and all below it, with their depths."""
    yield schema, depth
    for child in schema.get("properties", {}).values():
        yield from nodes(child, depth + 1)
    if "items" in schema:
        yield from nodes(schema["items"], depth + 1)


def test_a_client_sees_exactly_seven_tools(tools: dict[str, types.Tool]) -> None:
    assert set(tools) == set(TOOLS)


def test_the_list_stays_small(tools: dict[str, types.Tool], capsys: pytest.CaptureFixture[str]) -> None:
    whole = dumped(
        {"tools": [tool.model_dump(by_alias=True, exclude_none=True, mode="json") for tool in tools.values()]}
    )
    seen = {
        name: len(dumped({"name": name, "description": tool.description, "inputSchema": tool.input_schema}))
        for name, tool in tools.items()
    }
    with capsys.disabled():
        told = ", ".join(f"{name} {size}" for name, size in seen.items())
        print(f"\ntools/list: {len(whole)} characters; as a model sees them {sum(seen.values())} ({told})")
    of_the_studio = studio_app.SPEC.model_dump(by_alias=True, exclude_none=True, mode="json")
    assert len(whole) + len(f",{dumped(of_the_studio)}") <= MOST_OF_ALL
    assert sum(seen.values()) <= MOST_AS_A_MODEL_SEES_THEM


@pytest.mark.parametrize("name", TOOLS)
def test_an_input_schema_holds_nothing_that_breaks_a_client(tools: dict[str, types.Tool], name: str) -> None:
    schema = tools[name].input_schema
    assert schema["type"] == "object"
    assert len(schema.get("required", [])) <= 2
    assert re.fullmatch(r"[a-z_]{1,40}", name)
    for node, depth in nodes(schema):
        assert not FORBIDDEN & set(node)
        assert isinstance(node["type"], str)
        assert node["type"] != "array" or "type" in node["items"]
        assert depth <= MOST_DEPTH + 1  # run_plan's steps: object, array, object, value
        assert all(isinstance(value, str) and value for value in node.get("enum", []))
        assert set(node.get("required", [])) <= set(node.get("properties", {}))
        for child in node.get("properties", {}).values():
            assert child["description"].endswith((".", "?"))


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_says_what_it_is_in_few_words_and_gives_all_four_hints(tools: dict[str, types.Tool], name: str) -> None:
    tool = tools[name]
    assert tool.description is not None and len(tool.description) <= MOST_OF_A_DESCRIPTION
    hints = tool.annotations
    assert hints is not None
    assert None not in (hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint, hints.open_world_hint)


@pytest.mark.parametrize("name", TOOLS)
def test_an_output_schema_lists_top_level_fields_alone_and_requires_none(
    tools: dict[str, types.Tool], name: str
) -> None:
    schema = tools[name].output_schema
    assert schema is not None
    assert set(schema) == {"type", "properties"}
    assert {"next", "error"} <= set(schema["properties"])
    assert all(set(field) == {"type"} for field in schema["properties"].values())


def test_the_hints_are_the_contracts(tools: dict[str, types.Tool]) -> None:
    told = {
        name: tuple(
            getattr(tool.annotations, hint)
            for hint in ("read_only_hint", "destructive_hint", "idempotent_hint", "open_world_hint")
        )
        for name, tool in tools.items()
    }
    writes = (False, False, False, True)
    assert told == {
        "edit_image": writes,
        "generate_image": writes,
        "run_plan": writes,
        "get_status": (True, False, True, True),
        "cancel_job": (False, True, True, True),
        "find_images": (True, False, True, False),
        "view_images": (True, False, True, False),
    }


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_reads_as_it_is_kept(tools: dict[str, types.Tool], name: str) -> None:
    assert is_as_kept(f"tools/{name}.json", tools[name].model_dump(by_alias=True, exclude_none=True, mode="json"))


def test_the_sandbox_alone_offers_no_choice_of_provider(tmp_path: Path) -> None:
    alone = {tool.name: tool for tool in specs(tmp_path)}
    assert "provider" not in alone["edit_image"].input_schema["properties"]
    assert "guidance_scale" not in alone["edit_image"].input_schema["properties"]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_a_template_reads_as_it_is_kept(template: types.ResourceTemplate) -> None:
    assert is_as_kept(
        f"templates/{template.name}.json", template.model_dump(by_alias=True, exclude_none=True, mode="json")
    )


@pytest.mark.parametrize("prompt", prompts.PROMPTS, ids=lambda prompt: prompt.name)
def test_a_prompt_reads_as_it_is_kept(prompt: types.Prompt) -> None:
    arguments = {each.name: f"<{each.name}>" for each in prompt.arguments or []}
    filled = prompts.get(prompt.name, arguments)
    told = prompt.model_dump(by_alias=True, exclude_none=True, mode="json")
    messages = filled.model_dump(by_alias=True, exclude_none=True, mode="json")["messages"]
    assert is_as_kept(f"prompts/{prompt.name}.json", {**told, "messages": messages})


def test_the_instructions_read_as_they_are_kept() -> None:
    assert is_as_kept("instructions.txt", INSTRUCTIONS + "\n")


def test_nothing_is_kept_of_what_is_gone() -> None:
    assert names_in("tools") == set(TOOLS)
    assert names_in("templates") == {template.name for template in TEMPLATES}
    assert names_in("prompts") == {prompt.name for prompt in prompts.PROMPTS}
