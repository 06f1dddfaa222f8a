"""`kontext uninstall`: this server taken out of a client's configuration, which is then as it was.

What this is: the command around `clients`. What it is not: a way to take another's entry out, or our data. Above: cli.
Below: clients, client_words, install (what a name may be).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kontext_server.cli import COMMANDS
from kontext_server.cli.install import named
from kontext_server.clients.table import CLIENTS, NAME

if TYPE_CHECKING:
    from kontext_server.settings import Settings


@click.command("uninstall", short_help=COMMANDS["uninstall"])
@click.argument("client_id", metavar="CLIENT", type=click.Choice(list(CLIENTS)))
@click.option("--name", default=NAME, show_default=True, callback=named, help="What it is called there.")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_context
def command(ctx: click.Context, client_id: str, name: str, *, dry_run: bool, as_json: bool) -> None:
    """Take this server out of CLIENT: its file is then as it was, byte for byte, but for what others changed since.

    Pictures and jobs stay. A copy that `install` kept beside the file stays too.
    """
    from kontext_server.cli import client_words, talk
    from kontext_server.cli.exits import FAILED
    from kontext_server.clients import commands, work
    from kontext_server.clients.places import Surroundings

    client, at = CLIENTS[client_id], Surroundings.here()

    def doing(settings: Settings) -> int:  # noqa: ARG001  # read so that a wrong one is told the same everywhere
        if client.told == "file":
            plan = work.planned_uninstall(client, name, at)
            return client_words.write(client, name, plan, notes=[], dry_run=dry_run, as_json=as_json)
        if client.told == "command":
            run = commands.planned_uninstall(client, name, at)
            return client_words.run(client, name, run, at, notes=[], dry_run=dry_run, as_json=as_json)
        talk.say(f"Nothing was changed: take {name} out of {client.holder} in {client.file(at)} by hand.")
        if as_json:
            talk.answer_json(
                {"client": client.id, "name": name, "status": client_words.BY_HAND, "path": str(client.file(at))}
            )
        return FAILED

    ctx.exit(client_words.guarded(doing, as_json=as_json))
