"""`kontext migrate`: the jobs and pictures of a data folder, moved to where many servers share them.

What this is: pictures first, for a row must never name a file that is not there; then the rows, once nobody can add to
them; then the pictures that came meanwhile. What it is not: the moving (`kontext_tools.stores.moving`,
`kontext_tools.blobs.moving`). Above: cli. Below: session, talk, storage.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from kontext_server.cli import COMMANDS

if TYPE_CHECKING:
    from kontext_server.settings import Settings
    from kontext_tools.stores.moving import Moved


@click.command("migrate", short_help=COMMANDS["migrate"])
@click.option("--issuer", metavar="URL", help="Whose the jobs become, with --subject: who vouches for them.")
@click.option("--subject", metavar="NAME", help="Their name there.")
@click.option("--yes", is_flag=True, help="Do not ask. Without a terminal nothing is moved but with this.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_context
def command(ctx: click.Context, issuer: str | None, subject: str | None, *, yes: bool, as_json: bool) -> None:
    """Move what is in the data folder to KONTEXT_DATABASE_URL, KONTEXT_BLOB_URL, or both.

    End every server and assistant that uses the folder first. The database must be empty. Once the jobs are there, the
    folder's own database takes no more writes, so that nothing is ever sent twice; its file stays, as a copy, and so do
    the pictures. Where people sign in, --issuer and --subject say whose the local user's jobs become; else they are
    those of servers without sign-in.
    """
    from kontext_server.cli import session, talk
    from kontext_server.cli.exits import FAILED, USAGE

    if (issuer is None) != (subject is None):
        raise click.UsageError("--issuer and --subject go together.")

    def work(settings: Settings) -> int:
        _check(settings)
        talk.say(_words(settings))
        if not yes:
            if not talk.may_ask():
                talk.say("Nothing was moved: nobody can be asked here. To move without being asked, add --yes.")
                return USAGE
            if not click.confirm("Is every server that uses the data folder ended? Move?", err=True):
                talk.say("Nothing was moved.")
                return FAILED
        owners = _owners(issuer, subject)
        with session.sigterm_interrupts():
            return _moved(settings, owners, as_json=as_json)

    ctx.exit(session.settled(work, as_json=as_json))


def _check(settings: Settings) -> None:
    from kontext_server import storage
    from kontext_server.setting_sources import SettingError

    if settings.kontext_database_url is None and settings.kontext_blob_url is None:
        raise SettingError("KONTEXT_DATABASE_URL and KONTEXT_BLOB_URL: one of them must say where to move to")
    if settings.kontext_database_url is not None:
        storage.database_url(settings)
    storage.blobs(settings)


def _words(settings: Settings) -> str:
    places = [
        *([] if settings.kontext_database_url is None else ["its jobs to the database of KONTEXT_DATABASE_URL"]),
        *([] if settings.kontext_blob_url is None else [f"its pictures to {settings.kontext_blob_url}"]),
    ]
    return f"To move from {settings.kontext_data_dir}: {' and '.join(places)}."


def _owners(issuer: str | None, subject: str | None) -> dict[str, str]:
    from kontext_server.app import LOCAL_OWNER
    from kontext_server.surface.asking import owner

    return {} if issuer is None or subject is None else {LOCAL_OWNER: owner(issuer, subject)}


def _moved(settings: Settings, owners: dict[str, str], *, as_json: bool) -> int:
    from kontext_server.cli import talk
    from kontext_server.cli.exits import DONE

    sent: dict[str, tuple[int, int]] = {}
    _send_up(settings, sent)
    moved = _move_rows(settings, owners)
    _send_up(settings, sent)
    jobs = None if moved is None else moved.jobs
    if moved is not None and moved.before:
        talk.say("The jobs were moved by an earlier run.")
    if as_json:
        talk.answer_json({"jobs": jobs, "images": None if moved is None else moved.images, "files": len(sent)})
    else:
        rows = [] if moved is None else [talk.counted(moved.jobs, "job"), talk.counted(moved.images, "picture")]
        files = [] if settings.kontext_blob_url is None else [talk.counted(len(sent), "file")]
        talk.answer(f"Moved: {', '.join([*rows, *files])}.")
    talk.say("The data folder stays as it is; once you have looked at what was moved, it may be removed.")
    return DONE


def _move_rows(settings: Settings, owners: dict[str, str]) -> Moved | None:
    if settings.kontext_database_url is None:
        return None
    from datetime import UTC, datetime

    from kontext_server.storage import DATABASE_FILE
    from kontext_tools.stores import moving

    path, url = settings.kontext_data_dir / DATABASE_FILE, settings.kontext_database_url.get_secret_value()
    return moving.move(path, url, now=datetime.now(UTC), owners=owners)


def _send_up(settings: Settings, sent: dict[str, tuple[int, int]]) -> None:
    if settings.kontext_blob_url is None:
        return
    import anyio

    from kontext_server import storage
    from kontext_server.cli import talk
    from kontext_tools.blobs import moving

    folder = settings.kontext_data_dir
    waiting = moving.waiting(folder, sent)
    with click.progressbar(length=waiting.files, label="Pictures", file=sys.stderr) as bar:
        shows = talk.stderr_is_terminal()

        def gone() -> None:
            if shows:
                bar.update(1)

        anyio.run(moving.send_up, folder, storage.blobs(settings), sent, gone)
