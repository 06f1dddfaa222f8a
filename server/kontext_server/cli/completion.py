"""`kontext completion SHELL`: the script that teaches a shell to complete `kontext`.

What this is: click's own, printed; no file of a person's is touched. Above: cli. Below: talk.
"""

from __future__ import annotations

import click

from kontext_server import COMPLETING
from kontext_server.cli import COMMANDS

SHELLS = ("bash", "zsh", "fish")


@click.command("completion", short_help=COMMANDS["completion"])
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print what teaches a SHELL to complete these commands, their options and their choices.

    \b
    bash:  kontext completion bash > ~/.local/share/bash-completion/completions/kontext
    zsh:   kontext completion zsh > a file _kontext in a folder of $fpath
    fish:  kontext completion fish > ~/.config/fish/completions/kontext.fish
    """
    from click.shell_completion import get_completion_class

    complete = get_completion_class(shell)
    assert complete is not None, shell
    click.echo(complete(ctx.find_root().command, {}, "kontext", COMPLETING).source())
