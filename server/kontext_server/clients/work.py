"""What an install or an uninstall would change, as a plan; and the plan carried out on the client's file.

What this is: whose an entry is, what is kept of an older one of ours, when a backup is made. What it is not: the
client's own commands (`commands`), or words for the person (cli). Above: cli, commands. Below: edits, files,
looking, entry.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from kontext_server.clients import edits, files, looking, splice
from kontext_server.clients.edits import Told
from kontext_server.clients.entry import Launch, is_ours, is_secret
from kontext_server.clients.json_text import NotPlainJson
from kontext_server.clients.places import Surroundings
from kontext_server.clients.refused import Refused
from kontext_server.clients.table import Client
from kontext_server.setting_sources import known_names
from kontext_server.settings import Settings

Status = Literal["added", "updated", "replaced", "already", "removed", "absent"]
UNCHANGED: tuple[Status, ...] = ("already", "absent")

_SECRET = re.compile(r'("[^"]*(?:KEY|TOKEN|SECRET|PASSWORD|AUTHORIZATION)[^"]*"\s*:\s*")([^"$][^"]*)"', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would become of a client's file.

    Attributes:
        status: what is done to our entry.
        kept: the file as it was read.
        data: its bytes afterwards; `None` where it is taken away.
        backed_up: whether its present bytes are kept beside it first.
    """

    status: Status
    kept: files.Kept
    data: bytes | None
    backed_up: bool = False

    def diff(self) -> str:
        """Give what changes, as a unified diff; what looks like a key is not shown, whoever's it is."""
        before, after = (data or b"" for data in (self.kept.data, self.data))
        lines = difflib.unified_diff(
            before.decode("utf-8", "replace").splitlines(),
            after.decode("utf-8", "replace").splitlines(),
            fromfile=str(self.kept.path),
            tofile=str(self.kept.path) if self.data is not None else "(no file)",
            lineterm="",
        )
        return "\n".join(_SECRET.sub(r'\1…"', line) for line in lines)


def told_of(client: Client, name: str, launch: Launch) -> Told:
    """Give what a client's file shall say of us."""
    env = dict(launch.plain)
    inputs: list[dict[str, Any]] = []
    for variable in launch.secret if client.reference else ():
        shown = variable
        if client.asks:
            shown = input_id(name, variable)
            inputs.append({"type": "promptString", "id": shown, "description": variable, "password": True})
        env[variable] = client.reference.replace("NAME", shown)
    fields = {"command": launch.command, "args": list(launch.arguments)} | ({"env": env} if env else {})
    return Told(holder=client.holder, name=name, entry=fields | dict(client.extra), inputs=inputs)


def input_id(name: str, variable: str) -> str:
    """Give the id under which VS Code keeps what it asked the person for.

    >>> input_id("kontext", "CORE_TODAY_API_KEY")
    'kontext-core-today-api-key'
    """
    return f"{name}-{variable.lower().replace('_', '-')}"


def decided(client: Client, told: Told, old: Any, *, force: bool) -> tuple[Status, dict[str, Any]]:
    """Give what is done about an entry of that name, and the entry afterwards.

    Of an older one of ours what we say nothing of is kept, and so is a key that the person put there.

    Raises:
        Refused: an entry of that name starts something else, and nobody said `--force`.
    """
    new = dict(told.entry)
    if old is None:
        return "added", new
    if not is_ours(old):
        if force:
            return "replaced", new
        fix = "Choose another name with --name, or add --force to replace it."
        raise Refused(f"{client.title} has an entry {told.name!r} that starts something else.", fix=fix)
    entry = cast("dict[str, Any]", old)
    kept = entry.get("env")
    env = cast("dict[str, Any]", kept) if isinstance(kept, dict) else {}
    ours: dict[str, Any] = new.get("env", {})
    secrets = {name: value for name, value in env.items() if is_secret(name, str(value))}
    merged = entry | new | ({"env": env | ours | secrets} if env or ours else {})
    return ("already" if merged == entry else "updated"), merged


def planned_install(client: Client, told: Told, at: Surroundings, *, force: bool) -> Plan:
    """Give what an install would change of a file that we write. Raises Refused."""
    kept = files.read(client.file(at))
    servers = looking.servers(client, kept)
    status, entry = decided(client, told, servers.get(told.name), force=force)
    if status == "already":
        return Plan(status=status, kept=kept, data=kept.data)
    wanted = Told(holder=told.holder, name=told.name, entry=entry, inputs=told.inputs)
    try:
        data = kept.encoded(edits.with_told(kept.text(), wanted))
    except (splice.WrongShape, ValueError) as wrong:
        raise looking.cannot_be_parsed(kept.path, str(wrong)) from None
    # A backup is of what the person had: once our entry is in the file, the one from before is the better.
    untouched = not any(is_ours(one) for one in servers.values()) or files.newest_backup(kept.path) is None
    return Plan(status=status, kept=kept, data=data, backed_up=kept.data is not None and untouched)


def planned_uninstall(client: Client, name: str, at: Surroundings) -> Plan:
    """Give what an uninstall would change of a file that we write.

    Raises:
        Refused: the file cannot be parsed, or the entry of that name starts something else.
    """
    kept = files.read(client.file(at))
    entry = looking.servers(client, kept).get(name)
    if entry is None:
        return Plan(status="absent", kept=kept, data=kept.data)
    check_ours(client, name, entry)
    input_ids = [input_id(name, variable) for variable in known_names(Settings)] if client.asks else []
    backup = files.newest_backup(kept.path)
    before = None if backup is None else _text_of(backup)
    text = edits.without_told(kept.text(), client.holder, name, input_ids, before)
    return Plan(status="removed", kept=kept, data=None if text is None else kept.encoded(text))


def check_ours(client: Client, name: str, entry: Mapping[str, Any]) -> None:
    """Refuse to take out what starts something else. Raises Refused."""
    if not is_ours(entry):
        raise Refused(f"{client.title}'s entry {name!r} starts something else.", fix="Take it out by hand.")


def carry_out(plan: Plan) -> Path | None:
    """Do what a plan says; give the backup's path where one was made. Raises Refused."""
    backup = files.back_up(plan.kept) if plan.backed_up else None
    files.write(plan.kept, plan.data)
    return backup


def _text_of(backup: Path) -> str | None:
    try:
        text = files.read(backup).text()
        edits.entries(text, "")
        return text
    except (Refused, NotPlainJson):
        return None
