"""`kontext plan`: several edits that a file describes, each from the outputs of others.

What this is: run_plan's twin: the words and options of the command. What it is not: the reading of the file
(`plan_file`) or what is done (`making`). Above: cli. Below: plan_file, making.
"""

from __future__ import annotations

from pathlib import Path

import click

from kontext_server.cli import COMMANDS


@click.command("plan", short_help=COMMANDS["plan"])
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--max-cost", metavar="COST", help="Stop before it costs more, such as '0.40 usd'.")
@click.option("--resume", "resume_job_id", metavar="JOB", help="An earlier plan: its finished steps are reused.")
@click.option("--dry-run", is_flag=True, default=None, help="Check and price; send nothing.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_context
def command(ctx: click.Context, file: Path, *, as_json: bool, **options: str | bool | None) -> None:
    """Carry out the plan in FILE and print the results' paths.

    FILE is TOML or JSON, or - for JSON on stdin: up to 20 steps, each with an id and a prompt, and what edit takes
    beside it: image, keep, num_images, aspect_ratio, seed. An image is a file (relative to FILE), an earlier result, an
    address, or an output of another step: $id, $id/2, or $id/* for each of them; a step without one generates. Each
    picture is paid; --dry-run tells the price.

    \b
    [[steps]]
    id = "lake"
    prompt = "A lake at noon"
    [[steps]]
    id = "night"
    image = "$lake"
    prompt = "Make it night, with stars"
    """
    from kontext_server.cli import plan_file, talk
    from kontext_server.cli.making import PLAN, Asked, make
    from kontext_tools.errors import InvalidArgument

    try:
        arguments = plan_file.read(file)
    except InvalidArgument as error:
        ctx.exit(talk.tell_failure(error.failure, as_json=as_json))
    given = {name: value for name, value in options.items() if value is not None}
    ctx.exit(make(Asked(kind=PLAN, arguments=arguments | given, output=None, force=False, as_json=as_json)))
