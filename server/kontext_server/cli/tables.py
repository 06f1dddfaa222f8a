"""Tables for people: drawn on a terminal, aligned text elsewhere.

What it is not: JSON (`talk`). Above: images, jobs, usage. Below: rich, on a terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence

import click

Table = Sequence[Sequence[str]]

_AGES = ((86_400, "d"), (3_600, "h"), (60, "min"))


def show(header: Sequence[str], table: Table, *, right: Collection[str] = (), wraps: Collection[str] = ()) -> None:
    """Print a table to stdout.

    Args:
        header: a name for each column.
        table: its lines, clean of control characters.
        right: columns whose cells stand to the right.
        wraps: columns that may wrap on a terminal.
    """
    if sys.stdout.isatty():
        _draw(header, table, right, wraps)
    else:
        _print(header, table)


def age(seconds: float) -> str:
    """Tell an age in one unit.

    >>> age(5), age(125), age(3 * 3600), age(50 * 3600)
    ('now', '2 min', '3 h', '2 d')
    """
    for length_s, unit in _AGES:
        if seconds >= length_s:
            return f"{int(seconds // length_s)} {unit}"
    return "now"


def _print(header: Sequence[str], table: Table) -> None:
    lines = [header, *table]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _draw(header: Sequence[str], table: Table, right: Collection[str], wraps: Collection[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as Drawn
    from rich.text import Text

    drawn = Drawn(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in header:
        drawn.add_column(name, no_wrap=name not in wraps, justify="right" if name in right else "left")
    for line in table:
        # As Text, for a prompt may hold what rich reads as markup.
        drawn.add_row(*(Text(cell) for cell in line))
    Console().print(drawn)
