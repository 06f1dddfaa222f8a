"""What a doctor is told of the clients' files: read only, and never an error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from kontext_server.clients.looking import Entry, Look, look
from kontext_server.clients.places import Surroundings
from kontext_server.clients.table import CLIENTS


@pytest.fixture
def at(tmp_path: Path) -> Surroundings:
    return Surroundings(system="linux", home=tmp_path, variables={"PATH": str(tmp_path / "bin")})


def _put(at: Surroundings, client: str, text: str | bytes) -> Path:
    path = CLIENTS[client].file(at)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_nothing_is_told_of_clients_that_are_not_there(at: Surroundings) -> None:
    assert look(at) == []


def test_each_entry_of_ours_is_told_with_whether_it_starts_something(at: Surroundings, tmp_path: Path) -> None:
    for name, mode in (("kontext", 0o755), ("kontext-tool-server", 0o644)):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(mode)
    works, dead = str(tmp_path / "bin" / "kontext"), str(tmp_path / "bin" / "kontext-tool-server")
    servers = {
        "kontext": {"command": works, "args": ["serve"]},
        "by-name": {"command": "kontext"},
        "gone": {"command": "/gone/kontext"},
        "dead": {"command": dead},
        "odd": {"command": "kontext\0"},
        "uvx": {"command": "uvx", "args": ["kontext-tool-server"]},
        "theirs": {"command": "npx"},
        "broken": 5,
    }
    cursor = _put(at, "cursor", json.dumps({"mcpServers": servers}))
    codex = _put(at, "codex", f'[mcp_servers.kontext]\ncommand = "{works}"\n[mcp_servers.x]\nurl = "https://x.test"\n')
    claude = _put(at, "claude-code", "{}")
    goose = _put(at, "goose", "extensions: {}")
    assert look(at) == [
        Look(client="claude-code", title="Claude Code", path=claude),
        Look(
            client="cursor",
            title="Cursor",
            path=cursor,
            entries=(
                Entry(name="kontext", command=works, state="ok"),
                Entry(name="by-name", command="kontext", state="ok"),
                Entry(name="gone", command="/gone/kontext", state="missing"),
                Entry(name="dead", command=dead, state="not_executable"),
                Entry(name="uvx", command="uvx", state="missing"),
            ),
        ),
        Look(client="codex", title="Codex", path=codex, entries=(Entry(name="kontext", command=works, state="ok"),)),
    ]
    assert goose.read_text() == "extensions: {}"


def test_a_file_that_cannot_be_read_is_a_problem_and_no_error(at: Surroundings, tmp_path: Path) -> None:
    _put(at, "cursor", '{\n  "mcpServers": {},\n  // mine\n}')
    _put(at, "vscode", b"\xff\xfe{\0}\0")
    _put(at, "codex", "[mcp_servers\n")
    _put(at, "gemini-cli", '{"mcpServers": {"x": ' + "1" * 5000 + "}}")
    _put(at, "windsurf", '{"mcpServers": []}')
    _put(at, "claude-code", '{"a": ')
    CLIENTS["claude-desktop"].file(at).mkdir(parents=True)
    told = {seen.client: (seen.problem or "").replace(str(seen.path), "FILE") for seen in look(at)}
    assert told == snapshot(
        {
            "claude-desktop": "FILE is no file.",
            "claude-code": "FILE cannot be parsed (Expecting value: line 1 column 7 (char 6)).",
            "cursor": "FILE cannot be parsed (line 3: a comment, which JSON has none of).",
            "vscode": "FILE is not UTF-8.",
            "codex": "FILE cannot be parsed (Expected ']' at the end of a table declaration (at line 1, column 13)).",
            "gemini-cli": "FILE cannot be parsed (a value that cannot be read).",
            "windsurf": "",
        }
    )


def test_holders_that_are_no_objects_hold_nothing(at: Surroundings) -> None:
    _put(at, "codex", "mcp_servers = 5\n")
    _put(at, "cursor", "")
    _put(at, "claude-code", "[]")
    assert [(seen.client, seen.problem, seen.entries) for seen in look(at)] == [
        ("claude-code", None, ()),
        ("cursor", None, ()),
        ("codex", None, ()),
    ]


def test_a_file_nested_beyond_all_bearing_is_a_problem_and_no_error(at: Surroundings) -> None:
    _put(at, "claude-code", '{"a": ' * 100_000)
    _put(at, "codex", "x = " + "[" * 100_000)
    assert [(seen.problem or "").rpartition(" cannot be parsed ")[2] for seen in look(at)] == [
        "(a value that cannot be read).",
        "(a value that cannot be read).",
    ]
