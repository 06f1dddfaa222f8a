"""What `delete` and `prune` share: saying what goes, the question, the wait, and what went.

What this is: the person's yes, without which nothing is deleted, and the answer in words and as JSON. What it is not:
what may go (`kontext_tools.stores.forgets`). Above: delete, prune. Below: talk, exits.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from kontext_server.cli import talk
from kontext_server.cli.exits import DONE, FAILED, USAGE
from kontext_tools.forgetting import Forgotten, OnGone
from kontext_tools.stores.forgets import Going, Hold

STAYS: Mapping[Hold, str] = {
    Hold.RUNNING: "still running",
    Hold.UNKNOWN: "unknown; say what became of it: kontext jobs --resolve JOB charged|not-charged",
    Hold.NEEDED: "what a running job starts from",
    Hold.TAKEN_OVER: "a plan that another one, which stays, took steps over from",
    Hold.YOUNGER: "a plan with a younger part",
    Hold.CHANGED: "changed since it was looked at",
}
"""Why a job that is old enough stays; a plan's step goes or stays with its plan, and is not counted."""


def refused(going: Going, *, yes: bool) -> int | None:
    """Say what goes and ask for the person's yes; give the exit code where there is none, else `None`."""
    talk.say(f"To delete: {_words(going)}.")
    if going.children:
        talk.say(_children(going))
    if yes:
        return None
    if not talk.may_ask():
        talk.say("Nothing was deleted: nobody can be asked here. To delete without being asked, add --yes.")
        return USAGE
    if click.confirm("Delete them for good?", err=True):
        return None
    talk.say("Nothing was deleted.")
    return FAILED


def tell(done: Forgotten, *, dry_run: bool = False, as_json: bool) -> int:
    """Tell what went, or would go, and what stays; give the exit code."""
    going = done.going
    for hold, count in done.skipped.items():
        talk.say(f"{count:,} stays: {STAYS[hold]}." if count == 1 else f"{count:,} stay, each {STAYS[hold]}.")
    if not going.job_ids:
        talk.say("There is nothing to delete.")
    elif dry_run:
        talk.say(f"It would delete: {_words(going)}.")
        talk.say(_children(going) if going.children else "No picture that stays was made from them.")
    else:
        talk.say(f"Deleted: {_words(going)}. `kontext usage` still tells the cost; copies elsewhere are untouched.")
    if not done.whole:
        talk.say("Some of it still lies on the disk: the next deletion, or start of a server, tries to remove it.")
    if as_json:
        talk.answer_json(_fields(done, dry_run=dry_run))
    else:
        for job_id in going.job_ids:
            talk.answer(job_id)
    return DONE


@contextmanager
def shown(going: Going) -> Generator[OnGone]:
    """Show on a terminal how many jobs are gone, for as long as the block lasts."""
    if not talk.stderr_is_terminal():
        yield lambda _: None
        return
    with click.progressbar(length=len(going.job_ids), label="Deleting", file=sys.stderr) as bar:
        yield lambda gone: bar.update(gone - bar.pos)


def _fields(done: Forgotten, *, dry_run: bool) -> dict[str, Any]:
    going = done.going
    fields: dict[str, Any] = {
        "deleted": list(going.job_ids),
        "images": going.images,
        "bytes": going.size_bytes,
        "skipped": {hold.value: count for hold, count in done.skipped.items()},
    }
    return fields | ({"dry_run": True} if dry_run else {}) | ({} if done.whole else {"files_left": True})


def _words(going: Going) -> str:
    size_mb = f"{going.size_bytes / 1_000_000:,.1f} MB"
    return f"{talk.counted(len(going.job_ids), 'job')}, {talk.counted(going.images, 'picture')}, {size_mb}"


def _children(going: Going) -> str:
    stay = "stays" if going.children == 1 else "stay"
    return f"{talk.counted(going.children, 'picture')} made from them {stay}, with no 'before' any more."
