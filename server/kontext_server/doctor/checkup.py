"""One walk over the checks: each contained, so that one which fails itself is a line like any other.

What this is: the table of checks, in the order of their lines, and what all of them are given. What it is not: any
check. A further one is a further row. Above: cli. Below: the checks, one file for each concern.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import cast

from kontext_server.doctor import clients, configuration, database, folders, installation, online, providers, serving
from kontext_server.doctor.case import Case
from kontext_server.doctor.findings import Finding, fail, warn

REST = "the rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: its name, for the line of a check that fails itself, and what it asks."""

    name: str
    look: Callable[[Case], Awaitable[Sequence[Finding]]]
    without_settings: bool = False
    """Whether it says anything where the settings cannot be read."""


CHECKS: tuple[Check, ...] = (
    Check(name="installation", look=installation.look, without_settings=True),
    Check(name="settings", look=configuration.look, without_settings=True),
    Check(name="providers", look=providers.look),
    Check(name="online", look=online.look),
    Check(name="folders", look=folders.look),
    Check(name="database", look=database.look),
    Check(name="clients", look=clients.look, without_settings=True),
    Check(name="serve", look=serving.look),
)
"""In the order of their lines."""


async def examine(case: Case, checks: Sequence[Check] = CHECKS) -> list[Finding]:
    """Make every check that can be made and give all findings."""
    findings: list[Finding] = []
    left_out = False
    for check in checks:
        if case.settings is None and not check.without_settings:
            left_out = True
            continue
        try:
            findings += await check.look(case)
        except Exception as error:  # noqa: BLE001  # a person who looks for a fault is told all others all the same
            findings.append(_crashed(check.name, error))
    if left_out:
        findings.append(
            warn(REST, "was not looked at: it needs the settings", "Mend the settings and run kontext doctor again.")
        )
    return findings


def _crashed(name: str, error: Exception) -> Finding:
    """Tell a check that failed by its exception's kind alone: its text may hold a value."""
    first: BaseException = error
    while isinstance(first, BaseExceptionGroup):
        first = cast("BaseExceptionGroup[BaseException]", first).exceptions[0]
    return fail(
        name,
        f"the check itself failed ({type(first).__name__})",
        "This is a fault of kontext's: report it with this line and the version above.",
    )
