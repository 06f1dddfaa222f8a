"""What doctor's tests share: a case under settings that a test names, on a machine without any of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kontext_server.doctor.case import Case
from kontext_server.settings import Settings, load

MakeCase = Callable[..., Case]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder that holds nothing, and an environment without settings."""
    for name in list(os.environ):
        if name.startswith("KONTEXT_") or name.lower().removesuffix("_file") in Settings.model_fields:
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    (folder / "config" / "kontext").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "share"))
    return folder


@pytest.fixture
def case(home: Path) -> MakeCase:
    """Give the case of settings; what a test names beside them is a fact of its own about the machine."""

    def make(settings: dict[str, Any] | None = None, **facts: Any) -> Case:
        given = {"kontext_data_dir": home / "data"} | {name.lower(): value for name, value in (settings or {}).items()}
        named: dict[str, Any] = {"environment": dict[str, str](), "mounts": home / "no mounts"} | facts
        return Case(settings=load(**given), **named)

    return make
