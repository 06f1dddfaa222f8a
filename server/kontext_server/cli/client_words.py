"""What a person is told of a client and of us in it: where, what is kept beside, the next step, how its keys come.

What this is: what `install` and `uninstall` print, as text or as JSON, and the exit code. What it is not: the work
(`clients`). Above: install, uninstall. Below: talk, clients, settings.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kontext_server.cli import talk
from kontext_server.cli.exits import DONE, FAILED
from kontext_server.clients import commands, shown, work
from kontext_server.clients.entry import Launch, may_vanish
from kontext_server.clients.places import Surroundings
from kontext_server.clients.refused import Refused
from kontext_server.clients.table import Client
from kontext_server.setting_sources import SettingError, config_file
from kontext_server.settings import Settings, load
from kontext_tools.errors import NotConfigured

BY_HAND = "by_hand"
"""The status in JSON where nothing was done, and what is left to the person is told."""

DONE_WORDS: dict[work.Status, str] = {
    "added": "{name} was added to {title}.",
    "updated": "{name} was in {title} already, and now starts this kontext.",
    "replaced": "{name} in {title} was replaced by this kontext.",
    "already": "{name} is in {title} already, just so. Nothing was changed.",
    "removed": "{name} was taken out of {title}.",
    "absent": "{name} is not in {title}. Nothing was changed.",
}


def guarded(doing: Callable[[Settings], int], *, as_json: bool) -> int:
    """Do something under the settings; tell a wrong one, or why a file was left as it is; give the exit code."""
    try:
        return doing(load())
    except SettingError as wrong:
        fix = "Correct that setting, in the environment or in kontext.toml, and run the command again."
        return talk.tell_failure(NotConfigured(f"{wrong}.", fix=fix).failure, as_json=as_json)
    except Refused as refused:
        talk.say(f"{refused}{' Nothing was changed.' if refused.untouched else ''}\nFix: {refused.fix}")
        if as_json:
            talk.answer_json({"status": "refused", "why": str(refused), "fix": refused.fix})
        return FAILED


def write(client: Client, name: str, plan: work.Plan, *, notes: list[str], dry_run: bool, as_json: bool) -> int:
    """Carry a plan out on the client's file and tell it; or show its diff."""
    if dry_run:
        return _show(client, name, plan.status, "diff", plan.diff(), as_json=as_json)
    backup = None if plan.status in work.UNCHANGED else work.carry_out(plan)
    return _tell(client, name, plan.status, plan.kept.path, backup=backup, notes=notes, as_json=as_json)


def run(
    client: Client,
    name: str,
    planned: commands.Run,
    at: Surroundings,
    *,
    notes: list[str],
    dry_run: bool,
    as_json: bool,
) -> int:
    """Run the client's own commands and tell it; or show them, where its program is not on the PATH."""
    lines = "\n".join(shown.joined(words) for words in planned.commands)
    possible = not planned.commands or commands.can_run(planned.commands, at)
    if dry_run:
        return _show(client, name, planned.status, "command", lines, as_json=as_json)
    if not possible:
        _show(client, name, BY_HAND, "command", lines, as_json=as_json)
        talk.say(f"Nothing was changed: {planned.commands[0][0]} is not on the PATH here. Run that where it is.")
        return FAILED
    commands.run(planned.commands, at)
    return _tell(client, name, planned.status, client.file(at), backup=None, notes=notes, as_json=as_json)


def _show(client: Client, name: str, status: str, kind: str, text: str, *, as_json: bool) -> int:
    if as_json:
        talk.answer_json({"client": client.id, "name": name, "status": status, kind: text})
    elif text:
        talk.answer(text)
    return DONE


def _tell(
    client: Client, name: str, status: work.Status, path: Path, *, backup: Path | None, notes: list[str], as_json: bool
) -> int:
    """Tell what was done; the file's path goes to stdout."""
    after = "" if status in work.UNCHANGED else client.after
    if status == "removed":
        after = f"{client.title} forgets it at its next start."
    if as_json:
        fields: dict[str, Any] = {"client": client.id, "name": name, "status": status, "path": str(path)}
        fields |= {"backup": None if backup is None else str(backup), "notes": notes, "next": after}
        talk.answer_json(fields)
        return DONE
    talk.answer_path(path)
    talk.say(DONE_WORDS[status].format(name=name, title=client.title))
    if backup is not None:
        talk.say(f"As it was before: {backup}")
    for line in [*notes, after]:
        if line:
            talk.say(line)
    return DONE


def notes_on(client: Client, launch: Launch, settings: Settings) -> list[str]:
    """Give what a person should know of the entry: its keys, what is passed on, a program that may vanish."""
    notes: list[str] = []
    if launch.secret:
        notes.append(client.keys.replace("VARIABLES", ", ".join(launch.secret)).replace("FILE", str(config_file()), 1))
    elif not settings.secrets:
        notes.append(f"No provider's key is set, so the sandbox serves. A key belongs into {config_file()}.")
    if launch.plain:
        notes.append(f"Passed on from this environment: {', '.join(launch.plain)}.")
    if may_vanish(launch.command):
        notes.append("This kontext lies in uv's cache, which may be emptied: uv tool install makes one that stays.")
    return notes
