"""The command `kontext`: serving stdio claims the wire before anything else is imported.

What this is: the fork between the wire and the command line. Above: nothing. Below: stdio, cli.
"""

from __future__ import annotations

import os
import sys

from kontext_server import COMPLETING, stdio


def main() -> None:
    """Serve stdio for `kontext serve`, and for `kontext` alone on a pipe; else run the command line."""
    arguments = sys.argv[1:]
    # zsh asks for completions without a terminal.
    alone = not arguments and COMPLETING not in os.environ
    if arguments == ["serve"] or (alone and not sys.stdin.isatty()):
        sys.exit(serve(stdio.claim()))
    from kontext_server.cli import main as command_line

    command_line()


def serve(wire: stdio.Wire) -> int:
    """Serve one client; give the exit code."""
    from kontext_server import logs, settings
    from kontext_server.setting_sources import SettingError
    from kontext_tools.redaction import Redactor

    try:
        loaded = settings.load()
        settings.prepare_data_dir(loaded)
        logs.configure(loaded.kontext_log_level, Redactor(loaded.secrets))
        logs.warn(settings.unknown_variables(os.environ))
        stdio.serve(wire, loaded)
    except SettingError as error:
        print(f"kontext: {error}", file=sys.stderr)  # noqa: T201  # stdout is the wire; this is stderr
        return 3
    return 0


if __name__ == "__main__":
    main()
