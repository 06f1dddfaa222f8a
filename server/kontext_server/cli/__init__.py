"""The command line: what a person types.

What this is: the group `kontext`, whose commands are each a module of their own, imported only when called. stdout is
data, stderr is talk. What it is not: the work (`kontext_tools.studio`) or the reading of arguments (`surface`), which a
model's calls share. Above: __main__. Below: one file for each command, of the same name.

Listing the commands imports none of them: their one line of help stands here.
"""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import click

from kontext_server import __version__
from kontext_server.cli.exits import INTERRUPTED

COMMANDS: Mapping[str, str] = {
    "edit": "Change a picture by words and print the result's path.",
    "generate": "Make a picture from words alone and print its path.",
    "plan": "Carry out several edits that a file describes.",
    "status": "Tell how a job stands, or wait for it.",
    "cancel": "Stop a job.",
    "images": "List the pictures made so far, newest first.",
    "jobs": "List the newest jobs; say what became of an unknown one.",
    "delete": "Delete jobs with their pictures.",
    "prune": "Delete the jobs that ended long ago.",
    "usage": "Tell what was spent, by day and provider.",
    "gallery": "Show past pictures in the browser.",
    "export": "Write a job's pictures, before and after, as one HTML file.",
    "demo": "Edit a photograph in three steps; no key, no network.",
    "install": "Tell an assistant's program of this server; --print only shows how.",
    "uninstall": "Take this server out of an assistant's program again.",
    "migrate": "Move jobs to PostgreSQL and pictures to S3, for many users.",
    "doctor": "Tell what is configured, what works, and how to mend the rest.",
    "serve": "Serve MCP over stdio, for an assistant; with --http, over HTTP.",
    "simulate": "Play the provider on this machine; nothing is charged.",
    "config": "Show the settings as they are in force.",
    "completion": "Print what teaches a shell to complete these commands.",
}
"""Every command's name and its line of help, in the order of the listing."""


class Commands(click.Group):
    """A group that knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Give the names, as the table orders them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # the same
        """Import a command's module and give its `command`."""
        if cmd_name not in COMMANDS:
            return None
        return importlib.import_module(f"kontext_server.cli.{cmd_name}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called; of an unknown one, name the nearest."""
        name = click.utils.make_str(args[0])
        if name not in COMMANDS and not name.startswith("-"):
            near = get_close_matches(name.lower(), COMMANDS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"No such command '{name}'.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # the same
        """Write the listing from the table."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; interrupted, or a question broken off, ends with 130."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            click.echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)


def _with_dashes(token: str) -> str:
    return token.replace("_", "-")


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        # A refusal names parameters as the tools do; `--num_images` is read as `--num-images`.
        "token_normalize_func": _with_dashes,
    },
    epilog="On a pipe, kontext alone serves MCP. Try it without a key: kontext demo",
)
@click.version_option(__version__, message="kontext %(version)s")
@click.pass_context
def command_line(ctx: click.Context) -> None:
    """Edit pictures by words with FLUX.1 Kontext, here or from an assistant (MCP).

    What a command answers goes to stdout, everything else to stderr.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> None:
    """Run the command line and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character must not end a command whose job was paid.
            stream.reconfigure(errors="backslashreplace")
    command_line(prog_name="kontext", windows_expand_args=False)
