"""`kontext simulate`: the provider's wire on this machine, in the foreground.

What this is: the command around `simulator.serve`. Above: cli. Below: simulator, session (how signals are heard).
"""

from __future__ import annotations

import click

from kontext_server.cli import COMMANDS
from kontext_server.cli.exits import DONE, FAILED


@click.command("simulate", short_help=COMMANDS["simulate"])
@click.option(
    "--port", type=click.IntRange(0, 65535), default=9876, show_default=True, help="Where; 0 takes a free one."
)
@click.pass_context
def command(ctx: click.Context, port: int) -> None:
    """Play the provider on this machine; nothing is charged.

    Prints the settings that point kontext at it, to be read by a shell, and serves until Ctrl-C.
    """
    from kontext_server.cli import talk
    from kontext_server.cli.session import sigterm_interrupts
    from kontext_server.simulator.serve import serve

    try:
        with sigterm_interrupts():
            serve(port)
    except OSError as error:
        talk.say(f"Port {port} of 127.0.0.1 cannot be taken ({error.strerror}). Name another with --port.")
        ctx.exit(FAILED)
    except KeyboardInterrupt:
        # That is how it ends.
        ctx.exit(DONE)
