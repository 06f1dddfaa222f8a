"""RELIABILITY.md P02 and P03: what comes over the wire that no client should send."""

from __future__ import annotations

import base64
import faulthandler
import json
import os
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import mcp_types as types
import pytest
from pydantic import ValidationError

from support import hostile, mutants
from support.raw_wire import MARKER, RawWire, leaks, raw_wire, refused
from support.stdio_server import ERAS

SEED = 20261121
CAMPAIGN, SAMPLE = 5_000, 300
"""Lines in each era: 10,000 in both."""
Named = tuple[type, str | int]
"""An id and its type: 7 and "7" are two."""
GOOD = {"prompt": "A lake", "dry_run": True}


def _messages(server: RawWire, tools: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give a good message of every kind, its texts marked; every tool that is listed is called with all it takes."""
    asked: list[tuple[str, dict[str, Any]]] = [
        *(("tools/call", {"name": tool["name"], "arguments": _arguments(tool["inputSchema"])}) for tool in tools),
        ("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": MARKER}}),
        ("ping", {}),
        ("server/discover", {}),
        *((method, {"cursor": MARKER}) for method in ("tools/list", "resources/list", "prompts/list")),
        ("resources/templates/list", {}),
        ("resources/read", {"uri": f"kontext://jobs/{MARKER}"}),
        ("resources/read", {"uri": "kontext://guide"}),
        ("resources/subscribe", {"uri": f"kontext://jobs/{MARKER}"}),
        ("subscriptions/listen", {"notifications": {"resourcesListChanged": True}}),
        ("prompts/get", {"name": "edit-photo", "arguments": {"image": MARKER, "wish": MARKER}}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "fix-last"}, "argument": {"name": "ref"}}),
        ("logging/setLevel", {"level": "debug"}),
        ("tasks/get", {"taskId": MARKER}),
    ]
    told = [{"method": "notifications/cancelled", "params": {"requestId": 3}}, {"id": 5, "result": {MARKER: MARKER}}]
    told += [{"method": "notifications/progress", "params": {"progressToken": MARKER, "progress": 1}}]
    requests = [
        {"id": number, "method": method, "params": server.enveloped(params)}
        for number, (method, params) in enumerate(asked)
    ]
    return [{"jsonrpc": "2.0", **message} for message in (*requests, *told)]


def _arguments(schema: dict[str, Any]) -> dict[str, Any]:
    """Give arguments that a tool's schema allows, texts marked; nothing is waited for."""
    values: dict[str, Any] = {}
    for name, facts in schema["properties"].items():
        match facts["type"]:
            case "array":
                items = facts["items"]
                values[name] = [_arguments(items) if items["type"] == "object" else MARKER]
            case "boolean":
                values[name] = True
            case "integer" | "number":
                values[name] = facts.get("minimum", 1)
            case _:
                values[name] = facts["enum"][0] if "enum" in facts else MARKER
    return values


def _asked(line: bytes) -> str | int | None:
    """Give the id of a line that is a request and will be answered by itself."""
    try:
        message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValidationError:
        return None
    if not isinstance(message, types.JSONRPCRequest) or message.method == "subscriptions/listen":
        return None
    return message.id


@pytest.mark.campaign
@pytest.mark.parametrize("era", ERAS)
def test_P02_no_line_ends_the_server_or_is_told_of_its_inside(tmp_path: Path, whole_campaign: bool, era: str) -> None:
    if whole_campaign:
        faulthandler.cancel_dump_traceback_later()
    random, lines = Random(f"{SEED} {era}"), CAMPAIGN if whole_campaign else SAMPLE
    open_ids: set[Named] = set()
    with raw_wire(tmp_path, {}, era) as server:
        messages = _messages(server, server.ask("tools/list", {})["result"]["tools"])
        for number in range(lines):
            line = mutants.line(random, messages)
            if (asked := _asked(line)) is not None:
                open_ids.add(_named(asked))
            server.write(line)
            if number % 25 == 24:
                _still_serves(server)
        _still_serves(server)
        assert server.end() == 0
        cancelled: set[Named] = {(int, 3), (str, "3")}
        answered = {_named(told["id"]) for told in server.heard if "id" in told and "method" not in told}
    refusals = [told for told in server.heard if refused(told)]
    told_too_much = {
        json.dumps(told)[:600]: found for told in refusals if (found := leaks(told, str(tmp_path / "data")))
    }
    print(f"{era}: {lines} lines, {len(server.heard)} answers, {len(refusals)} refusals")
    assert told_too_much == {}
    assert open_ids - answered - cancelled == set()
    log = (tmp_path / "stderr.log").read_text(encoding="utf-8", errors="replace")
    assert [line for line in log.splitlines() if "Traceback" in line] == []


def _named(id_: str | int) -> Named:
    return type(id_), id_


def _still_serves(server: RawWire) -> None:
    """A good call is answered well, whatever came before."""
    quote = server.call("generate_image", GOOD)
    assert quote["structuredContent"]["dry_run"] is True, quote


@pytest.mark.parametrize("era", ERAS)
def test_P02_a_file_whose_name_is_no_text_ends_nothing(tmp_path: Path, era: str) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / "cat.png").write_bytes(hostile.plain())
    with raw_wire(tmp_path, {"KONTEXT_IMAGE_ROOTS": str(folder)}, era) as server:
        told = server.call("edit_image", {"image": "/etc/passwd", "prompt": "x"})
        _still_serves(server)
    error = told["structuredContent"]["error"]
    assert error["code"] == "source_not_allowed"
    assert "caf?" in error["fix"], "half a character cannot be written: the folder is named as well as can be"


LINE = '{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":%s}'
MIB = 2**20
MOST_GROWTH_MB = 64


@pytest.mark.parametrize("era", ERAS)
def test_P03_a_line_of_200_MB_is_not_collected_and_its_call_is_told_so(tmp_path: Path, era: str) -> None:
    with raw_wire(tmp_path, {}, era) as server:
        _still_serves(server)
        before = server.peak_mb()
        head, _, tail = (LINE % (7, json.dumps(_call(server, "edit_image", image="CUT")))).partition("CUT")
        assert server.process.stdin is not None
        server.process.stdin.write(head.encode())
        for _ in range(200):
            server.process.stdin.write(b"A" * 1_000_000)
        server.write(tail.encode())
        told = server.answer(7)
        _still_serves(server)
        growth_mb = server.peak_mb() - before
    print(f"{era}: peak memory grew by {growth_mb:.1f} MB, from {before:.1f} MB")
    error = told["result"]["structuredContent"]["error"]
    assert (error["code"], error["billed"]) == ("source_too_large", "no")
    assert growth_mb < MOST_GROWTH_MB


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("order", [("jsonrpc", "id", "method", "params"), ("method", "params", "jsonrpc", "id")])
def test_P03_whoever_asked_too_much_is_answered_wherever_the_id_stands(
    tmp_path: Path, era: str, order: tuple[str, ...]
) -> None:
    heavy = "A" * (17 * MIB)
    with raw_wire(tmp_path, {}, era) as server:
        params = {
            "tools/call": _call(server, "run_plan", steps=[{"id": "a", "prompt": "x", "image": heavy}] * 2),
            "prompts/get": server.enveloped({"name": "fix-last", "arguments": {"ref": heavy, "complaint": "x"}}),
            "resources/read": server.enveloped({"uri": f"x://{heavy}"}),
            "no/such": server.enveloped({heavy: heavy}),
        }
        told: dict[str, Any] = {}
        for method in params:
            message = {"jsonrpc": "2.0", "id": method, "method": method, "params": params[method]}
            told[method] = server.sent(json.dumps({name: message[name] for name in order}), method)
        _still_serves(server)
    assert told["tools/call"]["result"]["structuredContent"]["error"]["code"] == "source_too_large"
    assert {told[method]["error"]["code"] for method in params if method != "tools/call"} == {types.INVALID_PARAMS}


@pytest.mark.parametrize("era", ERAS)
def test_P03_a_long_line_that_nobody_can_be_answered_for_is_read_over(tmp_path: Path, era: str) -> None:
    million = 1_000_000
    lines = {
        "no request": b'{"jsonrpc":"2.0","id":1,"result":{"x":"' + b"A" * 20 * million + b'"}}',
        "no JSON": b"A" * 20 * million,
        "never ends": b'{"id":1,"method":"' + b"\\" * 20 * million,
        "lists in lists": b'{"id":1,"method":"x","params":' + b"[" * 20 * million,
        "an id without end": b'{"jsonrpc":"2.0","id":"' + b"A" * 20 * million + b'","method":"ping"}',
        "a number without end": b'{"jsonrpc":"2.0","id":' + b"1" * 20 * million + b',"method":"ping"}',
        "nothing": b" " * 20 * million,
    }
    with raw_wire(tmp_path, {}, era) as server:
        before = len(server.heard)
        for line in lines.values():
            server.write(line)
        _still_serves(server)
        assert len(server.heard) == before + 1
        assert server.end() == 0
    assert (tmp_path / "stderr.log").read_text(encoding="utf-8").count("dropped") == len(lines)


def test_P03_a_picture_of_10_MB_as_a_data_uri_is_taken(tmp_path: Path) -> None:
    plain = hostile.plain()
    largest = plain[:-12] + hostile.chunk(b"tEXt", b"Comment\x00" + b"x" * (10_000_000 - len(plain) - 20)) + plain[-12:]
    assert len(largest) == 10_000_000
    image = "data:image/png;base64," + base64.b64encode(largest).decode()
    with raw_wire(tmp_path, {}, "legacy") as server:
        quote = server.call("edit_image", {"image": image, **GOOD})
    assert quote["structuredContent"]["dry_run"] is True, quote


def _call(server: RawWire, tool: str, **arguments: Any) -> dict[str, Any]:
    return server.enveloped({"name": tool, "arguments": {**GOOD, **arguments}})
