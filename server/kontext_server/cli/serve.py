"""`kontext serve` in the command line's listing and help, and over HTTP.

What this is: the words, the way in for a `serve` that did not come alone, and for `--http`. What it is not: the usual
way in: for a plain `kontext serve`, `__main__` claims the wire before click is imported. Above: cli. Below: stdio,
web.http, session.
"""

from __future__ import annotations

import gc

import click

from kontext_server.cli import COMMANDS

HOST, PORT = "127.0.0.1", 8765


@click.command("serve", short_help=COMMANDS["serve"])
@click.option("--http", "over_http", is_flag=True, help="Serve Streamable HTTP at /mcp, not stdio.")
@click.option("--host", default=HOST, show_default=True, help="With --http: where; others than loopback need sign-in.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=PORT,
    show_default=True,
    help="With --http: where; 0 takes a free one.",
)
@click.pass_context
def command(ctx: click.Context, *, over_http: bool, host: str, port: int) -> None:
    """Serve MCP over stdio, for an assistant that starts this program itself; with --http, over HTTP.

    Over stdio it reads requests from stdin and answers on stdout until stdin ends. Over HTTP it tells its address on
    stderr and serves until Ctrl-C; a model cannot name files of this machine then, and an answer gives each picture's
    address in place of its path. Settings are environment variables and kontext.toml; without any provider's key the
    sandbox serves.
    """
    if over_http:
        ctx.exit(_over_http(host, port))
    if (host, port) != (HOST, PORT):
        raise click.UsageError("--host and --port go with --http.")
    ctx.exit(_over_stdio())


def _over_stdio() -> int:
    from kontext_server import stdio

    wire = stdio.claim()

    from kontext_server.cli import session
    from kontext_server.cli.exits import DONE
    from kontext_server.settings import Settings

    def work(settings: Settings) -> int:
        stdio.serve(wire, settings)
        return DONE

    return session.settled(work, as_json=False)


def _over_http(host: str, port: int) -> int:
    gc.disable()  # until all is imported: `web.http` lets it go to work

    from kontext_server.cli import session, talk
    from kontext_server.cli.exits import DONE, FAILED
    from kontext_server.settings import Settings
    from kontext_server.web import http
    from kontext_server.web.listening import PortTaken

    def work(settings: Settings) -> int:
        try:
            http.serve(settings, host=host, port=port, announce=lambda address: talk.say(f"kontext serves {address}"))
        except PortTaken as taken:
            talk.say(f"{taken} Name another with --port.")
            return FAILED
        return DONE

    return session.settled(work, as_json=False)
