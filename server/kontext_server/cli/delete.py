"""`kontext delete`: jobs, their pictures and their words, gone for good.

What this is: what only a person decides. What it is not: anything that a model can call. Above: cli. Below: session,
deleting.
"""

from __future__ import annotations

import click

from kontext_server.cli import COMMANDS


@click.command("delete", short_help=COMMANDS["delete"])
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask. Without a terminal nothing is deleted but with this.")
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_context
def command(ctx: click.Context, jobs: tuple[str, ...], *, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Delete jobs for good, with their pictures, and print their ids.

    JOB is the id of a job that has ended, such as red-car-4k7q; of a plan, all its steps go with it. All of the jobs go
    or, where one must stay, none. Pictures made from a deleted one stay, without their "before".

    What was spent is still told by `kontext usage`, which keeps the ids, and copies in KONTEXT_OUTPUT_DIR stay. A
    request_key of a deleted job is free again: the same call with it is sent and charged anew.
    """
    from kontext_server.app import LOCAL_OWNER, App
    from kontext_server.cli import deleting, session
    from kontext_server.settings import Settings
    from kontext_tools.forgetting import Forgotten
    from kontext_tools.stores.forgets import Going

    def work(settings: Settings) -> int:
        async def look(app: App) -> Going:
            return await app.studio.to_delete(LOCAL_OWNER, jobs)

        going = session.run(settings, look, reading=True)

        async def delete(app: App) -> Forgotten:
            return await app.studio.delete(LOCAL_OWNER, going.job_ids)

        if dry_run:
            return deleting.tell(Forgotten(going=going), dry_run=True, as_json=as_json)
        refused = deleting.refused(going, yes=yes)
        if refused is not None:
            return refused
        return deleting.tell(session.run(settings, delete, reading=True), as_json=as_json)

    ctx.exit(session.settled(work, as_json=as_json))
