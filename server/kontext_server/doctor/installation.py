"""Python, kontext and what it depends on: their versions against the bounds that the package names.

What it is not: a look at what is newest; no registry is asked. Above: checkup. Below: findings.
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
from collections.abc import Sequence

import anyio.lowlevel

from kontext_server import __version__
from kontext_server.doctor.case import Case
from kontext_server.doctor.findings import Finding, fail, ok, warn

DISTRIBUTION = "kontext-tool-server"
OLDEST_PYTHON = (3, 11)
REINSTALL = "Install kontext-tool-server anew, into an environment of its own."

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*\(?([^;()]*)\)?")
_BOUND = re.compile(r"(>=|<)\s*(\d+(?:\.\d+)*)")


async def look(case: Case) -> Sequence[Finding]:
    """Look at what is installed."""
    await anyio.lowlevel.checkpoint()
    return [_python(case), ok("kontext", f"{__version__} on {platform.platform(terse=True)}"), _packages(case)]


def _python(case: Case) -> Finding:
    version = ".".join(map(str, case.python))
    if case.python[:2] < OLDEST_PYTHON:
        return fail("python", f"{version} is too old", "Use Python 3.11 or later.")
    return ok("python", version)


def _packages(case: Case) -> Finding:
    try:
        wanted = case.needs_of(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return warn("packages", "kontext runs from its sources and is not installed as a package", REINSTALL)
    misfits: list[str] = []
    needed = [line for line in wanted if "extra ==" not in line]
    for line in needed:
        name, bounds = _read(line)
        misfit = _misfit(case, name, bounds)
        misfits += [] if misfit is None else [misfit]
    if misfits:
        return fail("packages", "; ".join(misfits), REINSTALL)
    return ok("packages", f"all {len(needed)} that are needed are here, in versions that fit")


def _read(line: str) -> tuple[str, list[tuple[str, str]]]:
    """Split `anyio<5,>=4.9` into a name and its bounds."""
    found = _REQUIREMENT.match(line)
    assert found is not None
    return found[1], _BOUND.findall(found[2])


def _misfit(case: Case, name: str, bounds: Sequence[tuple[str, str]]) -> str | None:
    try:
        version = case.version_of(name)
    except importlib.metadata.PackageNotFoundError:
        return f"{name} is missing"
    here = _numbers(version)
    fits = all(here >= _numbers(bound) if sign == ">=" else here < _numbers(bound) for sign, bound in bounds)
    wanted = ", ".join(f"{sign}{bound}" for sign, bound in bounds)
    return None if fits else f"{name} is {version}, and {wanted} is needed"


def _numbers(version: str) -> tuple[int, ...]:
    """Give a version's numbers; what stands behind them (`rc1`, `.post2`) decides no bound of ours."""
    numbers = re.match(r"\d+(?:\.\d+)*", version)
    read = [int(part) for part in numbers[0].split(".")] if numbers else [0]
    while read and not read[-1]:  # 4 and 4.0 are one version
        read.pop()
    return tuple(read)
