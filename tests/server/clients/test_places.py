"""Where each client's file lies on each system, and how this server's command is found."""

from __future__ import annotations

from pathlib import Path

import pytest
from inline_snapshot import snapshot

from kontext_server.clients.entry import is_ours, launch, may_vanish
from kontext_server.clients.places import Surroundings
from kontext_server.clients.table import CLIENTS

HOME = Path("/home/jo")


def _files(system: str, **variables: str) -> dict[str, str]:
    at = Surroundings(system=system, home=HOME, variables=variables)
    return {client.id: str(client.file(at).relative_to(HOME)) for client in CLIENTS.values()}


def test_linux() -> None:
    assert _files("linux") == snapshot(
        {
            "claude-desktop": ".config/Claude/claude_desktop_config.json",
            "claude-code": ".claude.json",
            "cursor": ".cursor/mcp.json",
            "vscode": ".config/Code/User/mcp.json",
            "codex": ".codex/config.toml",
            "gemini-cli": ".gemini/settings.json",
            "windsurf": ".codeium/windsurf/mcp_config.json",
            "goose": ".config/goose/config.yaml",
        }
    )


def test_macos() -> None:
    here = _files("darwin")
    moved = {name: path for name, path in here.items() if path != _files("linux")[name]}
    assert moved == snapshot(
        {
            "claude-desktop": "Library/Application Support/Claude/claude_desktop_config.json",
            "vscode": "Library/Application Support/Code/User/mcp.json",
        }
    )


def test_windows() -> None:
    roaming = str(HOME / "AppData" / "Roaming")
    assert _files("win32", APPDATA=roaming) == _files("win32")
    moved = {name: path for name, path in _files("win32").items() if path != _files("linux")[name]}
    assert moved == snapshot(
        {
            "claude-desktop": "AppData/Roaming/Claude/claude_desktop_config.json",
            "vscode": "AppData/Roaming/Code/User/mcp.json",
            "goose": "AppData/Roaming/Block/goose/config/config.yaml",
        }
    )


def test_what_a_client_lets_be_moved_is_looked_for_there() -> None:
    moved = {"XDG_CONFIG_HOME": "/x", "CLAUDE_CONFIG_DIR": "/c", "CODEX_HOME": "/o", "GEMINI_CLI_HOME": "/g"}
    at = Surroundings(system="linux", home=HOME, variables=moved)
    found = {client.id: str(client.file(at)) for client in CLIENTS.values() if not client.file(at).is_relative_to(HOME)}
    assert found == snapshot(
        {
            "claude-desktop": "/x/Claude/claude_desktop_config.json",
            "claude-code": "/c/.claude.json",
            "vscode": "/x/Code/User/mcp.json",
            "codex": "/o/config.toml",
            "gemini-cli": "/g/.gemini/settings.json",
            "goose": "/x/goose/config.yaml",
        }
    )


def test_a_packaged_claude_desktop_on_windows_reads_its_own_folder(tmp_path: Path) -> None:
    local = tmp_path / "Local"
    at = Surroundings(system="win32", home=tmp_path, variables={"LOCALAPPDATA": str(local)})
    file = CLIENTS["claude-desktop"].file
    first, second = (local / "Packages" / f"Claude_{name}" / "LocalCache" / "Roaming" for name in ("aaa", "bbb"))
    assert file(at) == tmp_path / "AppData" / "Roaming" / "Claude" / "claude_desktop_config.json"
    first.mkdir(parents=True)
    second.mkdir(parents=True)
    assert file(at) == first / "Claude" / "claude_desktop_config.json"
    (second / "Claude").mkdir()
    (second / "Claude" / "claude_desktop_config.json").write_text("{}")
    assert file(at) == second / "Claude" / "claude_desktop_config.json"


def test_the_command_is_this_environments_own_program_by_its_whole_path(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    without = launch({}, (), python)
    assert (without.command, without.arguments) == (str(python), ("-m", "kontext_server", "serve"))
    (tmp_path / "bin" / "kontext").touch()
    within = launch({}, (), python)
    assert (within.command, within.arguments) == (str(tmp_path / "bin" / "kontext"), ("serve",))


def test_settings_are_passed_on_as_they_are_and_keys_by_name() -> None:
    found = launch(
        {
            "CORE_TODAY_API_KEY": "sk-secret",
            "FAL_KEY": "k",
            "BFL_API_KEY": "",
            "REPLICATE_API_TOKEN_FILE": "~/token",
            "KONTEXT_SECRET_KEY": "s",
            "KONTEXT_DATA_DIR": "/data",
            "KONTEXT_PROXY": "http://jo:pw@proxy.test:1",
            "KONTEXT_MODEL": "kontext-max",
            "KONTEXT_NONSENSE": "x",
            "XDG_DATA_HOME": "/xdg",
            "PATH": "/bin",
        },
        {"FAL_KEY"},
        Path("/usr/bin/python3"),
    )
    assert found.secret == ("CORE_TODAY_API_KEY", "KONTEXT_PROXY", "KONTEXT_SECRET_KEY")
    assert dict(found.plain) == {
        "REPLICATE_API_TOKEN_FILE": str(Path.home() / "token"),
        "KONTEXT_MODEL": "kontext-max",
        "KONTEXT_DATA_DIR": "/data",
        "XDG_DATA_HOME": "/xdg",
    }


def test_a_proxy_without_a_password_and_a_key_that_the_file_names_are_no_secrets_to_pass_on() -> None:
    variables = {"KONTEXT_PROXY": "http://proxy.test:1", "FAL_KEY": "k"}
    found = launch(variables, {"FAL_KEY_FILE"}, Path("/usr/bin/python3"))
    assert (found.secret, dict(found.plain)) == ((), {"KONTEXT_PROXY": "http://proxy.test:1"})


@pytest.mark.parametrize(
    ("entry", "ours"),
    [
        ({"command": "/home/ada/venv/bin/kontext", "args": ["serve"]}, True),
        ({"command": "kontext-tool-server"}, True),
        ({"command": "C:\\tools\\Scripts\\kontext.exe", "args": []}, True),
        ({"command": "/usr/bin/python3", "args": ["-m", "kontext_server", "serve"]}, True),
        ({"command": "uvx", "args": ["--from", "kontext-tool-server", "kontext", "serve"]}, True),
        ({"command": "uvx", "args": ["kontext-tool-server@1.2"]}, True),
        ({"command": "/home/ada/kontext/other"}, False),
        ({"command": "npx", "args": ["kontext"]}, False),
        ({"url": "https://kontext.test/mcp"}, False),
        ({"command": ["kontext"]}, False),
        ({"command": "kontext", "args": "serve"}, False),
        ("kontext", False),
        (None, False),
    ],
)
def test_an_entry_is_ours_by_what_it_starts(entry: object, ours: bool) -> None:
    assert is_ours(entry) is ours


@pytest.mark.parametrize(
    ("command", "vanishes"),
    [
        ("/home/jo/.cache/uv/archive-v0/x7/bin/kontext", True),
        ("C:\\Users\\jo\\AppData\\Local\\uv\\cache\\environments-v2\\k\\Scripts\\kontext.exe", True),
        ("/home/jo/.local/share/uv/tools/kontext-tool-server/bin/kontext", False),
        ("/home/jo/.local/pipx/venvs/kontext-tool-server/bin/kontext", False),
    ],
)
def test_a_program_in_uvs_cache_may_vanish(command: str, vanishes: bool) -> None:
    assert may_vanish(command) is vanishes
