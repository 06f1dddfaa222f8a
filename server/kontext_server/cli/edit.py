"""`kontext edit`: change a picture by words, here and now.

What this is: the words and options of the command. What it is not: what it does (`making`, imported when it is called,
so that its help is quick). Above: cli. Below: options, pictures, making.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kontext_server.cli import COMMANDS, options
from kontext_server.surface import parameters


@click.command("edit", short_help=COMMANDS["edit"])
@click.argument("image")
@click.argument("prompt")
@options.of_the_result
@options.of_parameters(parameters.edit_image({}, 0))
@click.pass_context
def command(
    ctx: click.Context, image: str, prompt: str, *, output: Path | None, force: bool, as_json: bool, **asked: Any
) -> None:
    """Change a picture by words and print the result's path.

    IMAGE is a file, an earlier result such as red-car-4k7q/1, an https address or a data: URI. PROMPT says what to
    change, in English. It costs money unless the sandbox serves; --dry-run tells the price.

    \b
    kontext edit cat.jpg "Make the sky pink" -o pink.png
    kontext edit red-car-4k7q/1 "Replace 'SALE' with 'OPEN'" --keep "the lettering"
    """
    from kontext_server.cli.making import EDIT, Asked, make
    from kontext_server.cli.pictures import as_named

    arguments = {"image": as_named(image), "prompt": prompt, **asked}
    ctx.exit(make(Asked(kind=EDIT, arguments=arguments, output=output, force=force, as_json=as_json)))
