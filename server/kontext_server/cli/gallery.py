"""`kontext gallery`: past pictures in the browser, for as long as the command runs.

What this is: the command around `web.gallery`, and the browser opened. What it is not: reachable from another machine,
or a driver of jobs: looking costs nothing.
Above: cli. Below: web.gallery, session, talk, the standard library's `webbrowser`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading

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
    from kontext_server.settings import Settings
    from kontext_server.web import gallery
    from kontext_server.web.listening import PortTaken

    def announce(url: str) -> None:
        talk.say("The gallery is open until you press Ctrl-C. Its address opens once, in one browser:")
        # On one line even as JSON: who reads it reads on, for the command goes on.
        click.echo(json.dumps({"url": url}) if as_json else url)
        if not no_open:
            open_browser(url)

    def work(settings: Settings) -> int:
        try:
            gallery.serve(settings, port=port, announce=announce)
        except PortTaken as taken:
            talk.say(f"{taken} Name another with --port.")
            return FAILED
        return DONE

    ctx.exit(session.settled(work, as_json=as_json))


def open_browser(url: str) -> None:
    """Open an address in the person's browser; where there is none, nothing happens: the address was printed.

    By a process of its own, for a browser may write to our stdout, ask our terminal or not return.
    """
    command = [sys.executable, "-I", "-m", "webbrowser", url]
    nothing = subprocess.DEVNULL

    def opened() -> None:
        subprocess.run(command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True, check=False)  # noqa: S603

    threading.Thread(target=opened, name="browser", daemon=True).start()
