"""Clients that are told by a command of their own: Claude Code and Codex.

What this is: their program found and run. Their file is theirs: they keep its backups, and rewrite it while they run.
So it is only read here, for what is in it already. What it is not: which words those are (`shown`). Above: cli. Below:
work, looking, shown.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kontext_server.clients import files, looking, shown
from kontext_server.clients.edits import Told
from kontext_server.clients.places import Surroundings
from kontext_server.clients.refused import Refused
from kontext_server.clients.table import Client
from kontext_server.clients.work import Status, check_ours, decided
from kontext_tools.quoting import quoted

PATIENCE_S = 60
"""They answer within a second (tried); a first start may update itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What would be done about our entry, and the commands that do it, in their order."""

    status: Status
    commands: Sequence[Sequence[str]]


def planned_install(client: Client, told: Told, at: Surroundings, *, force: bool) -> Run:
    """Give the commands that put our entry in.

    Raises:
        Refused: the client's file cannot be parsed; an entry of that name starts something else and nobody said
            `--force`; or the older one holds what its command would lose.
    """
    old = looking.servers(client, files.read(client.file(at))).get(told.name)
    status, merged = decided(client, told, old, force=force)
    add, remove = shown.add_command(client, told), shown.remove_command(client, told.name)
    if add is None or remove is None or status == "already":
        return Run(status=status, commands=[])
    if status == "updated" and not _same(merged, told.entry):
        # A key that the person wrote there would come to stand on a command line.
        fix = f"Change its command to {told.entry['command']} by hand, in {client.file(at)}."
        raise Refused(f"{client.title}'s entry {told.name!r} holds more than this command would write.", fix=fix)
    return Run(status=status, commands=[add] if old is None else [remove, add])


def planned_uninstall(client: Client, name: str, at: Surroundings) -> Run:
    """Give the commands that take our entry out. Raises Refused as `planned_install` does."""
    entry = looking.servers(client, files.read(client.file(at))).get(name)
    remove = shown.remove_command(client, name)
    if entry is None or remove is None:
        return Run(status="absent", commands=[])
    check_ours(client, name, entry)
    return Run(status="removed", commands=[remove])


def can_run(commands: Sequence[Sequence[str]], at: Surroundings) -> bool:
    """Whether the client's program is on the PATH; one that is a script of cmd.exe takes no JSON as an argument."""
    program = shutil.which(commands[0][0], path=at.variables.get("PATH")) if commands else None
    return program is not None and not program.lower().endswith((".cmd", ".bat"))


def run(commands: Sequence[Sequence[str]], at: Surroundings) -> None:
    """Run the commands. Raises Refused where one fails; what it said is told."""
    for done, words in enumerate(commands):
        program = shutil.which(words[0], path=at.variables.get("PATH")) or words[0]
        try:
            ended = subprocess.run(  # noqa: S603  # the client's own program, with our own words
                [program, *words[1:]],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PATIENCE_S,
                check=False,
                env=dict(at.variables),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            why = f"{words[0]} did not run ({type(error).__name__})."
            raise Refused(why, fix=_by_hand(words), untouched=not done) from None
        if ended.returncode:
            said = (ended.stderr or ended.stdout).decode("utf-8", "replace")
            raise Refused(f"{words[0]} refused: {quoted(said)}.", fix=_by_hand(words), untouched=not done)


def _same(merged: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    """Whether what is kept of an older entry is only what we would write; clients add their `type` themselves."""
    return {**merged, "type": None} == {**ours, "type": None}


def _by_hand(words: Sequence[str]) -> str:
    return f"Try it yourself:  {shown.joined(words)}"
