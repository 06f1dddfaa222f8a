"""What the project says of itself in one place each: pyproject.toml, the package's version, the settings, the tools.

What this is: read by what is made for others (`bundle`, `registry`), so that nothing is written twice. Above: bundle,
registry. Below: kontext_server.
"""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kontext_server.app import build
from kontext_server.settings import load
from kontext_server.surface.tools import Tools

ROOT = Path(__file__).parents[2]


def declared() -> Mapping[str, Any]:
    """Give pyproject.toml's `[project]`."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pinned() -> list[str]:
    """Give the exact versions that the tests run with, such as `anyio==4.16.0`."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def tools() -> list[tuple[str, str]]:
    """Give each tool's name, and what it does in one sentence."""
    with tempfile.TemporaryDirectory() as folder:
        specs = Tools(build(load(kontext_data_dir=Path(folder)))).specs
    return [(spec.name, _sentence(spec.description or "")) for spec in specs]


def _sentence(text: str) -> str:
    return f"{text.partition('. ')[0].rstrip('.')}."
