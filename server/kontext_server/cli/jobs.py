"""`kontext jobs`: the newest jobs, and what only a person decides of one.

What this is: a list, and `--resolve`: the word of a person who looked at the provider's own list about a job that was
sent and got no answer. What it is not: anything that a model can call. Above: cli. Below: session, talk, tables, words.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from kontext_server.cli import COMMANDS

if TYPE_CHECKING:
    from kontext_server.app import App
    from kontext_tools.views import View

HEADER = ("JOB", "STATUS", "PROVIDER", "COST", "AGE", "IMAGES")
VERDICTS = ("charged", "not-charged")


@click.command("jobs", short_help=COMMANDS["jobs"])
@click.argument("verdict", type=click.Choice(VERDICTS), required=False)
@click.option("--resolve", metavar="JOB", help="Say of an unknown JOB whether it was `charged` or `not-charged`.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_context
def command(ctx: click.Context, verdict: str | None, resolve: str | None, limit: int, *, as_json: bool) -> None:
    """List the newest jobs, or resolve one.

    A job is `unknown` when it was sent and no answer came: it may have been charged. Look at the provider's own list
    of jobs, then:  kontext jobs --resolve JOB charged|not-charged. An identical call may be sent again after that.
    """
    from kontext_server.app import LOCAL_OWNER
    from kontext_server.cli import session, words

    if (resolve is None) != (verdict is None):
        raise click.UsageError("Write both:  kontext jobs --resolve JOB charged|not-charged")

    async def work(app: App) -> int:
        if resolve is not None:
            view = await app.studio.resolve(LOCAL_OWNER, resolve, charged=verdict == VERDICTS[0])
            return words.tell_job(view, app.places, full=False, as_json=as_json)
        _tell(app, await app.studio.jobs(LOCAL_OWNER, limit=limit), as_json=as_json)
        return 0

    ctx.exit(session.settled(lambda settings: session.run(settings, work), as_json=as_json))


def _tell(app: App, views: Sequence[View], *, as_json: bool) -> None:
    from kontext_server.cli import tables, talk
    from kontext_server.surface.answers import job_fields

    if as_json:
        talk.answer_json({"jobs": [job_fields(view, app.places) for view in views]})
        return
    now = datetime.now(UTC)
    tables.show(HEADER, [_cells(view, now) for view in views], right=("AGE", "COST"))
    if any(view.job.status == "unknown" for view in views):
        talk.say(
            "An unknown job may have been charged. Once you looked:  kontext jobs --resolve JOB charged|not-charged"
        )


def _cells(view: View, now: datetime) -> tuple[str, ...]:
    from kontext_server.cli import tables

    job = view.job
    return (
        job.id,
        job.status.value,
        job.provider,
        str(view.cost),
        tables.age((now - job.created_at).total_seconds()),
        str(len(job.images)),
    )
