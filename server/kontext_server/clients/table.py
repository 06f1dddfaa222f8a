"""The eight clients as data: where each keeps its servers, how it is told, how it refers to a key.

What this is: facts, each with its source. What it is not: what is done with them (`work`, `shown`). Above: work, shown,
looking, cli. Below: places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from kontext_server.clients import places
from kontext_server.clients.places import Surroundings

NAME = "kontext"
"""What our entry is called unless a person names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One client.

    Attributes:
        id: as a person types it.
        title: as its makers write it.
        file: where it keeps its servers.
        form: what that file is.
        holder: the member of the file that holds all servers.
        told: by whom the file is changed: us, the client's own command, or the person.
        reference: how a value of its environment is referred to, with NAME for the variable's name; empty where none
            is documented.
        keys: what a person is told of keys that are set in this environment: VARIABLES are their names, FILE is
            `kontext.toml`.
        asks: whether `reference` names an input that the client asks the person for and keeps.
        extra: further members of an entry.
        after: what makes the client read its file again.
    """

    id: str
    title: str
    file: Callable[[Surroundings], Path]
    form: Literal["json", "toml", "yaml"] = "json"
    holder: str = "mcpServers"
    told: Literal["file", "command", "paste"] = "file"
    reference: str = ""
    keys: str
    asks: bool = False
    extra: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    after: str


GEMINI_TIMEOUT_MS = 600_000
"""Documented as the default; some releases have enforced 60 s where none was written (gemini-cli#7324)."""

_OWN_ENVIRONMENT = (
    "It takes VARIABLES from its own environment, which a start from a menu may lack; a key in FILE is always found."
)

_ALL = (
    Client(
        id="claude-desktop",
        title="Claude Desktop",
        file=places.claude_desktop,
        # modelcontextprotocol.io, "Connect to local MCP servers": `env` holds plain values; no reference is documented.
        keys="It refers to no variable: put VARIABLES into FILE, or name a file that holds the key by …_FILE.",
        after="Quit Claude Desktop (its window's cross does not) and start it again.",
    ),
    Client(
        id="claude-code",
        title="Claude Code",
        file=places.claude_code,
        told="command",
        # code.claude.com/docs/en/mcp, "Environment variable expansion", 2026-09-22. Tried with 2.1.197 in the user's
        # scope: it is kept as written, filled in at the start, and empty where the variable is not set.
        reference="${NAME:-}",
        extra=MappingProxyType({"type": "stdio"}),
        keys="It takes VARIABLES from the shell that it is started in.",
        after="Start a new session of claude, and see /mcp.",
    ),
    Client(
        id="cursor",
        title="Cursor",
        file=places.cursor,
        # cursor.com/docs/mcp, "Config interpolation": in command, args, env, url and headers.
        reference="${env:NAME}",
        keys=_OWN_ENVIRONMENT,
        after="Restart Cursor; the server is listed in its settings under MCP.",
    ),
    Client(
        id="vscode",
        title="VS Code",
        file=places.vscode,
        holder="servers",
        # microsoft/vscode-docs, copilot/reference/mcp-configuration.md, 2026-05-20: asked for at the first start, kept
        # encrypted.
        reference="${input:NAME}",
        asks=True,
        extra=MappingProxyType({"type": "stdio"}),
        keys="It asks for VARIABLES when it starts the server, and keeps them encrypted.",
        after='In VS Code run "MCP: List Servers" and start it; it asks whether you trust it.',
    ),
    Client(
        id="codex",
        title="Codex",
        file=places.codex,
        form="toml",
        holder="mcp_servers",
        told="command",
        # developers.openai.com/codex/mcp, 2026-05: a list `env_vars` in the file forwards variables; `codex mcp add`
        # (0.169.0, tried) has no option for it.
        keys="Its command forwards no variable: put VARIABLES into FILE, or list them as env_vars in its entry.",
        after="Start a new session of codex, and see /mcp.",
    ),
    Client(
        id="gemini-cli",
        title="Gemini CLI",
        file=places.gemini_cli,
        # google-gemini/gemini-cli, docs/tools/mcp-server.md: `$NAME` or `${NAME}` in env. Tried with 0.61.0: filled in
        # at the start, empty where not set; a key that is not named there does not reach a server at all.
        reference="$NAME",
        extra=MappingProxyType({"timeout": GEMINI_TIMEOUT_MS}),
        keys="It takes VARIABLES from the shell that it is started in.",
        after="Start a new session of gemini in a folder that it trusts, and see /mcp.",
    ),
    Client(
        id="windsurf",
        title="Windsurf",
        file=places.windsurf,
        # docs.windsurf.com/windsurf/cascade/mcp, "Config interpolation", 2026-06: in command, args, env and headers.
        reference="${env:NAME}",
        keys=_OWN_ENVIRONMENT,
        after="In Windsurf's Cascade panel press refresh under MCP servers, or restart it.",
    ),
    Client(
        id="goose",
        title="goose",
        file=places.goose,
        form="yaml",
        holder="extensions",
        told="paste",
        # config-files.md, 2026-11: `env_keys` names variables that goose takes from its keyring.
        keys="It takes VARIABLES from its keyring; goose configure puts them there.",
        after="Start a new session of goose.",
    ),
)

CLIENTS: Mapping[str, Client] = MappingProxyType({client.id: client for client in _ALL})
"""By id, in the order of the documents."""
