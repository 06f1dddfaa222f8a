"""What is said where: answers to stdout, everything else to stderr, nothing that could steer a terminal.

What this is: the only door to both streams. A prompt was perhaps written by a model, so what is shown is made of
printable characters only; a path is printed as it is. What it is not: progress (`progress`). Above: every command.
Below: exits, surface.wording.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import click

from kontext_server.cli.exits import exit_code
from kontext_server.surface.wording import told
from kontext_tools.errors import Failure


def clean(text: str) -> str:
    """Give text whose every character is printable or ends a line."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)


def counted(count: int, what: str) -> str:
    """Give a number of things in words, such as `1 job` or `2,000 pictures`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def answer(text: str) -> None:
    """Print text that was asked for."""
    click.echo(clean(text))


def answer_marked(mark: str, text: str, *, color: str) -> None:
    """Print a line that begins with a word, which is coloured where the line is drawn on a terminal."""
    drawn = click.style(mark, fg=color) if _may_draw(sys.stdout) else mark
    click.echo(drawn + clean(text))


def answer_path(path: Path | str) -> None:
    """Print a path, or what stands in its place, on a line of its own, as the system knows it."""
    click.echo(str(path))


def answer_json(fields: Mapping[str, Any]) -> None:
    """Print structured content; plain ASCII, so that it survives every encoding."""
    click.echo(json.dumps(fields, indent=2))


def say(text: str) -> None:
    """Say something to the person."""
    click.echo(clean(text), err=True)


def tell_failure(failure: Failure, *, as_json: bool, fields: Mapping[str, Any] | None = None) -> int:
    """Tell a failure: three lines to the person, the structured error to stdout if asked; give the exit code."""
    say(told(failure))
    if as_json:
        answer_json({**(fields or {}), "error": failure.to_dict()})
    return exit_code(failure.code)


def stderr_is_terminal() -> bool:
    """Whether moving pictures may be drawn: a terminal that can, and nobody asked for none (no-color.org)."""
    return _may_draw(sys.stderr)


def may_ask() -> bool:
    """Whether a person can be asked: both the question and the answer pass a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _may_draw(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
