"""`kontext install`: this server put into a client's configuration, as that client's makers would have it done.

What this is: the command around `clients`. What it is not: a way to hand a key over: none is read out of the
environment, shown or written. Above: cli. Below: clients, client_words.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from kontext_server.cli import COMMANDS
from kontext_server.clients.table import CLIENTS, NAME

if TYPE_CHECKING:
    from kontext_server.clients.edits import Told
    from kontext_server.clients.entry import Launch
    from kontext_server.clients.places import Surroundings
    from kontext_server.clients.table import Client
    from kontext_server.settings import Settings

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What every one of the clients takes; Codex and Claude Code refuse the rest."""


def named(ctx: click.Context, parameter: click.Parameter, value: str) -> str:  # noqa: ARG001  # click's signature
    """Give a name that every client takes, or refuse it."""
    if not _NAME.fullmatch(value):
        raise click.BadParameter("takes up to 64 letters, digits, _ and -")
    return value


@click.command("install", short_help=COMMANDS["install"])
@click.argument("client_id", metavar="CLIENT", type=click.Choice(list(CLIENTS)))
@click.option("--name", default=NAME, show_default=True, callback=named, help="What it is called there.")
@click.option("--force", is_flag=True, help="Replace an entry of that name that starts something else.")
@click.option("--print", "show", is_flag=True, help="Only show what to paste, run or open.")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_context
def command(
    ctx: click.Context, client_id: str, name: str, *, force: bool, show: bool, dry_run: bool, as_json: bool
) -> None:
    """Tell CLIENT of this server: claude-desktop, claude-code, cursor, vscode, codex, gemini-cli, windsurf or goose.

    Its file keeps every other byte, and a copy of it is kept beside it. Claude Code and Codex are told by their own
    command. No key is written: docs/clients.md says how each comes by it.
    """
    from kontext_server.cli import client_words
    from kontext_server.cli.exits import DONE
    from kontext_server.clients.entry import launch, this_python
    from kontext_server.clients.places import Surroundings
    from kontext_server.clients.work import told_of
    from kontext_server.setting_sources import names_in_file

    if show and dry_run:
        raise click.UsageError("Write --print or --dry-run, not both.")
    client, at = CLIENTS[client_id], Surroundings.here()

    def work(settings: Settings) -> int:
        start = launch(os.environ, names_in_file(), this_python())
        told = told_of(client, name, start)
        notes = client_words.notes_on(client, start, settings)
        if show or client.told == "paste":
            only_shown = show or dry_run
            status = "shown" if only_shown else client_words.BY_HAND
            _show(client, told, start, at, notes, status=status, as_json=as_json)
            return DONE if only_shown else _by_hand()
        if client.told == "file":
            return _write(client, told, at, notes, force=force, dry_run=dry_run, as_json=as_json)
        return _run(client, told, at, notes, force=force, dry_run=dry_run, as_json=as_json)

    ctx.exit(client_words.guarded(work, as_json=as_json))


def _show(
    client: Client,
    told: Told,
    start: Launch,
    at: Surroundings,
    notes: Sequence[str],
    *,
    status: str,
    as_json: bool,
) -> None:
    """Print what to paste, run or open; each goes to stdout, what it is to stderr."""
    from kontext_server.cli import talk
    from kontext_server.clients import shown

    offered = {
        "snippet": (shown.snippet(client, told, start.secret), f"Put this into {client.file(at)}:"),
        "command": (shown.command_line(client, told), "Run this:"),
        "link": (shown.link(client, told), "Open this link:"),
    }
    if as_json:
        texts = {kind: text for kind, (text, _) in offered.items() if text is not None}
        fields = {"client": client.id, "name": told.name, "status": status, "path": str(client.file(at))}
        talk.answer_json({**fields, **texts, "notes": list(notes)})
        return
    beginning = ""
    for text, words in offered.values():
        if text is not None:
            talk.say(beginning + words)
            click.echo(text)
            beginning = "Or: "
    for note in notes:
        talk.say(note)


def _by_hand() -> int:
    """Say that nothing was installed yet; a script must not take it for done."""
    from kontext_server.cli import talk
    from kontext_server.cli.exits import FAILED

    talk.say("Nothing was changed: that is left to you.")
    return FAILED


def _write(
    client: Client, told: Told, at: Surroundings, notes: list[str], *, force: bool, dry_run: bool, as_json: bool
) -> int:
    from kontext_server.cli import client_words
    from kontext_server.clients import work

    plan = work.planned_install(client, told, at, force=force)
    return client_words.write(client, told.name, plan, notes=notes, dry_run=dry_run, as_json=as_json)


def _run(
    client: Client, told: Told, at: Surroundings, notes: list[str], *, force: bool, dry_run: bool, as_json: bool
) -> int:
    from kontext_server.cli import client_words
    from kontext_server.clients import commands

    run = commands.planned_install(client, told, at, force=force)
    return client_words.run(client, told.name, run, at, notes=notes, dry_run=dry_run, as_json=as_json)
