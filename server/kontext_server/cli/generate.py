"""`kontext generate`: make a picture from words alone, here and now.

What this is: the words and options of the command. What it is not: what it does (`making`, imported when it is called,
so that its help is quick). Above: cli. Below: options, making.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kontext_server.cli import COMMANDS, options
from kontext_server.surface import parameters


@click.command("generate", short_help=COMMANDS["generate"])
@click.argument("prompt")
@options.of_the_result
@options.of_parameters(parameters.generate_image({}, 0))
@click.pass_context
def command(ctx: click.Context, prompt: str, *, output: Path | None, force: bool, as_json: bool, **asked: Any) -> None:
    """Make a picture from words alone and print its path.

    PROMPT says what to make, in English. It costs money unless the sandbox serves; --dry-run tells the price.

    \b
    kontext generate "A lighthouse in a storm, oil painting" --aspect-ratio 16:9
    """
    from kontext_server.cli.making import GENERATE, Asked, make

    ctx.exit(
        make(Asked(kind=GENERATE, arguments={"prompt": prompt, **asked}, output=output, force=force, as_json=as_json))
    )
