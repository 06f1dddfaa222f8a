"""`install` for clients with a command of their own, and what `--print` offers for all of them."""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from click.testing import Result
from inline_snapshot import snapshot

from conftest import NODE_FOLDER
from kontext_server.clients.table import CLIENTS

Invoke = Callable[..., Result]

KEY = "sk-never-to-be-seen-4711"
KONTEXT = str(Path(sys.executable).absolute().parent / "kontext")
PATIENCE_S = 120

_CLIENT = """#!{python}
import json, os, sys
with open({log!r}, "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
if {said!r}:
    sys.exit({said!r})
"""


@pytest.fixture
def set_up(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """A person with a key and a data folder in their shell, and no client on the PATH."""
    monkeypatch.setenv("FAL_KEY", KEY)
    monkeypatch.setenv("KONTEXT_DATA_DIR", "/data/of jo")
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", "/nowhere")
    return invoke


@pytest.fixture
def program(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable[[], list[list[str]]]]:
    """Put a client's program on the PATH that notes what it was called with, and may refuse."""

    def put(name: str, said: str = "") -> Callable[[], list[list[str]]]:
        folder, log = home / "bin", home / f"{name}.log"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(_CLIENT.format(python=sys.executable, log=str(log), said=said))
        (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        return lambda: [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    return put


def _offered(invoke: Invoke, client: str) -> dict[str, Any]:
    ended = invoke("install", client, "--print", "--json")
    assert ended.exit_code == 0
    assert KEY not in ended.output
    return json.loads(ended.stdout.replace(KONTEXT, "/k"))


def test_the_command_for_claude_code(set_up: Invoke) -> None:
    *words, entry = shlex.split(_offered(set_up, "claude-code")["command"])
    assert words == ["claude", "mcp", "add-json", "--scope", "user", "kontext"]
    assert json.loads(entry) == snapshot(
        {
            "command": "/k",
            "args": ["serve"],
            "env": {"KONTEXT_DATA_DIR": "/data/of jo", "FAL_KEY": "${FAL_KEY:-}"},
            "type": "stdio",
        }
    )


def test_the_command_for_codex(set_up: Invoke) -> None:
    assert shlex.split(_offered(set_up, "codex")["command"]) == snapshot(
        ["codex", "mcp", "add", "kontext", "--env", "KONTEXT_DATA_DIR=/data/of jo", "--", "/k", "serve"]
    )


def test_what_is_pasted_for_goose(set_up: Invoke) -> None:
    assert _offered(set_up, "goose")["snippet"] == snapshot("""\
extensions:
  kontext:
    enabled: true
    type: "stdio"
    name: "kontext"
    description: "Edit pictures by words with FLUX.1 Kontext"
    cmd: "/k"
    args: ["serve"]
    envs: {"KONTEXT_DATA_DIR": "/data/of jo"}
    env_keys: ["FAL_KEY"]
    timeout: 300\
""")


def test_the_link_for_cursor_decodes_to_the_entry(set_up: Invoke) -> None:
    offered = _offered(set_up, "cursor")
    link = urlsplit(str(json.loads(set_up("install", "cursor", "--print", "--json").stdout)["link"]))
    fields = parse_qs(link.query, strict_parsing=True)
    assert (link.scheme, link.netloc, link.path) == ("cursor", "anysphere.cursor-deeplink", "/mcp/install")
    assert fields["name"] == ["kontext"]
    config = json.loads(base64.b64decode(fields["config"][0], validate=True).replace(KONTEXT.encode(), b"/k"))
    assert {"mcpServers": {"kontext": config}} == json.loads(offered["snippet"])
    assert config == snapshot(
        {"command": "/k", "args": ["serve"], "env": {"KONTEXT_DATA_DIR": "/data/of jo", "FAL_KEY": "${env:FAL_KEY}"}}
    )


def test_the_link_and_the_command_for_vs_code_decode_to_the_entry(set_up: Invoke) -> None:
    offered = _offered(set_up, "vscode")
    scheme, _, query = offered["link"].partition("?")
    code, option, written = shlex.split(offered["command"])
    linked = json.loads(unquote(query, errors="strict").replace(KONTEXT, "/k"))
    assert (scheme, code, option) == ("vscode:mcp/install", "code", "--add-mcp")
    assert (
        linked
        == json.loads(written)
        == snapshot(
            {
                "name": "kontext",
                "command": "/k",
                "args": ["serve"],
                "env": {"KONTEXT_DATA_DIR": "/data/of jo", "FAL_KEY": "${input:kontext-fal-key}"},
                "type": "stdio",
                "inputs": [
                    {"type": "promptString", "id": "kontext-fal-key", "description": "FAL_KEY", "password": True}
                ],
            }
        )
    )
    name, inputs = linked.pop("name"), linked.pop("inputs")
    assert json.loads(offered["snippet"]) == {"servers": {name: linked}, "inputs": inputs}


@pytest.mark.parametrize("client", CLIENTS)
def test_printing_writes_nothing_and_shows_no_key(set_up: Invoke, home: Path, client: str) -> None:
    before = sorted(home.rglob("*"))
    ended = set_up("install", client, "--print")
    assert ended.exit_code == 0
    assert KONTEXT in ended.stdout
    assert KEY not in ended.output
    assert sorted(home.rglob("*")) == before


def test_goose_is_left_to_the_person_which_is_no_success(set_up: Invoke) -> None:
    ended = set_up("install", "goose")
    assert (ended.exit_code, ended.stdout.splitlines()[0]) == (1, "extensions:")
    assert "Nothing was changed" in ended.stderr
    assert json.loads(set_up("install", "goose", "--json").stdout)["status"] == "by_hand"
    assert json.loads(set_up("install", "goose", "--print", "--json").stdout)["status"] == "shown"
    assert set_up("install", "goose", "--dry-run").exit_code == 0
    assert set_up("uninstall", "goose").exit_code == 1
    assert json.loads(set_up("uninstall", "goose", "--json").stdout)["status"] == "by_hand"


@pytest.mark.parametrize(("client", "program_name"), [("claude-code", "claude"), ("codex", "codex")])
def test_without_the_program_its_command_is_shown_which_is_no_success(
    set_up: Invoke, client: str, program_name: str
) -> None:
    ended = set_up("install", client)
    assert ended.exit_code == 1
    assert ended.stdout == json.loads(set_up("install", client, "--print", "--json").stdout)["command"] + "\n"
    assert f"{program_name} is not on the PATH" in ended.stderr
    assert json.loads(set_up("install", client, "--json").stdout)["status"] == "by_hand"


def test_claude_code_is_told_by_its_own_command(set_up: Invoke, program: Callable[..., Any], home: Path) -> None:
    calls = program("claude")
    wanted = shlex.split(json.loads(set_up("install", "claude-code", "--print", "--json").stdout)["command"])
    ended = set_up("install", "claude-code", "--json")
    assert (ended.exit_code, calls()) == (0, [wanted[1:]])
    told = json.loads(ended.stdout)
    assert (told["status"], told["path"], told["backup"]) == ("added", str(home / ".claude.json"), None)
    assert KEY not in json.dumps(calls()) + ended.output


def test_an_older_entry_in_claude_code_is_taken_out_first_and_the_same_left_alone(
    set_up: Invoke, program: Callable[..., Any], home: Path
) -> None:
    calls = program("claude")
    wanted = json.loads(
        shlex.split(json.loads(set_up("install", "claude-code", "--print", "--json").stdout)["command"])[-1]
    )
    config = home / ".claude.json"
    config.write_text(json.dumps({"mcpServers": {"kontext": wanted}}))
    assert json.loads(set_up("install", "claude-code", "--json").stdout)["status"] == "already"
    assert calls() == []
    config.write_text(json.dumps({"mcpServers": {"kontext": wanted | {"command": "/old/kontext"}}}))
    dry = set_up("install", "claude-code", "--dry-run")
    assert (dry.exit_code, calls(), len(dry.stdout.splitlines())) == (0, [], 2)
    assert json.loads(set_up("install", "claude-code", "--json").stdout)["status"] == "updated"
    assert [call[:5] for call in calls()] == [
        ["mcp", "remove", "--scope", "user", "kontext"],
        ["mcp", "add-json", "--scope", "user", "kontext"],
    ]
    assert set_up("uninstall", "claude-code").exit_code == 0
    assert calls()[2] == ["mcp", "remove", "--scope", "user", "kontext"]


def test_an_entry_that_its_command_would_lose_something_of_is_left_to_the_person(
    set_up: Invoke, program: Callable[..., Any], home: Path
) -> None:
    calls = program("codex")
    (home / ".codex").mkdir()
    config = home / ".codex" / "config.toml"
    config.write_text(
        f'[mcp_servers.kontext]\ncommand = "/old/kontext"\nargs = ["serve"]\nenv = {{ FAL_KEY = "{KEY}" }}\n'
    )
    ended = set_up("install", "codex")
    assert (ended.exit_code, calls()) == (1, [])
    assert "holds more than this command would write" in ended.stderr
    assert KEY not in ended.output


def test_codex_is_told_by_its_own_command(set_up: Invoke, program: Callable[..., Any], home: Path) -> None:
    calls = program("codex")
    assert set_up("install", "codex").exit_code == 0
    (home / ".codex").mkdir()
    config = home / ".codex" / "config.toml"
    config.write_text('[mcp_servers.kontext]\ncommand = "npx"\n')
    assert (set_up("install", "codex").exit_code, set_up("uninstall", "codex").exit_code) == (1, 1)
    assert set_up("install", "codex", "--force").exit_code == 0
    config.write_text(f'[mcp_servers.kontext]\ncommand = "{KONTEXT}"\nargs = ["serve"]\n')
    assert set_up("uninstall", "codex").exit_code == 0
    config.write_text("")
    assert json.loads(set_up("uninstall", "codex", "--json").stdout)["status"] == "absent"
    config.write_text("[mcp_servers\n")
    assert "cannot be parsed" in set_up("install", "codex").stderr
    add = ["mcp", "add", "kontext", "--env", "KONTEXT_DATA_DIR=/data/of jo", "--", KONTEXT, "serve"]
    assert calls() == [add, ["mcp", "remove", "kontext"], add, ["mcp", "remove", "kontext"]]


def test_a_program_that_refuses_is_told_with_what_it_said(set_up: Invoke, program: Callable[..., Any]) -> None:
    program("claude", said="not \x1b[31mallowed here")
    ended = set_up("install", "claude-code", "--json")
    told = json.loads(ended.stdout)
    assert (ended.exit_code, told["why"]) == (1, 'claude refused: "not [31mallowed here".')
    assert told["fix"].startswith("Try it yourself:  claude mcp add-json")


def test_a_program_that_fails_halfway_is_not_told_as_nothing_changed(
    set_up: Invoke, program: Callable[..., Any], home: Path
) -> None:
    program("claude")
    tool = home / "bin" / "claude"
    tool.write_text(tool.read_text() + "if 'add-json' in sys.argv:\n    sys.exit('full')\n")
    entry = {"command": "/old/kontext", "args": ["serve"]}
    (home / ".claude.json").write_text(json.dumps({"mcpServers": {"kontext": entry}}))
    ended = set_up("install", "claude-code")
    assert ended.exit_code == 1
    assert 'claude refused: "full".' in ended.stderr
    assert "Nothing was changed" not in ended.stderr


def test_a_program_that_does_not_start_is_told(set_up: Invoke, program: Callable[..., Any], home: Path) -> None:
    program("claude")
    (home / "bin" / "claude").write_text("#!/nowhere/python\n")
    ended = set_up("install", "claude-code")
    assert ended.exit_code == 1
    assert "claude did not run (FileNotFoundError)" in ended.stderr


@pytest.fixture
def claude(home: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The real `claude`, in a home of its own; skipped where it is not installed."""
    found = shutil.which("claude", path=os.pathsep.join([str(NODE_FOLDER), os.environ["PATH"]]))
    if found is None:
        pytest.skip("the claude CLI is not installed: npm install --prefix .ci/node .ci/node")

    def run(command_line: str) -> subprocess.CompletedProcess[str]:
        words = shlex.split(command_line)
        assert words.pop(0) == "claude"
        return subprocess.run(
            [found, *words],
            cwd=home,
            env={
                "HOME": str(home),
                "PATH": os.pathsep.join([str(NODE_FOLDER), os.environ["PATH"]]),
                "FAL_KEY": KEY,
                # It asks its maker nothing here.
                "DISABLE_AUTOUPDATER": "1",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    return run


@pytest.mark.node
def test_the_real_claude_takes_the_printed_command_starts_the_server_and_lets_it_go(
    invoke: Invoke, home: Path, claude: Callable[..., subprocess.CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAL_KEY", KEY)
    printed = json.loads(invoke("install", "claude-code", "--print", "--json").stdout)
    added = claude(printed["command"])
    assert added.returncode == 0, added.stderr
    kept = json.loads((home / ".claude.json").read_text())["mcpServers"]["kontext"]
    assert kept == json.loads(shlex.split(printed["command"])[-1])
    assert KEY not in (home / ".claude.json").read_text()
    # It starts what it was told of, and shakes hands with it.
    listed = claude("claude mcp list")
    assert f"kontext: {KONTEXT} serve" in listed.stdout
    assert "Connected" in listed.stdout
    # What it wrote is known again: by a second install, and by an uninstall.
    assert json.loads(invoke("install", "claude-code", "--json").stdout)["status"] == "already"
    removal = invoke("uninstall", "claude-code", "--dry-run").stdout
    assert claude(removal).returncode == 0
    assert "kontext" not in json.loads((home / ".claude.json").read_text()).get("mcpServers", {})
