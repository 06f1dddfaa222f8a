"""What `--print` shows: the entry to paste, the client's own command, the link that puts it in when it is opened.

What this is: text in each client's own form. What it is not: done (`work`, `commands`). Above: cli, commands. Below:
table, edits.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from kontext_server.clients.edits import INPUTS, Told
from kontext_server.clients.table import Client

GOOSE_TIMEOUT_S = 300
"""As goose's own extensions have it (config-files.md, 2026-11); an edit is waited for 25 s unless a model says more."""


def snippet(client: Client, told: Told, secret: Sequence[str]) -> str | None:
    """Give what a person pastes into the client's file; `None` where its command is the way."""
    if client.form == "json" and client.told == "file":
        fields: dict[str, Any] = {told.holder: {told.name: dict(told.entry)}}
        if told.inputs:
            fields[INPUTS] = [dict(wanted) for wanted in told.inputs]
        return json.dumps(fields, indent=2, ensure_ascii=False)
    return _yaml(told, secret) if client.form == "yaml" else None


def link(client: Client, told: Told) -> str | None:
    """Give the link that puts the entry in; `None` where the client has none.

    Cursor: cursor.com/docs/mcp/install-links, as of 2026-10. VS Code: its URL handler takes what `--add-mcp` takes
    (microsoft/vscode-docs#8168, 2025-03-24), `inputs` too (its `McpManagementCli` and `McpWorkbenchService`, 2026).
    goose's `goose://extension?cmd=…` installs only npx, uvx, docker and their like (its `deeplink.ts`, 2026).
    """
    if client.id == "cursor":
        config = base64.b64encode(_compact(dict(told.entry)).encode()).decode()
        return f"cursor://anysphere.cursor-deeplink/mcp/install?name={quote(told.name, safe='')}&config={_part(config)}"
    if client.id == "vscode":
        return f"vscode:mcp/install?{_part(_compact(_vscode(told)))}"
    return None


def command_line(client: Client, told: Told) -> str | None:
    """Give the client's own command that puts the entry in, as a shell takes it; `None` where it has none."""
    words = add_command(client, told)
    return None if words is None else joined(words)


def add_command(client: Client, told: Told) -> list[str] | None:
    """Give that command's words: `claude` 2.1.112 and 2.1.197 and `codex` 0.169.0 were tried with them."""
    if client.id == "claude-code":
        return ["claude", "mcp", "add-json", "--scope", "user", told.name, _compact(dict(told.entry))]
    if client.id == "codex":
        env = [word for item in told.entry.get("env", {}).items() for word in ("--env", "=".join(item))]
        return ["codex", "mcp", "add", told.name, *env, "--", told.entry["command"], *told.entry["args"]]
    if client.id == "vscode":
        return ["code", "--add-mcp", _compact(_vscode(told))]
    return None


def remove_command(client: Client, name: str) -> list[str] | None:
    """Give the words of the client's own command that takes the entry out; `None` where it has none."""
    if client.id == "claude-code":
        return ["claude", "mcp", "remove", "--scope", "user", name]
    return ["codex", "mcp", "remove", name] if client.id == "codex" else None


def joined(words: Sequence[str]) -> str:
    """Write a command as this system's shell takes it."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _vscode(told: Told) -> dict[str, Any]:
    inputs = {INPUTS: [dict(wanted) for wanted in told.inputs]} if told.inputs else {}
    return {"name": told.name, **told.entry, **inputs}


def _yaml(told: Told, secret: Sequence[str]) -> str:
    """Write goose's extension; each value as JSON, which YAML 1.2 reads as the same."""
    fields: dict[str, Any] = {
        "enabled": True,
        "type": "stdio",
        "name": told.name,
        "description": "Edit pictures by words with FLUX.1 Kontext",
        "cmd": told.entry["command"],
        "args": told.entry["args"],
        "envs": told.entry.get("env", {}),
        "env_keys": list(secret),
        "timeout": GOOSE_TIMEOUT_S,
    }
    lines = [f"    {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items()]
    return "\n".join([f"{told.holder}:", f"  {told.name}:", *lines])


def _compact(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _part(text: str) -> str:
    """Escape as JavaScript's encodeURIComponent does."""
    return quote(text, safe="!~*'()")
