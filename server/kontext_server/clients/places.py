"""Where each client's file lies, by platform.

What this is: paths from names, and where two are possible, which one is there. What it is not: what a file holds.
Above: table. Below: the standard library.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """A person's machine: the system as `sys.platform` names it, their home folder, the environment's variables."""

    system: str
    home: Path
    variables: Mapping[str, str]

    @classmethod
    def here(cls) -> Surroundings:
        """Give this machine's."""
        return cls(system=sys.platform, home=Path.home(), variables=os.environ)

    def folder(self, variable: str, default: Path) -> Path:
        """Give the folder that a variable names, or the default where it is not set."""
        named = self.variables.get(variable)
        return Path(named).expanduser() if named else default

    @property
    def programs_data(self) -> Path:
        """Where Electron keeps what is a program's (`appData`, electronjs.org, api/app, `app.getPath`, 2026-11)."""
        if self.system == "darwin":
            return self.home / "Library" / "Application Support"
        if self.system == "win32":
            return self.folder("APPDATA", self.home / "AppData" / "Roaming")
        return self.folder("XDG_CONFIG_HOME", self.home / ".config")


def claude_desktop(at: Surroundings) -> Path:
    """Give Claude Desktop's file.

    modelcontextprotocol.io, "Connect to local MCP servers", names macOS and Windows; Linux by the same rule of
    Electron's. Since February 2026 the Windows installer is an MSIX package, which reads a folder of its own instead
    (anthropics/claude-code#26073, of 2026-02-16, open; #57998, comment of 2026-09-02).
    """
    name = Path("Claude") / "claude_desktop_config.json"
    if at.system == "win32":
        local = at.folder("LOCALAPPDATA", at.home / "AppData" / "Local")
        packaged = sorted((local / "Packages").glob("Claude_*/LocalCache/Roaming"))
        if packaged:
            return next((folder / name for folder in packaged if (folder / name).is_file()), packaged[0] / name)
    return at.programs_data / name


def vscode(at: Surroundings) -> Path:
    """Give VS Code's file of the user's default profile.

    microsoft/vscode-docs, copilot/reference/mcp-configuration.md (approved 2026-05-20): `mcp.json` in the user profile;
    configure/settings.md: where that folder is on each system.
    """
    return at.programs_data / "Code" / "User" / "mcp.json"


def cursor(at: Surroundings) -> Path:
    """Give Cursor's global file (cursor.com/docs/mcp, "Configuration locations", as of 2026-10)."""
    return at.home / ".cursor" / "mcp.json"


def windsurf(at: Surroundings) -> Path:
    """Give Windsurf's file (docs.windsurf.com/windsurf/cascade/mcp, "mcp_config.json", as of 2026-06)."""
    return at.home / ".codeium" / "windsurf" / "mcp_config.json"


def gemini_cli(at: Surroundings) -> Path:
    """Give Gemini CLI's user settings (google-gemini/gemini-cli, docs/tools/mcp-server.md; its `homedir()`, 2026)."""
    return at.folder("GEMINI_CLI_HOME", at.home) / ".gemini" / "settings.json"


def claude_code(at: Surroundings) -> Path:
    """Give where `claude mcp add --scope user` writes; tried with versions 2.1.112 and 2.1.197."""
    return at.folder("CLAUDE_CONFIG_DIR", at.home) / ".claude.json"


def codex(at: Surroundings) -> Path:
    """Give where `codex mcp add` writes; tried with version 0.169.0."""
    return at.folder("CODEX_HOME", at.home / ".codex") / "config.toml"


def goose(at: Surroundings) -> Path:
    """Give goose's file (aaif-goose/goose, documentation/docs/guides/config-files.md, as of 2026-11)."""
    if at.system == "win32":
        return at.programs_data / "Block" / "goose" / "config" / "config.yaml"
    return at.folder("XDG_CONFIG_HOME", at.home / ".config") / "goose" / "config.yaml"
