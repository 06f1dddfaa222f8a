"""What is built of the tree as it stands, by the project's own build backend, and what an installation brings."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


def needed(distribution: str) -> set[str]:
    """Give the names of what an installation brings here: a distribution, what it needs, and what those need."""
    found: set[str] = set()
    ahead = [Requirement(distribution)]
    while ahead:
        wanted = ahead.pop()
        name = wanted.name.lower().replace("_", "-")
        if name in found:
            continue
        found.add(name)
        needs = [Requirement(text) for text in metadata.requires(name) or []]
        extras = wanted.extras or {""}
        ahead += [need for need in needs if not need.marker or any(need.marker.evaluate({"extra": e}) for e in extras)]
    return found


def wheel_of(tree: Path, folder: Path) -> Path:
    """Build a tree's wheel into a folder; the backend stands in this environment, so that nothing is fetched."""
    return _build("build_wheel", tree, folder)


def sdist_of(tree: Path, folder: Path) -> Path:
    """Build a tree's source distribution into a folder."""
    return _build("build_sdist", tree, folder)


def fresh_environment(folder: Path) -> Path:
    """Make an environment that holds nothing but what this one has beside the project; give its Python.

    An editable install hangs on a `.pth` file, which counts in a folder of packages alone and not in one that another
    `.pth` file names: so the project itself is not there.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    (packages_of(folder) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python


def packages_of(environment: Path) -> Path:
    """Give where an environment of ours keeps its packages."""
    return Path(sysconfig.get_path("purelib", vars={"base": str(environment), "platbase": str(environment)}))


def _build(verb: str, tree: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    program = f"import sys; from hatchling.build import {verb}; print({verb}(sys.argv[1]))"
    run = subprocess.run([sys.executable, "-c", program, folder], cwd=tree, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return folder / run.stdout.strip().splitlines()[-1]
