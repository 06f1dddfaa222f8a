"""RELIABILITY.md P04 and P05: arguments of the wrong kind and names that are none, in every place of every tool.

The tools, their parameters and the fields of their lists are read from `tools/list`: what is new is tested by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest

from kontext_server.simulator.serve import Running
from support.looking_in import DataFolder
from support.naming import allowed_folder, sent_nothing
from support.raw_wire import MARKER, RawWire, leaks, raw_wire, refused
from support.stdio_server import ERAS

WIRES = ("core.today", "runflow", "replicate")
"""Enough that `provider` and `guidance_scale` are listed."""

TEXT, NUMBER, FLAG = frozenset({"string"}), frozenset({"integer", "number"}), frozenset({"boolean"})
OBJECTS, NAMES = frozenset({"array of object"}), frozenset({"array of string"})
ANY = TEXT | NUMBER | FLAG | OBJECTS | NAMES
HOSTILE: dict[str, tuple[str, frozenset[str]]] = {
    "an object": (json.dumps({MARKER: MARKER}), ANY),
    "lists in a list": (json.dumps([[MARKER]]), ANY),
    "an empty list": ("[]", ANY),
    "NaN": ("NaN", ANY),
    "-Infinity": ("-Infinity", ANY),
    "1e400": ("1e400", ANY),
    "4,300 digits": ("9" * 4_300, ANY),
    "5,000 digits": ("9" * 5_000, ANY),
    "half a character": (f'"\\ud800{MARKER}"', ANY),
    "its other half": (f'"{MARKER}\\udfff"', ANY),
    "NUL": (f'"{MARKER}\\u0000"', ANY),
    "100 deep": ("[" * 100 + f'"{MARKER}"' + "]" * 100, ANY),
    "10,000 deep": ("[" * 10_000 + f'"{MARKER}"' + "]" * 10_000, ANY),
    "10,000 objects deep": (f'{{"{MARKER}":' * 10_000 + "1" + "}" * 10_000, ANY),
    "true": ("true", ANY - FLAG),
    "a word": (json.dumps(MARKER), NUMBER | FLAG | OBJECTS),
    "100,000 characters": (json.dumps(MARKER * 6_250), ANY),
    "JSON that is broken": (json.dumps('[{"' + MARKER), NUMBER | FLAG | OBJECTS),
    "JSON with half a character": (json.dumps(f'["\\ud800{MARKER}"]'), NUMBER | FLAG | OBJECTS),
    "JSON that is deep": (json.dumps("[" * 5_000 + MARKER), NUMBER | FLAG | OBJECTS),
    "digits as a text": (json.dumps("9" * 5_000), NUMBER | FLAG | OBJECTS),
    "a huge fraction": ("-1e308", ANY),
}
"""What is sent, as it stands on the wire, and the types of parameters that must refuse it.

A text alone is taken where a list of names is wanted.
"""
LONG_IMAGE = {"source_not_allowed", "unknown_ref"}
"""A picture's name has no longest length: it may be a data: URI."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place for an argument: its tool, its name, the list that it is in if it is in one, and its schema."""

    tool: str
    name: str
    facts: dict[str, Any]
    within: str = ""

    @property
    def type(self) -> str:
        """Its type, and that of its items."""
        items = self.facts.get("items")
        return f"array of {items['type']}" if items else self.facts["type"]

    def arguments(self, good: dict[str, Any], name: str, raw: str) -> str:
        """Write good arguments with a raw value under a name in this place."""
        holder = json.loads(json.dumps(good))
        inside = holder[self.within][0] if self.within else holder
        inside[name] = "@"
        return json.dumps(holder).replace('"@"', raw)


@dataclass(slots=True, kw_only=True)
class Bench:
    """A server whose providers are the simulator's, and what its tools take."""

    server: RawWire
    tools: dict[str, dict[str, Any]]
    picture: str
    asked: int = 0

    def places(self) -> Iterator[Place]:
        """Give every place for an argument."""
        for tool, schema in self.tools.items():
            for name, facts in schema["properties"].items():
                yield Place(tool=tool, name=name, facts=facts)
                for inner, more in facts.get("items", {}).get("properties", {}).items():
                    yield Place(tool=tool, name=inner, facts=more, within=name)

    def good(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Give what a tool requires, so that all else is right."""
        return {name: self._good(name, schema["properties"][name]) for name in schema.get("required", [])}

    def _good(self, name: str, facts: dict[str, Any]) -> Any:
        if facts["type"] == "array":
            return [self.good(facts["items"]) if facts["items"]["type"] == "object" else "red-car-4k7q/1"]
        return self.picture if name == "image" else "red-car-4k7q"

    def told(self, method: str, params: str) -> dict[str, Any]:
        """Send params as they stand, the era's own put to them, and give the answer."""
        self.asked += 1
        meta = json.dumps(self.server.enveloped({}).get("_meta", {}))
        return self.server.sent(
            f'{{"jsonrpc":"2.0","id":{self.asked},"method":"{method}","params":{{"_meta":{meta},{params}}}}}',
            self.asked,
        )

    def called(self, tool: str, arguments: str) -> dict[str, Any]:
        """Call a tool with arguments as they stand and give the answer."""
        return self.told("tools/call", f'"name":"{tool}","arguments":{arguments}')


@pytest.fixture(params=ERAS)
def bench(request: pytest.FixtureRequest, tmp_path: Path, simulator: Running) -> Iterator[Bench]:
    folder = allowed_folder(tmp_path)
    settings = simulator.settings_of(*WIRES) | {"KONTEXT_IMAGE_ROOTS": str(folder)}
    with raw_wire(tmp_path, settings, request.param) as server:
        tools = {tool["name"]: tool["inputSchema"] for tool in server.ask("tools/list", {})["result"]["tools"]}
        yield Bench(server=server, tools=tools, picture=str(folder / "cat.png"))
        assert server.end() == 0
    assert sent_nothing(simulator)
    assert DataFolder(tmp_path / "data").one("SELECT COUNT(*) FROM jobs") == 0


def error_of(told: dict[str, Any]) -> dict[str, Any]:
    """Give a tool's error."""
    error: dict[str, Any] = told.get("result", {}).get("structuredContent", {}).get("error", {})
    return error


def test_P04_what_is_of_the_wrong_kind_is_taught_and_never_repeated(bench: Bench) -> None:
    wrong: dict[str, Any] = {}
    places = list(bench.places())
    for place in places:
        good = bench.good(bench.tools[place.tool])
        for what, (raw, kinds) in HOSTILE.items():
            if place.type not in kinds:
                continue
            told = bench.called(place.tool, place.arguments(good, place.name, raw))
            error = error_of(told)
            long_name = place.name == "image" and what == "100,000 characters"
            expected = LONG_IMAGE if long_name else {"invalid_argument"}
            if error.get("code") not in expected or error["billed"] != "no" or leaks(told, "9" * 30):
                wrong[f"{place} {what}"] = str(told)[:400]
    print(f"{bench.asked} calls in {len(places)} places")
    assert wrong == {}


def test_P04_a_call_without_arguments_or_with_another_thing_in_their_place_is_refused(bench: Bench) -> None:
    for tool in bench.tools:
        for raw in ("null", "[]", "3", f'"{MARKER}"', f'["{MARKER}"]', "NaN"):
            told = bench.called(tool, raw)
            if refused(told):
                assert leaks(told) == []
            else:
                assert raw == "null" and "required" not in bench.tools[tool]


def test_P04_prompts_completion_and_resources_take_nothing_of_the_wrong_kind(bench: Bench) -> None:
    asked = {
        "prompts/get": ['"name":@', '"name":"edit-photo","arguments":@', '"name":"edit-photo","arguments":{"image":@}'],
        "completion/complete": [
            '"ref":{"type":"ref/prompt","name":@},"argument":{"name":"ref","value":""}',
            '"ref":{"type":"ref/prompt","name":"fix-last"},"argument":{"name":@,"value":""}',
            '"ref":{"type":"ref/prompt","name":"fix-last"},"argument":{"name":"ref","value":@}',
            '"ref":{"type":"ref/resource","uri":@},"argument":{"name":"job","value":""}',
        ],
        "resources/read": ['"uri":@', f'"uri":"kontext://images/{MARKER}\\u202e/1","x":@'],
        "resources/list": ['"cursor":@'],
        "resources/subscribe": ['"uri":@'],
        "tools/call": ['"name":@,"arguments":{}'],
    }
    codes = {types.INVALID_PARAMS, types.METHOD_NOT_FOUND, -32002}
    for method, params in asked.items():
        for text in params:
            for what, (raw, _) in HOSTILE.items():
                told = bench.told(method, text.replace("@", raw))
                assert leaks(told, "9" * 30) == [], (method, text, what)
                assert "error" not in told or told["error"]["code"] in codes, (method, text, what, told)


def test_P05_a_name_in_other_letters_is_refused_with_the_right_one(bench: Bench) -> None:
    for place in bench.places():
        good = bench.good(bench.tools[place.tool])
        name = place.name
        parts = name.split("_")
        for other in {name.upper(), name.title(), "".join(part.title() for part in parts), name.replace("_", "-")}:
            if other == name:
                continue
            told = bench.called(place.tool, place.arguments(good, other, json.dumps(MARKER)))
            error = error_of(told)
            assert (error["code"], error["billed"]) == ("invalid_argument", "no"), (place, other)
            assert f"Call again with {name} instead." in error["fix"], (place, other, error)
            assert leaks(told) == [] and other not in json.dumps(told["result"]), (place, other)


def test_P05_an_argument_that_no_tool_takes_is_refused_and_never_repeated(bench: Bench) -> None:
    names = (MARKER, f"{MARKER}\u202e", "", "\x00", "__proto__", "constructor", MARKER * 50_000, "image.path")
    for place in bench.places():
        good = bench.good(bench.tools[place.tool])
        for name in names:
            told = bench.called(place.tool, place.arguments(good, name, "1"))
            error = error_of(told)
            assert (error["code"], error["billed"]) == ("invalid_argument", "no"), (place, name[:40], told)
            assert error["fix"].partition("Call again with")[1] and leaks(told) == [], (place, name[:40], told)


def test_P05_a_prompt_in_the_menu_takes_its_own_names_only(bench: Bench) -> None:
    for prompt in bench.server.ask("prompts/list", {})["result"]["prompts"]:
        names = [argument["name"] for argument in prompt["arguments"]]
        filled = dict.fromkeys(names, "x")
        for other in (names[0].upper(), MARKER, f"{names[-1]}_"):
            told = bench.told(
                "prompts/get", f'"name":"{prompt["name"]}","arguments":{json.dumps({**filled, other: MARKER})}'
            )
            assert told["error"]["code"] == types.INVALID_PARAMS
            assert all(name in told["error"]["message"] for name in names)
            assert leaks(told) == [] and other not in told["error"]["message"]
