"""Scripted agents in the client frameworks that others wrote, each in its own environment, over stdio.

`python tests/clients/install.py` makes the environments. They hold the framework alone; the server they start is the
project's own.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from clients.install import FRAMEWORKS, is_ready, python_of
from clients.scenarios import SCENARIOS
from kontext_server.simulator.serve import running
from support.stdio_server import COMMAND, PHOTOS, environment

TESTS = Path(__file__).parent.parent

pytestmark = pytest.mark.clients


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> str:
    """A framework whose environment is there, as its requirements file says."""
    name = str(request.param)
    if not is_ready(name):
        pytest.skip(f"needs {name} in an environment of its own: python tests/clients/install.py {name}")
    return name


def test_a_scripted_agent_reaches_its_end_in_every_scenario(framework: str, tmp_path: Path) -> None:
    with running(job_seconds=0.5) as simulator:
        servers = {
            "sandbox": {"simulator": "", "env": environment(tmp_path / "sandbox")},
            "bare": {"simulator": "", "env": environment(tmp_path / "bare", {"KONTEXT_PREVIEW": "none"})},
            "priced": {"simulator": simulator.base_url, "env": environment(tmp_path / "priced", simulator.settings)},
        }
        given = json.dumps({"command": COMMAND, "photos": str(PHOTOS), "servers": servers})
        script = f"clients.{framework.replace('-', '_')}_agent"
        run = subprocess.run(
            [python_of(framework), "-m", script, given],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(TESTS)},
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
    told = [json.loads(line) for line in run.stdout.splitlines()]
    failed = [line for line in told if not line["passed"]]
    assert not failed, "\n".join(["", *(f"{line['scenario']}: {line['failure']}" for line in failed), *_talk(failed)])
    assert sorted(line["scenario"] for line in told) == sorted(scenario.name for scenario in SCENARIOS), run.stderr
    assert run.returncode == 0, run.stderr


def _talk(failed: list[dict[str, list[str]]]) -> list[str]:
    return [said for line in failed for said in line["transcript"]]
