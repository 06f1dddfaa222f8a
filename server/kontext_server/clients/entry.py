"""How a client shall start this server: the command, and what of this environment it passes on.

What this is: the absolute path of this environment's own `kontext`, so that a client starts exactly the version that
wrote it, whatever its PATH, and without a network: also where pipx, `uv tool` or uvx made the environment. What it is
not: how one client writes it down (`table`). Above: work, shown. Below: settings (which variables there are).

A client's servers do not see the shell that `install` ran in. So the settings that are set there are passed on: as they
are where they are no secret, else by reference, and never where `kontext.toml` holds the key, which the server reads
itself. XDG's two folders go too, for the store and `kontext.toml` lie in them.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, cast

from kontext_server.setting_sources import is_key, known_names
from kontext_server.settings import Settings

PROGRAMS = ("kontext", "kontext-tool-server")
"""The two names of our program, and the second the package's (pyproject.toml)."""

MODULE = "kontext_server"
FOLDERS = ("XDG_CONFIG_HOME", "XDG_DATA_HOME")
_CREDENTIALS = re.compile(r"://[^/\s]*@")
_PATHS = ("KONTEXT_DATA_DIR", "KONTEXT_OUTPUT_DIR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How the server is started.

    Attributes:
        command: an absolute path.
        arguments: what follows it.
        plain: variables that are passed on as they are.
        secret: names of variables that hold a key and are set only in this environment.
    """

    command: str
    arguments: tuple[str, ...]
    plain: Mapping[str, str]
    secret: tuple[str, ...]


def launch(variables: Mapping[str, str], kept: Collection[str], python: Path) -> Launch:
    """Give how this environment's server is started.

    Args:
        variables: of the environment.
        kept: names, upper-case, that `kontext.toml` holds.
        python: the interpreter, as it was called: what a virtual environment's link leads to has no `kontext` beside.
    """
    command, arguments = _program(python)
    given = {name.upper(): variables.get(name.upper(), "") for name in known_names(Settings)}
    given |= {name: variables.get(name, "") for name in FOLDERS}
    set_here = {name: value for name, value in given.items() if value}
    secret = [name for name, value in set_here.items() if is_secret(name, value)]
    return Launch(
        command=command,
        arguments=arguments,
        plain={name: _absolute(name, value) for name, value in set_here.items() if name not in secret},
        secret=tuple(name for name in secret if name not in kept and f"{name}_FILE" not in kept),
    )


def is_secret(name: str, value: str) -> bool:
    """Whether a variable may not be written down: a key, or an address with a password in it.

    >>> is_secret("FAL_KEY", "x"), is_secret("KONTEXT_PROXY", "http://jo:pw@host"), is_secret("KONTEXT_MODEL", "a@b")
    (True, True, False)
    """
    return is_key(name.lower()) or _CREDENTIALS.search(value) is not None


def is_ours(entry: Any) -> bool:
    """Whether a client's entry starts this server, from wherever: our program, our module, or uvx and our package."""
    if not isinstance(entry, dict):
        return False
    fields = cast("dict[str, Any]", entry)
    command, arguments = fields.get("command"), fields.get("args", [])
    if not isinstance(command, str) or not isinstance(arguments, list):
        return False
    words = [word for word in cast("list[Any]", arguments) if isinstance(word, str)]
    named = any(word.partition("@")[0].partition("==")[0] == PROGRAMS[1] for word in words)
    return _stem(command) in PROGRAMS or words[:2] == ["-m", MODULE] or named


def may_vanish(command: str) -> bool:
    """Whether the program lies in uv's cache, where uvx makes its environments: `uv cache clean` takes it away."""
    parts = PurePosixPath(command.replace("\\", "/")).parts
    return any(part.startswith(("archive-v", "environments-v", "builds-v")) for part in parts)


def _program(python: Path) -> tuple[str, tuple[str, ...]]:
    beside = python.absolute().parent / (f"{PROGRAMS[0]}.exe" if os.name == "nt" else PROGRAMS[0])
    if beside.is_file():
        return str(beside), ("serve",)
    return str(python.absolute()), ("-m", MODULE, "serve")


def this_python() -> Path:
    """Give the interpreter that runs."""
    return Path(sys.executable)


def _absolute(name: str, value: str) -> str:
    # A client starts its servers in a folder of its own choice.
    is_path = name.endswith("_FILE") or name in _PATHS
    return str(Path(value).expanduser().absolute()) if is_path else value


def _stem(command: str) -> str:
    name = PureWindowsPath(command).name if "\\" in command else PurePosixPath(command).name
    return name.lower().removesuffix(".exe").removesuffix(".cmd")
