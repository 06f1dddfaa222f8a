"""How a wait looks: a bar on a terminal, one plain line elsewhere. Always on stderr.

What this is: what becomes of each piece of news while a job runs. What it is not: the last line, which tells how it
ended (`making`). Above: making. Below: talk; rich, imported only to draw.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from kontext_server.cli import talk
from kontext_tools.views import View

Seen = Callable[[View], None]


@contextmanager
def shown(doing: str) -> Generator[Seen]:
    """Show a wait for as long as the block lasts; give what is to be called with each view of the job.

    Args:
        doing: `Editing`, `Generating`.
    """
    if talk.stderr_is_terminal():
        with _bar(doing) as seen:
            yield seen
        return
    said: set[str] = set()

    def seen_plainly(view: View) -> None:
        if view.job.id not in said:
            said.add(view.job.id)
            talk.say(f"{doing} at {view.job.provider}: job {view.job.id}, about {view.eta_s or 1} s")

    yield seen_plainly


@contextmanager
def _bar(doing: str) -> Generator[Seen]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[left]}", markup=False),
    )
    # transient: the bar is wiped away at the end, also when it is interrupted.
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(doing, total=1.0, left="")

        def seen(view: View) -> None:
            eta_s = view.eta_s or 1
            progress.update(
                task,
                completed=min(0.95, view.seconds / (view.seconds + eta_s)),
                description=f"{doing} at {view.job.provider} ({view.job.id})",
                left=f"{view.job.status.value}, about {eta_s} s to go",
            )

        yield seen
