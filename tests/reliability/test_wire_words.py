"""RELIABILITY.md P06: what a model reads of us is the same, byte for byte, for the same settings, and hides nothing."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from kontext_server.simulator.app import settings
from support.raw_wire import RawWire, raw_wire
from support.stdio_server import ERAS

ROOT = Path(__file__).parent.parent.parent
NOWHERE = "http://127.0.0.1:9"
SETTINGS: dict[str, dict[str, str]] = {
    "no key": {},
    "core.today": settings(NOWHERE, "core.today"),
    "two": settings(NOWHERE, "fal", "replicate") | {"KONTEXT_PROVIDER": "replicate,fal", "KONTEXT_WAIT_SECONDS": "7"},
    "all": settings(NOWHERE) | {"KONTEXT_CONFIRM_ABOVE": "0.01 usd"},
}
FILLERS = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f")
"""Letters, by their category, that show nothing."""


def told_by(server: RawWire) -> dict[str, Any]:
    """Give everything that a model or a person is told before anything is made."""
    told: dict[str, Any] = {"instructions": server.heard[0]["result"]["instructions"]}
    for method, name in (
        ("tools/list", "tools"),
        ("prompts/list", "prompts"),
        ("resources/templates/list", "resourceTemplates"),
    ):
        told[method] = server.ask(method, {})["result"][name]
    for prompt in told["prompts/list"]:
        filled = {argument["name"]: "a, b" for argument in prompt["arguments"]}
        answer = server.ask("prompts/get", {"name": prompt["name"], "arguments": filled})["result"]
        told[f"prompt {prompt['name']}"] = answer["messages"]
    for uri in ("kontext://guide", "kontext://providers"):
        told[uri] = server.ask("resources/read", {"uri": uri})["result"]["contents"]
    return told


def hashed(told: Mapping[str, Any], *, sort_keys: bool = False) -> dict[str, str]:
    """Give a hash of each, as the JSON that it came as."""
    written = {name: json.dumps(value, ensure_ascii=False, sort_keys=sort_keys) for name, value in told.items()}
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in written.items()}


def texts(value: Any) -> Iterator[str]:
    """Give every text in a JSON value, names included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from texts(item)
    elif isinstance(value, dict):
        for name, item in cast("dict[str, Any]", value).items():
            yield name
            yield from texts(item)


def hidden(text: str) -> list[str]:
    """Give the characters of a text that nobody sees: controls, marks of direction, tags, fillers, odd spaces."""
    return [f"U+{ord(char):04X}" for char in text if _is_hidden(char)]


def _is_hidden(char: str) -> bool:
    kind = unicodedata.category(char)
    variation = 0xFE00 <= ord(char) <= 0xFE0F or 0xE0100 <= ord(char) <= 0xE01EF
    return (kind[0] in "CZ" and char not in " \n") or variation or char in FILLERS


@pytest.fixture(scope="module")
def first_told(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, Any]]:
    """What a new server says in the handshake era, by the name of its settings."""
    told: dict[str, dict[str, Any]] = {}
    for name, given in SETTINGS.items():
        with raw_wire(tmp_path_factory.mktemp("first"), given | {"PYTHONHASHSEED": "0"}, "legacy") as server:
            told[name] = told_by(server)
    return told


@pytest.mark.parametrize("name", SETTINGS)
def test_P06_the_same_settings_give_the_same_bytes_after_a_restart_and_a_job(
    tmp_path: Path, name: str, first_told: Mapping[str, Mapping[str, Any]]
) -> None:
    """Both eras say the same; the SDK puts `type` last in a schema of the handshake era, and first in the other's."""
    told: dict[str, Mapping[str, Any]] = {"legacy": first_told[name]}
    for number, era in enumerate(ERAS, start=1):
        more = {"PYTHONHASHSEED": str(number)}
        with raw_wire(tmp_path, SETTINGS[name] | more, era) as server:
            before = told_by(server)
            made = server.call("generate_image", {"prompt": f"Lake {number}", "provider": "sandbox", "wait_seconds": 0})
            assert not made.get("isError"), made
            after = told_by(server)
        assert hashed(before) == hashed(after) == hashed(told.setdefault(era, before)), era
    one, other = (told[era] for era in ERAS)
    assert hashed(one, sort_keys=True) == hashed(other, sort_keys=True)
    assert {what for what in one if hashed(one)[what] != hashed(other)[what]} <= {"tools/list"}
    print(f"{name}: {json.dumps({what: sha256[:12] for what, sha256 in hashed(one).items()})}")


def test_P06_other_settings_change_what_they_are_about_and_nothing_else(
    first_told: Mapping[str, Mapping[str, Any]],
) -> None:
    hashes = {name: hashed(told) for name, told in first_told.items()}
    changing = {what for what in hashes["no key"] if len({each[what] for each in hashes.values()}) > 1}
    assert changing == {"tools/list", "kontext://providers"}


@pytest.mark.parametrize("name", SETTINGS)
def test_P06_nothing_that_a_model_reads_holds_a_character_that_nobody_sees(tmp_path: Path, name: str) -> None:
    with raw_wire(tmp_path, SETTINGS[name], "legacy") as server:
        told_by(server)
        for tool in ("edit_image", "get_status", "cancel_job", "run_plan", "find_images", "view_images", "no_such"):
            server.call(tool, {})
            server.call(tool, {"image": "red-car-4k7q", "prompt": "x", "job_id": "x-4k7q", "refs": "x-4k7q"})
        server.call("generate_image", {"prompt": "x", "provider": "sandbox", "wait_seconds": 20})
        for uri in ("kontext://jobs", "kontext://usage", "x://y"):
            server.ask("resources/read", {"uri": uri})
        said = [text for told in server.heard for text in texts(told)]
    assert len(said) > 1_000
    assert {text[:80]: found for text in said if (found := hidden(text))} == {}


def test_P06_no_source_of_ours_holds_one_either() -> None:
    sources = [path for folder in ("server", "tools") for path in (ROOT / folder).rglob("*.py")]
    sources += [ROOT / "README.md", ROOT / "ARCHITECTURE.md"]
    assert len(sources) > 100
    found = {str(path.relative_to(ROOT)): hidden(path.read_text(encoding="utf-8")) for path in sources}
    assert {path: characters for path, characters in found.items() if characters} == {}


@pytest.mark.parametrize(
    "char", ["\u200b", "\u202e", "\U000e0041", "\ufe0f", "\u3164", "\u2028", "\xa0", "\x1b", "\ud800"]
)
def test_P06_a_character_that_nobody_sees_is_found(char: str) -> None:
    assert hidden(f"a {char}é…\n") == [f"U+{ord(char):04X}"]
