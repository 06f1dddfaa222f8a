"""The shape of a key: what cannot be one, and what does not look like its vendor's. Pure; a key is never told.

What it is not: whether a key is good; only its host knows (`online`). Above: providers, online. Below: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

PREFIXES: Mapping[str, str] = {"core.today": "cdt_", "runflow": "rf_live_", "replicate": "r8_"}
"""How keys begin where the vendor's own pages show it (read 2026-11-20); the others' follow no published rule."""

MIN_CHARS = 8
MAX_CHARS = 1000

_QUOTES = ("'", '"', "`", "\u2018", "\u2019", "\u201c", "\u201d")
_REFERENCE = re.compile(r"\$\{.*\}|\$\w+|%\w+%|\{\{.*\}\}|op://.*")
_PLACEHOLDER = re.compile(
    r"<.*>|\[.*\]|(?:\w{2,8}_)?[x*.\u2026]+|(?:.*[^a-z])?your(?:[^a-z].*)?|my[_-](?:api|key|token|secret).*|"
    r".*api[_-]?key.*|.*placeholder.*|.*change[_-]?me.*|(?:paste|insert|enter)[_ -].*|todo|none|null|undefined",
    re.IGNORECASE,
)


def fault(key: str, variable: str) -> str | None:
    """Give why a text cannot be a key, without a part of it; `None` where it can.

    Args:
        key: as the settings hold it, without blanks around it.
        variable: the setting that it stands in.
    """
    if key.upper().startswith((f"{variable}=", f"EXPORT {variable}")):
        return "its own name stands before it"
    if key.startswith(_QUOTES) or key.endswith(_QUOTES):
        return "quotation marks stand around it"
    if key.lower().startswith(("bearer ", "key ", "x-api-key", "authorization")):
        return "a header's word stands before it; only the key itself belongs there"
    if _REFERENCE.fullmatch(key):
        return "it is a reference that nothing has filled in"
    if _PLACEHOLDER.fullmatch(key):
        return "it is a placeholder"
    if "\n" in key or "\r" in key:
        return "it has more than one line"
    if any(char.isspace() for char in key):
        return "there are blanks in it"
    if not key.isascii() or not key.isprintable():
        return "it holds characters that no key has"
    if len(key) < MIN_CHARS:
        return f"it is shorter than {MIN_CHARS} characters"
    return f"it is longer than {MAX_CHARS} characters" if len(key) > MAX_CHARS else None


def oddity(key: str, provider: str) -> str | None:
    """Give what is unusual in a key that may be one; `None` where nothing is."""
    prefix = PREFIXES.get(provider, "")
    return None if key.startswith(prefix) else f"it does not begin with {prefix}, as {provider}'s keys do"


def made_up(provider: str) -> str:
    """Give a key of a provider's shape that nobody has."""
    return PREFIXES.get(provider, "") + "0" * 32
