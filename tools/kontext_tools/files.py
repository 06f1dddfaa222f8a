"""Files of this machine: whether one lies in a folder, what was really opened, and the names near to one.

What this is: what the rule about allowed folders is judged by. What it is not: the rule, or the reading (`sources`).
Above: sources. Below: quoting.
"""

from __future__ import annotations

import difflib
import os
import sys
from pathlib import Path

from kontext_tools.quoting import is_plain

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif"})
_APPLICATION_DATA = {"darwin": "Library", "win32": "AppData"}.get(sys.platform)
"""Where programs keep what is a person's, but not hidden by a dot."""


def lies_in(path: Path, root: Path) -> bool:
    """Whether a path lies in a folder, and in nothing hidden or kept by programs below it."""
    try:
        inside = path.relative_to(os.path.realpath(root))
    except ValueError:
        return False
    return not any(part.startswith(".") or part == _APPLICATION_DATA for part in inside.parts)


def opened_path(descriptor: int, path: Path) -> Path:
    """Give where the opened file really lies, symlinks resolved."""
    try:
        return Path(f"/proc/self/fd/{descriptor}").readlink()
    except OSError:
        # No /proc (macOS, Windows): resolve the name, and prove that it still names what was opened.
        real = Path(os.path.realpath(path))
        try:
            same = os.path.samestat(real.stat(), os.fstat(descriptor))
        except OSError:
            same = False
        return real if same else Path("/")


def nearest_names(folder: Path, name: str) -> list[str]:
    """Give at most three names of pictures in a folder, those like a name first; none that could not be said back."""
    try:
        names = [
            entry.name
            for entry in os.scandir(folder)
            if Path(entry.name).suffix.lower() in IMAGE_SUFFIXES
            and not entry.name.startswith(".")
            and is_plain(entry.name)
        ]
    except OSError:
        return []
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.3)
    return near or sorted(names)[:3]
