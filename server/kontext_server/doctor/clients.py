"""Clients' configurations: whether an entry of ours there starts something.

What this is: the files that `kontext install` writes, or whose own command does, read again. What it is not: a look at
goose's, which is YAML, or at any other server's entry. Above: checkup. Below: clients.looking.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import anyio.to_thread

from kontext_server.clients.looking import Entry, Look
from kontext_server.clients.looking import look as looked_at
from kontext_server.doctor.case import Case
from kontext_server.doctor.findings import Finding, ok, warn

WHY = {"missing": "leads nowhere", "not_executable": "may not be run"}


async def look(case: Case) -> Sequence[Finding]:
    """Look into each client's file that is there; none of ours in any is well."""
    seen = await anyio.to_thread.run_sync(looked_at, case.at)
    return list(_findings(seen)) or [ok("clients", "no client is told of this server yet: kontext install CLIENT")]


def _findings(seen: Sequence[Look]) -> Iterator[Finding]:
    for one in seen:
        if one.problem is not None:
            yield warn("clients", f"{one.title}: {one.problem}", "Mend the file; the client cannot read it either.")
        for entry in one.entries:
            yield _entry(one, entry)


def _entry(one: Look, entry: Entry) -> Finding:
    if entry.state == "ok":
        return ok("clients", f"{one.title} starts {entry.command}")
    named = "" if entry.name == "kontext" else f" --name {entry.name}"
    cause = f"{one.title}: the command of {entry.name!r} in {one.path} {WHY[entry.state]} ({entry.command})"
    return warn("clients", cause, f"kontext install {one.client}{named}")
