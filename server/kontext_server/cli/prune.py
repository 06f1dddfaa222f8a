"""`kontext prune`: all jobs that ended long ago, their pictures and their words, gone for good.

What this is: what only a person decides. What it is not: anything that a model can call. Above: cli. Below: session,
deleting.
"""

from __future__ import annotations

import click

from kontext_server.cli import COMMANDS


@click.command("prune", short_help=COMMANDS["prune"])
@click.option("--older-than", metavar="AGE", required=True, help="90d, 12w, or a day such as 2026-01-31.")
@click.option("--yes", is_flag=True, help="Do not ask. Without a terminal nothing is deleted but with this.")
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_context
def command(ctx: click.Context, older_than: str, *, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Delete for good the jobs that ended before, with their pictures, and print their ids.

    What still runs, is unknown or is needed by something younger stays, and is counted. Everything else is as with
    `kontext delete`: pictures made from deleted ones stay, `kontext usage` still tells what was spent, copies in
    KONTEXT_OUTPUT_DIR stay, and the request_keys of deleted jobs are free again.
    """
    from kontext_server.app import LOCAL_OWNER, App
    from kontext_server.cli import deleting, session
    from kontext_server.settings import Settings
    from kontext_tools.forgetting import Forgotten
    from kontext_tools.stores.forgets import Old

    def work(settings: Settings) -> int:
        async def look(app: App) -> Old:
            return await app.studio.to_prune(LOCAL_OWNER, older_than)

        old = session.run(settings, look, reading=True)

        async def delete(app: App) -> Forgotten:
            with deleting.shown(old.going) as gone:
                return await app.studio.prune(LOCAL_OWNER, old, gone)

        if dry_run or not old.units:
            kept = Forgotten(going=old.going, skipped=old.skipped)
            return deleting.tell(kept, dry_run=dry_run, as_json=as_json)
        refused = deleting.refused(old.going, yes=yes)
        if refused is not None:
            return refused
        return deleting.tell(session.run(settings, delete, reading=True), as_json=as_json)

    ctx.exit(session.settled(work, as_json=as_json))
