"""`install` and `uninstall` for clients whose file is written: real files in a person's home, byte for byte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from inline_snapshot import snapshot

from kontext_server.clients.places import Surroundings
from kontext_server.clients.table import CLIENTS
from server.clients.samples import SAMPLES

Invoke = Callable[..., Result]

WRITTEN = [client.id for client in CLIENTS.values() if client.told == "file"]
KEY = "sk-never-to-be-seen-4711"
KONTEXT = str(Path(sys.executable).absolute().parent / "kontext")


def _file(client: str) -> Path:
    """Where a client's file lies in the home of the test."""
    path = CLIENTS[client].file(Surroundings.here())
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _names(folder: Path) -> list[str]:
    return sorted(found.name for found in folder.iterdir())


def _servers(client: str) -> dict[str, dict[str, Any]]:
    return json.loads(_file(client).read_text("utf-8"))[CLIENTS[client].holder]


@pytest.fixture
def cursor(invoke: Invoke) -> Path:
    """Cursor's file with another's server in it."""
    path = _file("cursor")
    path.write_text(SAMPLES["two spaces"])
    return path


@pytest.mark.parametrize("client", WRITTEN)
def test_install_then_uninstall_leaves_each_real_file_as_it_was(
    invoke: Invoke, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAL_KEY", KEY)
    path, changed = _file(client), dict[str, bytes]()
    for number, (sample, text) in enumerate(SAMPLES.items()):
        before = (b"\xef\xbb\xbf" if number % 5 == 0 else b"") + text.encode()
        path.write_bytes(before)
        assert invoke("install", client).exit_code == 0
        assert path.read_bytes() != before
        assert KEY.encode() not in path.read_bytes()
        assert invoke("uninstall", client).exit_code == 0
        if path.read_bytes() != before:
            changed[sample] = path.read_bytes()
    assert changed == {}


@pytest.mark.parametrize("client", WRITTEN)
def test_where_there_was_no_file_there_is_none_again(invoke: Invoke, client: str) -> None:
    path = _file(client)
    assert invoke("install", client).exit_code == 0
    assert list(_servers(client)) == ["kontext"]
    assert invoke("uninstall", client).exit_code == 0
    assert list(path.parent.iterdir()) == []


def test_what_is_written_starts_this_environments_server(invoke: Invoke, home: Path) -> None:
    invoke("install", "claude-desktop")
    entry = _servers("claude-desktop")["kontext"]
    assert entry == {
        "command": KONTEXT,
        "args": ["serve"],
        "env": {"XDG_CONFIG_HOME": str(home / ".config"), "XDG_DATA_HOME": str(home / ".share")},
    }


def test_the_written_entry_answers_a_client(invoke: Invoke) -> None:
    invoke("install", "cursor")
    entry = _servers("cursor")["kontext"]
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello})
    # As a client does it: the entry's words and variables, and little else.
    ended = subprocess.run(
        [str(entry["command"]), *json.loads(json.dumps(entry["args"]))],
        env=json.loads(json.dumps(entry["env"])) | {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]},
        input=line + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(ended.stdout)["result"]["serverInfo"]["name"] == "kontext"


def test_it_is_told_where_what_is_kept_and_the_next_step(invoke: Invoke, cursor: Path, home: Path) -> None:
    ended = invoke("install", "cursor")
    assert (ended.exit_code, ended.stdout) == (0, f"{cursor}\n")
    assert ended.stderr.replace(str(home), "~").splitlines() == snapshot(
        [
            "kontext was added to Cursor.",
            "As it was before: ~/.cursor/mcp.json.kontext-backup",
            "No provider's key is set, so the sandbox serves. A key belongs into ~/.config/kontext/kontext.toml.",
            "Passed on from this environment: XDG_CONFIG_HOME, XDG_DATA_HOME.",
            "Restart Cursor; the server is listed in its settings under MCP.",
        ]
    )
    assert Path(f"{cursor}.kontext-backup").read_text() == SAMPLES["two spaces"]


def test_a_second_install_changes_nothing_and_says_so(invoke: Invoke, cursor: Path) -> None:
    invoke("install", "cursor")
    first = cursor.read_bytes(), cursor.stat().st_mtime_ns, _names(cursor.parent)
    again = invoke("install", "cursor", "--json")
    assert (cursor.read_bytes(), cursor.stat().st_mtime_ns, _names(cursor.parent)) == first
    told = json.loads(again.stdout)
    assert (again.exit_code, told["status"], told["backup"], told["next"]) == (0, "already", None, "")


def test_an_older_entry_of_ours_is_brought_up_to_date_and_keeps_what_a_person_put_there(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _file("cursor")
    old = {"command": "/old/bin/kontext", "args": ["serve"], "disabled": True, "env": {"FAL_KEY": "mine", "X": "1"}}
    path.write_text(json.dumps({"mcpServers": {"kontext": old}}))
    monkeypatch.setenv("FAL_KEY", KEY)
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("KONTEXT_MODEL", "kontext-max")
    ended = invoke("install", "cursor", "--json")
    assert json.loads(ended.stdout)["status"] == "updated"
    env = {"FAL_KEY": "mine", "X": "1", "KONTEXT_MODEL": "kontext-max"}
    assert _servers("cursor")["kontext"] == {**old, "command": KONTEXT, "env": env}
    assert json.loads(Path(f"{path}.kontext-backup").read_text())["mcpServers"]["kontext"] == old
    # That backup holds an entry of ours: an uninstall does not bring it back.
    invoke("uninstall", "cursor")
    assert json.loads(path.read_text()) == {"mcpServers": {}}


def test_anothers_entry_of_that_name_is_left_alone_unless_forced(invoke: Invoke) -> None:
    path = _file("windsurf")
    theirs = '{"mcpServers": {"kontext": {"command": "npx", "args": ["other"]}}}'
    path.write_text(theirs)
    refused, beside = invoke("install", "windsurf"), invoke("install", "windsurf", "--name", "kontext-2")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "starts something else" in refused.stderr
    assert beside.exit_code == 0
    assert list(_servers("windsurf")) == ["kontext", "kontext-2"]
    assert invoke("uninstall", "windsurf").exit_code == 1
    assert invoke("uninstall", "windsurf", "--name", "kontext-2").exit_code == 0
    assert path.read_text() == theirs
    forced = invoke("install", "windsurf", "--force", "--json")
    assert json.loads(forced.stdout)["status"] == "replaced"
    assert Path(json.loads(forced.stdout)["backup"]).read_text() == theirs
    assert _servers("windsurf")["kontext"]["command"] == KONTEXT


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{\n  // mine\n  "servers": {}\n}', "line 2: a comment"),
        ('{"servers": {},}', "line 1: a comma stands before }"),
        ('{"a": 1, "a": 2}', "a second time"),
        ('{"servers": []}', "servers is no object"),
        ('{"servers": {}, "inputs": {}}', "inputs is no list"),
        ('{"servers": {"x": ' + "1" * 5000 + "}}", "cannot be parsed"),
        ("[]", "the whole is no object"),
    ],
)
def test_a_file_that_cannot_be_parsed_is_refused_and_the_way_by_hand_told(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, text: str, why: str
) -> None:
    monkeypatch.setenv("FAL_KEY", KEY)
    path = _file("vscode")
    path.write_text(text)
    ended = invoke("install", "vscode", "--json")
    told = json.loads(ended.stdout)
    assert (ended.exit_code, told["status"], path.read_text()) == (1, "refused", text)
    assert why in told["why"] and str(path) in told["why"] and "--print" in told["fix"]
    assert _names(path.parent) == ["mcp.json"]


def test_a_dry_run_shows_the_diff_without_any_key_and_writes_nothing(invoke: Invoke, home: Path) -> None:
    path = _file("gemini-cli")
    env = {"API_KEY": "sk-theirs", "B": "$B_TOKEN"}
    text = json.dumps({"mcpServers": {"x": {"env": env}}}, indent=2) + "\n"
    path.write_text(text)
    ended = invoke("install", "gemini-cli", "--dry-run")
    assert ended.exit_code == 0
    assert ended.stdout.replace(KONTEXT, "KONTEXT").replace(str(home), "~") == snapshot("""\
--- ~/.gemini/settings.json
+++ ~/.gemini/settings.json
@@ -5,6 +5,17 @@
         "API_KEY": "…",
         "B": "$B_TOKEN"
       }
+    },
+    "kontext": {
+      "command": "KONTEXT",
+      "args": [
+        "serve"
+      ],
+      "env": {
+        "XDG_CONFIG_HOME": "~/.config",
+        "XDG_DATA_HOME": "~/.share"
+      },
+      "timeout": 600000
     }
   }
 }
""")
    assert (path.read_text(), _names(path.parent)) == (text, ["settings.json"])
    invoke("install", "gemini-cli")
    as_json = json.loads(invoke("uninstall", "gemini-cli", "--dry-run", "--json").stdout)
    assert as_json["status"] == "removed"
    assert "sk-theirs" not in as_json["diff"]
    assert list(_servers("gemini-cli")) == ["x", "kontext"]


@pytest.mark.parametrize(
    ("client", "reference"),
    [
        ("claude-desktop", None),
        ("cursor", "${env:FAL_KEY}"),
        ("vscode", "${input:kontext-fal-key}"),
        ("gemini-cli", "$FAL_KEY"),
        ("windsurf", "${env:FAL_KEY}"),
    ],
)
def test_a_key_of_the_environment_goes_by_reference_or_not_at_all(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, client: str, reference: str | None
) -> None:
    monkeypatch.setenv("FAL_KEY", KEY)
    ended = invoke("install", client)
    env = _servers(client)["kontext"]["env"]
    assert env.get("FAL_KEY") == reference
    assert "FAL_KEY" in ended.stderr
    assert KEY not in ended.output + _file(client).read_text()


def test_a_key_that_kontext_toml_holds_needs_nothing_more(
    invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml = home / ".config" / "kontext" / "kontext.toml"
    toml.parent.mkdir(parents=True)
    toml.write_text(f'fal_key = "{KEY}"\n')
    monkeypatch.setenv("FAL_KEY", KEY)
    ended = invoke("install", "cursor")
    assert "FAL_KEY" not in ended.output + _file("cursor").read_text()
    assert "No provider's key" not in ended.stderr


def test_vs_code_asks_for_the_key_and_a_persons_own_input_stays(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAL_KEY", KEY)
    path = _file("vscode")
    path.write_text(SAMPLES["VS Code without our names"])
    invoke("install", "vscode")
    assert json.loads(path.read_text())["inputs"] == [
        {"type": "promptString", "id": "k", "description": "K", "password": True},
        {"type": "promptString", "id": "kontext-fal-key", "description": "FAL_KEY", "password": True},
    ]
    # The person changes something meanwhile: only ours goes.
    path.write_text(path.read_text().replace('"command": "a"', '"command": "b"'))
    invoke("uninstall", "vscode")
    assert path.read_text() == SAMPLES["VS Code without our names"].replace('"command": "a"', '"command": "b"')


def test_what_is_not_there_is_taken_out_without_a_word_of_error(invoke: Invoke) -> None:
    ended = invoke("uninstall", "cursor")
    assert (ended.exit_code, ended.stderr) == (0, "kontext is not in Cursor. Nothing was changed.\n")


@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_a_wrong_word_is_a_usage_error(invoke: Invoke, command: str) -> None:
    assert invoke(command, "emacs").exit_code == 2
    assert invoke(command, "cursor", "--name", "a b").exit_code == 2
    assert invoke(command).exit_code == 2


def test_both_ways_of_only_showing_are_a_usage_error(invoke: Invoke) -> None:
    assert invoke("install", "cursor", "--print", "--dry-run").exit_code == 2


@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_a_wrong_setting_ends_it_before_it_is_passed_on(
    invoke: Invoke, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KONTEXT_WAIT_SECONDS", "soon")
    ended = invoke(command, "cursor")
    assert ended.exit_code == 3
    assert "KONTEXT_WAIT_SECONDS" in ended.stderr
    assert not _file("cursor").exists()


def test_it_runs_as_a_program(kontext: Callable[..., subprocess.CompletedProcess[str]], home: Path) -> None:
    ended = kontext("install", "cursor")
    assert (ended.returncode, ended.stdout) == (0, f"{home / '.cursor' / 'mcp.json'}\n")
    assert kontext("uninstall", "cursor").returncode == 0
    assert _names(home / ".cursor") == []
