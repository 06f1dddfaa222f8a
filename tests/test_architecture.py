"""The house keeps its shape: arrows point down, files stay small, nothing heavy loads at start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*ROOT.glob("tools/**/*.py"), *ROOT.glob("server/**/*.py")])
TESTS = sorted(ROOT.glob("tests/**/*.py"))
LOADED_WHEN_FIRST_USED = (
    "PIL",
    "obstore",
    "psycopg",
    "jwt",
    "rich",
    "uvloop",
    "httptools",
    "prometheus_client",
    "kontext_tools.linting",
    "kontext_tools.providers.core_today",
    "kontext_server.web",
    "kontext_server.simulator",
)


def test_every_import_contract_is_kept() -> None:
    """The contracts stand in pyproject.toml; a new module without a declared place breaks one."""
    lint = Path(sys.executable).parent / "lint-imports"
    run = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("most", [300])
def test_no_product_file_is_longer_than_a_reader_bears(most: int) -> None:
    long = {str(path.relative_to(ROOT)): lines for path in SOURCES if (lines := _lines(path)) > most}
    assert long == {}


def test_no_test_file_is_longer_than_a_reader_bears() -> None:
    long = {str(path.relative_to(ROOT)): lines for path in TESTS if (lines := _lines(path)) > 500}
    assert long == {}


def test_every_module_says_what_it_is() -> None:
    silent = [str(path.relative_to(ROOT)) for path in SOURCES if not path.read_text("utf-8").startswith('"""')]
    assert silent == []


def test_nothing_heavy_is_loaded_before_it_is_used() -> None:
    """Start-up belongs to the SDK's own import; our share stays small (DESIGN.md section 4)."""
    program = (
        "import sys, json; import kontext_server.stdio, kontext_server.surface.server; "
        "print(json.dumps(sorted(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(json.loads(run.stdout))
    assert [name for name in LOADED_WHEN_FIRST_USED if name in loaded] == []


def test_help_and_version_load_neither_the_protocol_nor_the_engine() -> None:
    program = (
        "import sys, json; from click.testing import CliRunner; from kontext_server.cli import command_line; "
        "assert CliRunner().invoke(command_line, ['--help']).exit_code == 0; print(json.dumps(sorted(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(json.loads(run.stdout))
    assert [name for name in ("mcp", "pydantic", "anyio", "httpx2", "PIL") if name in loaded] == []


def _lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())
