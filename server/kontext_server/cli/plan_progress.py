"""How a plan looks while it runs: a live table of its steps on a terminal, a line for each that ended elsewhere.

What this is: what becomes of each piece of news. Always on stderr. What it is not: the last lines, which tell how it
ended (`making`), or what a step says of itself (`surface.plan_answers`). Above: making. Below: words, talk; rich,
imported only to draw.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kontext_server.cli import talk, words
from kontext_server.cli.progress import Seen
from kontext_server.surface import plan_answers
from kontext_tools.jobs import JobStatus
from kontext_tools.views import View

if TYPE_CHECKING:
    from rich.table import Table

_COLOURS = {"completed": "green", "failed": "red", "cancelled": "red", "unknown": "yellow", "skipped": "dim"}


@contextmanager
def shown(doing: str) -> Generator[Seen]:
    """Show a plan for as long as the block lasts; give what is to be called with each view of its job."""
    if talk.stderr_is_terminal():
        with _drawn(doing) as seen:
            yield seen
        return
    told: list[str] = []

    def seen_plainly(view: View) -> None:
        if not told:
            talk.say(f"{doing} {view.job.id}: {plan_answers.progress(view.job)}, about {view.eta_s or 1} s")
        states = [words.step_line(step) if _is_over(step) else "" for step in plan_answers.steps(view.job)]
        before = told or [""] * len(states)
        for state, earlier in zip(states, before, strict=True):
            if state != earlier:
                talk.say(state)
        told[:] = states

    yield seen_plainly


@contextmanager
def _drawn(doing: str) -> Generator[Seen]:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    # transient: the table is wiped away at the end, also when it is interrupted.
    with Live(console=Console(stderr=True), transient=True, auto_refresh=False) as live:

        def seen(view: View) -> None:
            head = Text(f"{doing} {view.job.id}, about {view.eta_s or 1} s to go")
            live.update(Group(head, _table(view)), refresh=True)

        yield seen


def _table(view: View) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("STEP", "STATUS", "PICTURES", "COST"):
        table.add_column(column, justify="right" if column == "COST" else "left")
    for step in plan_answers.steps(view.job):
        status = Text(step["status"], style=_COLOURS.get(step["status"], ""))
        cost = step.get("cost")
        pictures = Text(", ".join(image["ref"] for image in step["images"]))
        table.add_row(Text(step["id"]), status, pictures, f"{cost['amount']} {cost['unit']}" if cost else "")
    return table


def _is_over(step: Mapping[str, Any]) -> bool:
    return step["status"] not in (JobStatus.PENDING, JobStatus.PROCESSING)
