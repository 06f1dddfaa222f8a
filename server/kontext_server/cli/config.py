"""`kontext config show`: the settings as they are in force, and where each comes from.

What this is: one table; of a secret it tells that it is set. What it is not: a check (`doctor`), or anything that
writes. Above: cli. Below: session, tables, talk, settings.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import click

from kontext_server.cli import COMMANDS

if TYPE_CHECKING:
    from kontext_server.settings import Settings

HEADER = ("VARIABLE", "VALUE", "FROM")
SET = "(set)"


@click.group("config", short_help=COMMANDS["config"])
def command() -> None:
    """Show the settings as they are in force."""


@command.command("show")
@click.option("--all", "everything", is_flag=True, help="Also those that are as they come.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_context
def show(ctx: click.Context, *, everything: bool, as_json: bool) -> None:
    """Show what is set, by the environment or kontext.toml. Keys are not shown."""
    from kontext_server.cli import session, tables, talk
    from kontext_server.cli.exits import DONE
    from kontext_server.setting_sources import config_file
    from kontext_server.settings import origins

    def work(settings: Settings) -> int:
        sources = origins()
        names = [name for name in type(settings).model_fields if everything or as_json or name in sources]
        rows = [
            {
                "variable": name.upper(),
                "value": _masked(name, getattr(settings, name)),
                "from": sources.get(name, "default"),
            }
            for name in names
        ]
        if as_json:
            talk.answer_json({"file": str(config_file()), "settings": rows})
            return DONE
        if rows:
            tables.show(HEADER, [tuple(map(talk.clean, row.values())) for row in rows], wraps=("VALUE",))
        else:
            talk.say("Nothing is set: all is as it comes, and the sandbox serves.")
        file = config_file()
        talk.say(f"{'Also read' if file.is_file() else 'Would also be read'}: {file}")
        return DONE

    ctx.exit(session.settled(work, as_json=as_json, data=False))


def _masked(name: str, value: Any) -> str:
    """Give a setting's value as a person would write it; of a secret, whether there is one."""
    from kontext_server.setting_sources import is_key

    if is_key(name):
        return SET if value else ""
    if isinstance(value, str) and urlsplit(value).password is not None:
        parts = urlsplit(value)
        return parts._replace(netloc=f"{SET}@{parts.netloc.rpartition('@')[2]}").geturl()
    return _written(value)


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return ", ".join(f"{amount} {unit}" for unit, amount in cast("Mapping[Any, Any]", value).items())
    if isinstance(value, list):
        return os.pathsep.join(map(str, cast("list[Path]", value)))
    if isinstance(value, tuple):
        return ", ".join(cast("tuple[str, ...]", value)) or "auto"
    return str(value)
