"""`kontext cancel`: stop a job.

What this is: cancel_job's twin. Above: cli. Below: session, words.
"""

from __future__ import annotations

import click

from kontext_server.cli import COMMANDS


@click.command("cancel", short_help=COMMANDS["cancel"])
@click.argument("job")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_context
def command(ctx: click.Context, job: str, *, as_json: bool) -> None:
    """Stop a job.

    JOB is a job's id, such as red-car-4k7q. Some providers cannot cancel: then the job goes on, is charged, and its
    result is kept.
    """
    from kontext_server.app import LOCAL_OWNER, App
    from kontext_server.cli import session, words
    from kontext_server.surface import parameters
    from kontext_server.surface.reading import read
    from kontext_tools.views import Call

    async def work(app: App) -> int:
        arguments = read(parameters.cancel_job(), {"job_id": job})
        view, outcome = await app.studio.cancel_job(arguments["job_id"], Call(owner=LOCAL_OWNER))
        return words.tell_job(view, app.places, outcome=outcome, as_json=as_json)

    ctx.exit(session.settled(lambda settings: session.run(settings, work), as_json=as_json))
