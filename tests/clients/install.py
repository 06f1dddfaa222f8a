"""Make the environments of the client frameworks, one for each: `python tests/clients/install.py [NAME …]`.

They pin different versions of `mcp`, and one of them cannot have the server's. An environment that already has what
its requirements file says is left as it is. Needs no third-party package.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

FRAMEWORKS = ("pydantic-ai", "openai-agents", "langchain", "google-genai")

_HERE = Path(__file__).parent
_ENVIRONMENTS = _HERE.parents[1] / ".ci" / "clients"
_PROGRAMS = "Scripts" if sys.platform == "win32" else "bin"


def python_of(framework: str) -> Path:
    """Give the interpreter of a framework's environment, whether it is there or not."""
    return _ENVIRONMENTS / framework / _PROGRAMS / ("python.exe" if sys.platform == "win32" else "python")


def is_ready(framework: str) -> bool:
    """Tell whether a framework's environment holds what its requirements file says."""
    return _noted(framework).exists() and _noted(framework).read_bytes() == _wanted(framework).read_bytes()


def install(framework: str) -> None:
    """Make a framework's environment as its requirements file says, unless it is ready.

    Raises:
        subprocess.CalledProcessError: pip failed; what it said is on stderr.
    """
    if is_ready(framework):
        return
    _noted(framework).unlink(missing_ok=True)
    venv.create(_ENVIRONMENTS / framework, with_pip=True)
    pip = [python_of(framework), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--requirement", _wanted(framework)], check=True)
    # Written last: an installation that broke off is made again.
    _noted(framework).write_bytes(_wanted(framework).read_bytes())


def _wanted(framework: str) -> Path:
    return _HERE / f"requirements-{framework}.txt"


def _noted(framework: str) -> Path:
    return _ENVIRONMENTS / framework / "installed.txt"


if __name__ == "__main__":
    for name in sys.argv[1:] or FRAMEWORKS:
        install(name)
