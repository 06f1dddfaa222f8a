"""What every check is given: the settings as they were read, and what of this machine a test brings its own of.

What this is: values and the questions to the machine, each replaceable. What it is not: a check. Above: every check,
cli. Below: settings, logs.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kontext_server.clients.places import Surroundings
from kontext_server.setting_sources import SettingError, config_file
from kontext_server.settings import Settings, load
from kontext_tools.clocks import Clock, SystemClock

PATIENCE_S = 10.0
"""So long a provider is waited for."""

LOCKED_S = 5.0
"""So long another process's lock on the database is waited for: as long as the store itself does."""


def free_bytes(folder: Path) -> int:
    """Give the space that is left where a folder is."""
    return shutil.disk_usage(folder).free


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One examination.

    Attributes:
        settings: as they were read; `None` where they cannot be.
        mistakes: why not, a sentence for each.
        online: whether providers may be asked.
        environment: as this program found it.
        config_file: where `kontext.toml` is looked for.
        at: where clients' files lie.
        clock: this machine's.
        patience_s: for one provider.
        locked_s: for another's lock on the database.
        needs_of: gives what a distribution requires, or raises PackageNotFoundError.
        version_of: gives the installed version of a distribution.
        free_bytes: gives the space that is left at a folder.
        mounts: the system's list of mounted file systems, where it has one.
        python: the interpreter's version.
    """

    settings: Settings | None
    mistakes: tuple[str, ...] = ()
    online: bool = False
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    config_file: Path = field(default_factory=config_file)
    at: Surroundings = field(default_factory=Surroundings.here)
    clock: Clock = field(default_factory=SystemClock)
    patience_s: float = PATIENCE_S
    locked_s: float = LOCKED_S
    needs_of: Callable[[str], Sequence[str] | None] = importlib.metadata.requires
    version_of: Callable[[str], str] = importlib.metadata.version
    free_bytes: Callable[[Path], int] = free_bytes
    mounts: Path = Path("/proc/mounts")
    python: tuple[int, int, int] = sys.version_info[:3]

    @property
    def read(self) -> Settings:
        """The settings, for a check that is made only where they could be read."""
        assert self.settings is not None
        return self.settings


def open_case(*, online: bool) -> Case:
    """Read the settings of this process and give the case; nothing is made or sent."""
    try:
        return Case(settings=load(), online=online)
    except SettingError as wrong:
        return Case(settings=None, mistakes=wrong.every, online=online)
