"""Environments that others' servers are installed into: one of pip's or of npm's for each, and what is in it.

What this is: making one, what it holds, and why one could not be made, told without this machine's paths and without
the registries' names. What it is not: which servers there are (`peers`). Above: peers. Below: built.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Protocol

from support.built import packages_of

_ADDRESS = re.compile(r"\b[a-z][a-z+]*://[^\s'\")]+")
_FOLDERS = re.compile(r"(?<![\w./])/(?:[^/\s'\":]+/)+")
_FAILURE = re.compile(r"(?:ERROR: |npm error (?!code)|(?:\w+\.)*[A-Z]\w*(?:Error|Exception)\b)")
MOST_CHARS = 160


class NotInstalled(Exception):
    """An environment could not be made; the text is what the installer said."""


class Environment(Protocol):
    """A folder of its own with what was installed into it."""

    @property
    def folder(self) -> Path:
        """Where it is."""
        ...

    def make(self, wanted: Sequence[str]) -> None:
        """Install, byte-code compiled where there is such a thing; raises `NotInstalled`."""
        ...

    def program(self, name: str) -> Path:
        """Give where a program of it lies."""
        ...

    def version(self, name: str) -> str:
        """Give the version that a package has there."""
        ...

    def packages(self) -> int:
        """Count what was installed, the installer itself left out."""
        ...

    def size_mb(self) -> float:
        """Give what the packages' files hold, their byte-code with them."""
        ...


@dataclass(frozen=True, slots=True)
class OfPip:
    """A virtual environment of this Python, without pip in it."""

    folder: Path

    def make(self, wanted: Sequence[str]) -> None:
        """Make it anew."""
        venv.create(self.folder, clear=True)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(self.folder)]
        _run([*pip, "install", "--quiet", "--compile", *wanted])

    def program(self, name: str) -> Path:
        """Give where a program of it lies, the interpreter too."""
        return self.folder / "bin" / name

    def version(self, name: str) -> str:
        """Give a distribution's version."""
        return next(iter(metadata.distributions(name=name, path=[str(packages_of(self.folder))]))).version

    def packages(self) -> int:
        """Count the distributions."""
        return len({one.name for one in metadata.distributions(path=[str(packages_of(self.folder))])})

    def size_mb(self) -> float:
        """Add up the files of site-packages."""
        return _size_mb(packages_of(self.folder))


@dataclass(frozen=True, slots=True)
class OfNpm:
    """A folder with a `node_modules`; scripts of packages are not run."""

    folder: Path

    def make(self, wanted: Sequence[str]) -> None:
        """Make it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        npm = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        _run([*npm, "--prefix", str(self.folder), *wanted])

    def program(self, name: str) -> Path:
        """Give where a program of it lies."""
        return self.folder / "node_modules" / ".bin" / name

    def version(self, name: str) -> str:
        """Give a package's version."""
        return str(json.loads((self.folder / "node_modules" / name / "package.json").read_bytes())["version"])

    def packages(self) -> int:
        """Count the packages, each version of one by itself."""
        return len(json.loads((self.folder / "node_modules" / ".package-lock.json").read_bytes())["packages"])

    def size_mb(self) -> float:
        """Add up the files of node_modules."""
        return _size_mb(self.folder / "node_modules")


def why(text: str) -> str:
    """Give the first line of a log that names a failure, else its first line, fit to be printed in a table.

    Folders and addresses are left out of it.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = next((line for line in lines if _FAILURE.match(line)), lines[0] if lines else "it said nothing")
    shown = _FOLDERS.sub("", _ADDRESS.sub("…", line)).replace("|", "/")
    return shown if len(shown) <= MOST_CHARS else shown[: MOST_CHARS - 1] + "…"


def _run(command: Sequence[str]) -> None:
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as missing:
        raise NotInstalled(f"ERROR: {command[0]} is not installed") from missing
    if run.returncode != 0:
        raise NotInstalled(run.stderr or run.stdout)


def _size_mb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink()) / 1e6
