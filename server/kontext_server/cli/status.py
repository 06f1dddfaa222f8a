"""`kontext status`: how a job stands, or stands once it ended.

What this is: get_status's twin. What it is not: a verdict: a job of any fate is a good answer and ends with 0. Above:
cli. Below: session, words.
"""

from __future__ import annotations

import click

from kontext_server.cli import COMMANDS


@click.command("status", short_help=COMMANDS["status"])
@click.argument("job")
@click.option("--wait", "--wait-seconds", "wait_seconds", metavar="SECONDS", help="Wait for its end, 0 to 50 seconds.")
@click.option("--full", is_flag=True, help="Tell also the prompt that was sent; with --json everything.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_context
def command(ctx: click.Context, job: str, wait_seconds: str | None, *, full: bool, as_json: bool) -> None:
    """Tell how a job stands, or wait for it.

    JOB is a job's id, such as red-car-4k7q. The exit code is 0 whatever became of the job: it is told, and with --json
    stands under "status".
    """
    from kontext_server.app import LOCAL_OWNER, App
    from kontext_server.cli import session, words
    from kontext_server.surface import parameters
    from kontext_server.surface.reading import read
    from kontext_tools.views import Call

    async def work(app: App) -> int:
        typed = {"job_id": job, "wait_seconds": wait_seconds, "detail": "full" if full else None}
        arguments = read(parameters.get_status(), typed)
        call = Call(owner=LOCAL_OWNER, wait_s=arguments["wait_seconds"])
        view = await app.studio.get_status(arguments["job_id"], call)
        return words.tell_job(view, app.places, full=full, as_json=as_json)

    ctx.exit(session.settled(lambda settings: session.run(settings, work), as_json=as_json))
