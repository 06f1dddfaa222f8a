"""`kontext gallery`: past pictures in the browser, for as long as the command runs.

What this is: the command around `web.gallery`, and the browser that is told of it. What it is not: reachable from
another machine, or a driver of jobs: looking costs nothing. Above: cli. Below: web.gallery, opening, session, talk.
"""

from __future__ import annotations

import json

import click

from kontext_server.cli import COMMANDS


@click.command("gallery", short_help=COMMANDS["gallery"])
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Where; a free one unless named.")
@click.option("--no-open", is_flag=True, help="Only print the address.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_context
def command(ctx: click.Context, port: int, *, no_open: bool, as_json: bool) -> None:
    """Show past pictures in the browser: search them, walk from each to what it was made from, compare.

    Prints an address of this machine that opens once, and opens it. Nothing can be changed there. Serves until Ctrl-C.
    """
    from kontext_server.cli import session, talk
    from kontext_server.cli.exits import DONE, FAILED
    from kontext_server.cli.opening import Opening
    from kontext_server.settings import Settings
    from kontext_server.web import gallery
    from kontext_server.web.listening import PortTaken

    opening = Opening()

    def announce(url: str) -> None:
        talk.say("The gallery is open until you press Ctrl-C. Its address opens once, in one browser:")
        # On one line even as JSON: who reads it reads on, for the command goes on.
        click.echo(json.dumps({"url": url}) if as_json else url)
        if not no_open:
            opening.open(url)

    def work(settings: Settings) -> int:
        try:
            gallery.serve(settings, port=port, announce=announce, entered=opening.forget)
        except PortTaken as taken:
            talk.say(f"{taken} Name another with --port.")
            return FAILED
        finally:
            opening.forget()
        return DONE

    ctx.exit(session.settled(work, as_json=as_json))
