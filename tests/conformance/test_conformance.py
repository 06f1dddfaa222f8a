"""The official conformance suite runs against our server over HTTP, for both revisions that we speak.

What a revision requires must pass but for `expected_failures.yml`. What the suite runs beside that without scoring it
(extensions, scenarios it holds for pending) is pinned here, so that a change shows.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from support.stdio_server import environment

pytestmark = pytest.mark.node

HERE = Path(__file__).parent
NO_HEADERS = "no tool of ours takes a parameter from a header"
FLAT = "our schemas are flat on purpose (CONTRACT.md section 2); pending in the suite"
NO_EVENT_STORE = "no stream of ours is resumed: a job is asked for by its id; pending in the suite"
UNSCORED = {
    "2025-11-25": {"json-schema-2020-12": FLAT, "server-sse-polling": NO_EVENT_STORE},
    "2026-07-28": {
        "json-schema-2020-12": FLAT,
        "http-custom-header-server-validation": NO_HEADERS,
    },
}
"""Scenarios without a score that fail, and why that is right."""

_COUNT = re.compile(r"^(?:✓|✗) ([\w-]+): (\d+) passed, (\d+) failed$", re.MULTILINE)
_NOT_SCORED = re.compile(r"^ +- ([\w-]+) \[server\]$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a run of the suite told.

    Attributes:
        code: its exit code.
        told: all it wrote.
        checks: passed and failed checks by scenario.
        unscored: scenarios that do not count.
    """

    code: int
    told: str
    checks: dict[str, tuple[int, int]]
    unscored: frozenset[str]

    def sums(self, names: Sequence[str]) -> str:
        """Give the counts of some scenarios in words."""
        sound = sum(self.checks[name][1] == 0 for name in names)
        passed, failed = (sum(self.checks[name][part] for name in names) for part in (0, 1))
        return f"{sound} of {len(names)} scenarios, {passed} checks passed, {failed} failed"

    @property
    def scored(self) -> list[str]:
        """Scenarios that the revision requires."""
        return [name for name in self.checks if name not in self.unscored]


@contextmanager
def _fixture_server(folder: Path) -> Generator[str]:
    """Give the address of our server with the fixtures."""
    process = subprocess.Popen(
        [sys.executable, "-m", "conformance.fixture_server"],
        env=environment(folder) | {"PYTHONPATH": str(HERE.parent)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
    assert process.returncode == 0


def _asked(command: Sequence[str]) -> tuple[int, str]:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def _run(suite: Sequence[str], folder: Path, revision: str) -> Ran:
    _, listed = _asked([*suite, "list", "--requirements", revision])
    baseline = ["--expected-failures", str(HERE / "expected_failures.yml")]
    with _fixture_server(folder) as address:
        where = ["--url", address, "-o", str(folder / "results")]
        code, told = _asked([*suite, "server", "--requirements", revision, *baseline, *where])
    checks = {name: (int(passed), int(failed)) for name, passed, failed in _COUNT.findall(told)}
    return Ran(code=code, told=told, checks=checks, unscored=frozenset(_NOT_SCORED.findall(listed)))


@pytest.mark.parametrize("revision", UNSCORED)
def test_what_a_revision_requires_passes(conformance: list[str], tmp_path: Path, revision: str) -> None:
    ran = _run(conformance, tmp_path, revision)
    print(f"conformance {revision}, required: {ran.sums(ran.scored)}")
    print(f"conformance {revision}, not scored: {ran.sums(sorted(ran.unscored))}")
    tasks = sorted(name for name in ran.unscored if name.startswith("tasks-") and any(ran.checks[name]))
    if tasks:
        print(f"conformance {revision}, tasks extension: {ran.sums(tasks)}")
    assert ran.code == 0, ran.told
    assert len(tasks) == snapshot({"2025-11-25": 0, "2026-07-28": 9})[revision]
    assert {name for name in ran.unscored if ran.checks[name][1]} == UNSCORED[revision].keys()
    assert len(ran.scored) == snapshot({"2025-11-25": 30, "2026-07-28": 37})[revision]
