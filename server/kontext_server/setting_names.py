"""Names that are no settings, told with the nearest one that is.

What this is: the words for a slip of a person's. What it is not: the settings (`settings`), or whether a slip ends the
program. Above: settings. Below: references, quoting.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from kontext_tools.quoting import quoted
from kontext_tools.references import nearest

MAX_NAME_CHARS = 64
MAX_NAMES = 10
"""So many names are told at most; an environment is another's too."""


def slip_in_file(names: Collection[str], known: Collection[str]) -> str | None:
    """Give what is told of the first name in `kontext.toml` that is no setting; `None` where all are.

    Args:
        names: of the file, lower-case.
        known: of all settings, lower-case.
    """
    odd = next((name for name in names if name not in known), None)
    if odd is None:
        return None
    return f"kontext.toml holds {_shown(odd)}, which is no setting of this version; the nearest is {_near(odd, known)}"


def slips_in_environment(environment: Mapping[str, str], known: Collection[str]) -> str | None:
    """Give one warning for set `KONTEXT_…` variables that are no settings; `None` where all are.

    Args:
        environment: as the program found it, names in any case.
        known: of all settings, lower-case.
    """
    set_here = {name.lower() for name, value in environment.items() if value}
    odd = sorted(name for name in set_here if name.startswith("kontext_") and name not in known)
    if not odd:
        return None
    told = [f"{_shown(name)} (the nearest is {_near(name, known)})" for name in odd[:MAX_NAMES]]
    told += [f"and {len(odd) - MAX_NAMES} more"] if len(odd) > MAX_NAMES else []
    return f"Variables that are no settings of this version do nothing: {', '.join(told)}."


def _shown(name: str) -> str:
    return quoted(name.upper(), MAX_NAME_CHARS)


def _near(name: str, known: Collection[str]) -> str:
    return nearest(name, known, count=1)[0].upper()
