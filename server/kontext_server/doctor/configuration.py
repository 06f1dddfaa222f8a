"""Settings: whether they can be read, names that are none, and who else may read a key in the file.

Above: checkup. Below: settings, setting_names.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

import anyio.lowlevel

from kontext_server.doctor.case import Case
from kontext_server.doctor.findings import Finding, fail, ok, warn
from kontext_server.setting_sources import is_key, names_in_file
from kontext_server.settings import unknown_variables

OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""The rights of everybody but the owner."""


async def look(case: Case) -> Sequence[Finding]:
    """Look at the environment and at `kontext.toml`."""
    await anyio.lowlevel.checkpoint()
    there = case.config_file.is_file()
    where = f"the environment and {case.config_file}" if there else f"the environment; there is no {case.config_file}"
    fix = "Correct or remove it, in the environment or in kontext.toml."
    findings = [fail("settings", mistake, fix, of_settings=True) for mistake in case.mistakes]
    findings = findings or [ok("settings", f"read from {where}")]
    slips = unknown_variables(case.environment)
    if slips is not None:
        findings.append(warn("variables", slips, "Correct their names, or unset them."))
    return [*findings, *_rights(case)]


def _rights(case: Case) -> Sequence[Finding]:
    if os.name == "nt" or not case.config_file.is_file() or not any(is_key(name.lower()) for name in names_in_file()):
        return []
    if not case.config_file.stat().st_mode & OTHERS:
        return []
    cause = f"{case.config_file} holds a key and may be read by other users of this machine"
    return [warn("kontext.toml", cause, f"chmod 600 '{case.config_file}'")]
