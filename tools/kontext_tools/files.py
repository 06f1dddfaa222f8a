"""Files of this machine: whether one lies in a folder, what was really opened, and the names near to one.

What this is: what the rule about allowed folders is judged by. What it is not: the rule, or the reading (`sources`).
Above: sources. Below: quoting.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable, Iterable
from pathlib import Path, PurePath

from kontext_tools.quoting import is_plain

_DRIVE = re.compile(r"/[A-Za-z]:(?:/|$)")
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif"})
_APPLICATION_DATA = {"darwin": "library", "win32": "appdata"}
"""Where programs keep what is a person's, but not hidden by a dot; both systems take a name in any case."""
_MARKS_HIDDEN = any(hasattr(os.stat_result, name) for name in ("st_file_attributes", "st_flags"))
"""Whether this system hides by a mark (Windows' attribute, macOS' flag) as well as by a dot."""


def on_drive_of(path: PurePath, roots: Iterable[PurePath]) -> bool:
    """Whether a path's drive is that of one of some folders, judged by the text alone.

    Windows sends a person's credentials to whatever machine a path such as `//host/share/cat.png` names, at the first
    look there; elsewhere no path names a drive.
    """
    return path.drive.casefold() in {root.drive.casefold() for root in roots}


def is_marked_hidden(status: object) -> bool:
    """Whether a file or folder bears the mark by which Windows or macOS hides it; the status is `os.stat`'s there."""
    attributes, flags = getattr(status, "st_file_attributes", 0), getattr(status, "st_flags", 0)
    return bool(attributes & stat.FILE_ATTRIBUTE_HIDDEN or flags & stat.UF_HIDDEN)


def _is_hidden_at(path: Path) -> bool:
    try:
        return _MARKS_HIDDEN and is_marked_hidden(path.stat())
    except OSError:  # what is not there is told as any other that is not there
        return False


def lies_in(
    path: Path, root: Path, *, system: str = sys.platform, is_hidden_at: Callable[[Path], bool] = _is_hidden_at
) -> bool:
    """Whether a path lies in a folder, and in nothing hidden or kept by programs below it.

    Args:
        path: symlinks resolved.
        root: the folder.
        system: as `sys.platform` names it.
        is_hidden_at: looks whether a file or folder bears the system's mark.
    """
    real = Path(os.path.realpath(root))
    try:
        inside = path.relative_to(real)
    except ValueError:
        return False
    if any(is_kept_away(part, system) for part in inside.parts):
        return False
    below = [inside, *inside.parents][:-1]
    return not any(is_hidden_at(real / part) for part in below)


def is_kept_away(name: str, system: str) -> bool:
    """Whether a file or folder of such a name is hidden, or holds programs' data."""
    return name.startswith(".") or name.casefold() == _APPLICATION_DATA.get(system)


def path_in_address(path: str, *, system: str = sys.platform) -> str:
    """Give the path that a file address means: `/C:/cat.png` is `C:/cat.png` on Windows."""
    return path[1:] if system == "win32" and _DRIVE.match(path) else path


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
    from difflib import get_close_matches

    near = get_close_matches(name, names, n=3, cutoff=0.3)
    return near or sorted(names)[:3]
