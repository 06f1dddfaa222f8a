"""`kontext export`: a job's pictures as one file that compares before and after, to keep or to share.

What this is: the file's place, its first words and which picture it shows first; no job moves by it. What it is not:
what the file holds (`surface.recording`) or its page (`surface.studio_page`). Above: cli. Below: both, session, talk,
saving.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kontext_server.cli import COMMANDS

if TYPE_CHECKING:
    from kontext_server.app import App
    from kontext_tools.views import View

TITLE_CHARS = 80
MADE: Mapping[str, str] = {"edit_image": "Edited", "generate_image": "Made from words", "run_plan": "Made by a plan"}


@click.command("export", short_help=COMMANDS["export"])
@click.argument("job")
@click.option(
    "--html", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Where to. Nothing is overwritten."
)
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_context
def command(ctx: click.Context, job: str, html: Path, *, force: bool, as_json: bool) -> None:
    """Write a job's pictures, before and after, as one HTML file that needs nothing else, and print its path.

    JOB is a job's id, such as red-car-4k7q, or one of its pictures, red-car-4k7q/2, which is then shown first; a plan's
    id gives all its steps. The file tells the words of each edit, its provider and cost, and no path of this machine.
    """
    from kontext_server.cli import saving, session, talk
    from kontext_server.cli.exits import DONE, FAILED
    from kontext_server.settings import Settings

    if str(html) == "-":
        raise click.UsageError("--html takes the name of a file.")

    async def made(app: App) -> tuple[str, str]:
        return await _page(app, job)

    def work(settings: Settings) -> int:
        saving.check(html, 1, force=force, field="html", what="nothing was written", example="result.html")
        job_id, page = session.run(settings, made, reading=True)
        try:
            saving.write(page, html, force=force)
        except OSError as error:
            talk.say(f"{html} cannot be written ({error.strerror}). Name another file with --html.")
            return FAILED
        if as_json:
            talk.answer_json({"job_id": job_id, "html": str(html)})
        else:
            talk.answer_path(html)
        return DONE

    ctx.exit(session.settled(work, as_json=as_json))


async def _page(app: App, name: str) -> tuple[str, str]:
    """Give the job's id and the page."""
    from dataclasses import replace

    from kontext_server.app import LOCAL_OWNER
    from kontext_server.surface import studio_page
    from kontext_server.surface.recording import recorded
    from kontext_server.surface.resources import Resources

    view = await app.studio.job(LOCAL_OWNER, name)
    show = await _first(app, view, name)
    resources = Resources(replace(app, places=_nowhere))
    page = studio_page.file(
        title=title_of(view.job.edit.prompt),
        show=show,
        lead=[lead_of(view)],
        recorded=await recorded(resources.content, [view.job.id]),
    )
    return view.job.id, page


async def _first(app: App, view: View, name: str) -> str:
    """Give the picture that is shown first: the one that was named, else a job's first, a plan's last.

    Raises:
        UnknownRef: the job has none, or not that one.
    """
    from kontext_server.app import LOCAL_OWNER
    from kontext_tools.errors import UnknownRef
    from kontext_tools.references import parse_ref

    job = view.job
    if not job.images:
        ended = job.status.ended
        raise UnknownRef(
            f"{job.id} {'ended without an image' if ended else 'has no image yet'}; nothing was written.",
            fix="Name another job; `kontext images` lists those with pictures."
            if ended
            else f"Wait for it with `kontext status {job.id} --wait 50`, then run the command again.",
            field="job",
            job_id=job.id,
        )
    ref = parse_ref(name)
    if ref is not None and ref.n is not None:
        return str((await app.studio.picture(LOCAL_OWNER, str(ref))).ref)
    holder, output = job.images[0] if job.plan is None else job.images[-1]
    return f"{holder.id}/{output.n}"


def title_of(prompt: str) -> str:
    """Give a prompt's beginning on one line."""
    from kontext_tools.quoting import cut

    return cut(" ".join(prompt.split()), TITLE_CHARS)


def lead_of(view: View) -> str:
    """Say who made it, when, and what it cost."""
    from kontext_tools.choosing import SANDBOX

    job = view.job
    day = job.created_at.astimezone(UTC).date().isoformat()
    by = f"{job.provider}, which is no model," if job.provider == SANDBOX else job.provider
    return f"{MADE[job.tool]} by {by} on {day} (UTC) for {view.cost}, asked for through kontext."


def _nowhere(*_: object) -> Mapping[str, str]:
    """Tell of no picture where it lies: the file is read by others."""
    return {}
