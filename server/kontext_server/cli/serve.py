"""`kontext serve` in the command line's listing and help.

What this is: the words, and the way in for a `serve` that did not come alone. What it is not: the usual way in: for a
plain `kontext serve`, `__main__` claims the wire before click is imported. Above: cli. Below: stdio, session.
"""

from __future__ import annotations

import click

from kontext_server.cli import COMMANDS


@click.command("serve", short_help=COMMANDS["serve"])
@click.pass_context
def command(ctx: click.Context) -> None:
    """Serve MCP over stdio, for an assistant that starts this program itself.

    It reads requests from stdin and answers on stdout until stdin ends. Settings are environment variables and
    kontext.toml; without any provider's key the sandbox serves.
    """
    from kontext_server import stdio

    wire = stdio.claim()

    from kontext_server.cli import session
    from kontext_server.cli.exits import DONE
    from kontext_server.settings import Settings

    def work(settings: Settings) -> int:
        stdio.serve(wire, settings)
        return DONE

    ctx.exit(session.settled(work, as_json=False))
