"""Lines of the wire: split wherever they are cut, bounded, and what is kept of one that cannot be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import mcp_types as types
import pytest
from inline_snapshot import snapshot
from mcp.shared.message import ServerMessageMetadata, SessionMessage

from kontext_server import lines
from kontext_server.lines import Lines, Outline, Refused, line_of, message_of
from kontext_server.surface.unread import TOO_LONG, UNREADABLE

CALL: dict[str, Any] = {"name": "edit_image", "arguments": {"image": "a.png", "seed": 3}, "_meta": {"progressToken": 1}}


def line(params: Any, **more: Any) -> str:
    """Write a request."""
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params, **more})


def unread(text: str | bytes) -> types.JSONRPCRequest:
    """Give the request that is made of a line that cannot be read."""
    message = message_of(text.encode() if isinstance(text, str) else text)
    assert isinstance(message, SessionMessage) and isinstance(message.message, types.JSONRPCRequest)
    assert message.metadata == ServerMessageMetadata(request_context=UNREADABLE)
    return message.message


def cut(data: bytes, random: Random) -> Iterator[bytes]:
    """Give bytes in pieces of random lengths."""
    while data:
        size = random.randint(1, 9)
        yield data[:size]
        data = data[size:]


def test_lines_are_the_same_however_they_come() -> None:
    whole = b'{"a": 1}\n\n{"b": "\xc3\xa9"}\r\nrest'
    for seed in range(20):
        reader = Lines()
        got = [found for piece in cut(whole, Random(seed)) for found in reader.feed(piece)]
        assert got == [b'{"a": 1}', b"", b'{"b": "\xc3\xa9"}\r']


def test_a_good_line_is_read_as_it_stands() -> None:
    message = message_of(line(CALL).encode())
    assert message == SessionMessage(types.JSONRPCRequest(jsonrpc="2.0", id=7, method="tools/call", params=CALL))


@pytest.mark.parametrize(
    "broken",
    ['"\\ud800"', '"\\udfff x"', "9" * 5_000, "[" * 10_000 + "]" * 10_000, '{"a":' * 300 + "1" + "}" * 300],
    ids=["half a character", "the other half", "5000 digits", "10,000 deep", "objects"],
)
def test_what_cannot_be_read_is_a_request_without_its_arguments(broken: str) -> None:
    for place in ('{"name":"edit_image","arguments":{"image":%s}}', '{"name":"edit_image","arguments":{"x":[%s]}}'):
        request = unread('{"jsonrpc":"2.0","id":7,"method":"tools/call","params":' + place % broken + "}")
        assert (request.id, request.method) == (7, "tools/call")
        assert request.params == {"name": "edit_image", "arguments": {}}


def test_bytes_that_are_no_utf_8_are_not_read() -> None:
    assert unread(b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":"caf\xe9"}}').params == {"a": ""}


def test_what_a_request_says_of_itself_is_kept() -> None:
    meta = {"io.modelcontextprotocol/clientInfo": {"name": "x", "version": "0"}, "a": {"b": {"c": [1]}}}
    params = {"_meta": meta, "arguments": {"image": "@"}, "name": "edit_image"}
    request = unread(line(params).replace('"@"', "9" * 5_000))
    assert request.params == snapshot(
        {
            "_meta": {
                "io.modelcontextprotocol/clientInfo": {"name": "x", "version": "0"},
                "a": {"b": {"c": []}},
            },
            "arguments": {},
            "name": "edit_image",
        }
    )


@pytest.mark.parametrize("params", ["[]", "3", '"x"'])
def test_what_is_no_request_but_has_an_id_is_answered_with_an_error(params: str) -> None:
    refused = message_of(('{"jsonrpc":"2.0","id":"a","method":"ping","params":' + params + "}").encode())
    assert isinstance(refused, Refused)
    error = types.ErrorData(code=types.INVALID_REQUEST, message="That is no JSON-RPC 2.0 request.")
    assert refused.answer.message == types.JSONRPCError(jsonrpc="2.0", id="a", error=error)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \r",
        "hello",
        '{"jsonrpc":"2.0","id":7,"method":"ping"',
        '{"jsonrpc":"2.0","id":7,"method":"ping"}}',
        '{"jsonrpc":"2.0","id":"\\ud800","method":"ping"}',
        '{"jsonrpc":"2.0","id":' + "9" * 5_000 + ',"method":"ping"}',
        '{"jsonrpc":"2.0","id":null,"method":"ping","params":[]}',
        '{"jsonrpc":"2.0","id":true,"method":"ping","params":[]}',
        '{"jsonrpc":"2.0","method":"notifications/initialized","params":{"a":"\\ud800"}}',
        '[{"jsonrpc":"2.0","id":7,"method":"ping"}]',
    ],
)
def test_nobody_is_answered_whose_id_cannot_be_made_out(text: str) -> None:
    assert message_of(text.encode()) is None


def test_an_outline_is_the_same_however_the_line_comes() -> None:
    text = line({**CALL, "x": 'say "\\"', "arguments": {"image": "A" * 3_000 + '"[{\\'}, "deep": [[[[[["x"]]]]]]})
    whole = Outline()
    whole.feed(text.encode())
    assert whole.fields()["params"] == snapshot(
        {
            "name": "edit_image",
            "arguments": {},
            "_meta": {"progressToken": 1},
            "x": 'say "\\"',
            "deep": [[[[]]]],
        }
    )
    for seed in range(50):
        pieces = Outline()
        for piece in cut(text.encode(), Random(seed)):
            pieces.feed(piece)
        assert pieces.fields() == whole.fields()


def test_a_line_over_the_limit_is_told_by_its_outline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", len(line(CALL)))
    reader = Lines()
    data = f"{line(CALL)}\n{line(CALL)} \n{line(CALL)}\n".encode()
    first, second, third = (found for piece in cut(data, Random(1)) for found in reader.feed(piece))
    assert first == third == line(CALL).encode()
    message = message_of(second)
    assert isinstance(message, SessionMessage) and isinstance(message.message, types.JSONRPCRequest)
    assert message.metadata == ServerMessageMetadata(request_context=TOO_LONG)
    assert message.message.params == {"name": "edit_image", "arguments": {}, "_meta": {"progressToken": 1}}


def test_half_a_character_in_an_answer_ends_no_server() -> None:
    answer = types.JSONRPCResponse(jsonrpc="2.0", id=1, result={"text": "caf\udce9 é"})
    told = line_of(SessionMessage(answer))
    assert json.loads(told) == {"jsonrpc": "2.0", "id": 1, "result": {"text": "caf? é"}}
    assert told.endswith(b"}\n")
