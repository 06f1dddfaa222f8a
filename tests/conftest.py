"""What every test may ask for."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from coverage import Coverage
from hypothesis import HealthCheck, settings

from kontext_server.simulator.serve import Running, running
from support import bar
from support.contract import CELL, table

if TYPE_CHECKING:
    from support.bucket import Held
    from support.postgres import Server

# How fast the machine draws examples is no property of ours: nothing in the suite asserts wall time.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

# What is imported and collected lives to the end of the run: the collector rests meanwhile, and never walks it.
gc.disable()

# A shell starts what runs in the background with Ctrl-C ignored, and children inherit that; the tests interrupt theirs.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

NODE_FOLDER = Path(__file__).parent.parent / ".ci" / "node" / "node_modules" / ".bin"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the whole of what the suite runs a sample of."""
    parser.addoption("--campaign", action="store_true", help="run the random campaigns whole, not a sample")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Let the collector go to work once all is collected, on what the tests themselves make."""
    collected = yield
    gc.freeze()
    gc.enable()
    return collected


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where KONTEXT_TESTS_MAY_SKIP is 0 (.ci/run), a skipped test is a failed one: what it needs must be installed."""
    report = yield
    if report.skipped and os.environ.get("KONTEXT_TESTS_MAY_SKIP") == "0":
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {report.longrepr}"
    return report


OF_THE_WHOLE = frozenset({"benchmarks", "browser", "conformance", "end_to_end", "reliability"})
"""The suites that start processes and wait for them. Coverage rests in them and in what they start: they walk the ways
of the other suites, at twice the cost."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each worker begin with its share of the suites of the whole, file by file.

    Each takes a stretch of the list. In the order of the folders some would have nothing but these, and the last
    minutes of a run be a few of them alone.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    whole = [item for item in items if OF_THE_WHOLE.intersection(item.path.parts)]
    others = [item for item in items if not OF_THE_WHOLE.intersection(item.path.parts)]
    files = list(dict.fromkeys(item.path for item in whole))
    dealt = list[pytest.Item]()
    for worker in range(workers):
        mine = set(files[worker::workers])
        first = [item for item in whole if item.path in mine]
        room = max(0, len(items) // workers - len(first))
        dealt += first + others[:room]
        others = others[room:]
    items[:] = dealt + others


@pytest.fixture(autouse=True)
def measured_where_it_tells(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Let coverage rest in the suites of the whole, and follow into the processes that the others start."""
    measuring = Coverage.current()
    if not OF_THE_WHOLE.intersection(request.path.parts):
        yield
        return
    for name in ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    if measuring is not None:
        measuring.stop()
    yield
    if measuring is not None:
        measuring.start()


CELLS: dict[tuple[str, str], str] = {}
CASES: dict[str, str] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect the contract's cells and the bar's cases, from whichever process ran the test."""
    if report.when == "call" or not report.passed:
        bar.note(CASES, report.nodeid, report.outcome)
    for name, value in report.user_properties:
        if name == CELL and report.when == "call":
            provider, case, result = str(value).split("|")
            CELLS[provider, case] = "FAILED" if report.failed else result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the contract's table (provider x case) and the bar's list, where their suites ran."""
    for line in [*table(CELLS), *bar.table(CASES)]:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio, as the server does."""
    return "asyncio"


@pytest.fixture
def whole_campaign(request: pytest.FixtureRequest) -> bool:
    """Whether to run a random campaign whole."""
    return bool(request.config.getoption("--campaign"))


@pytest.fixture(scope="session")
def inspector_program() -> list[str]:
    """The MCP inspector, on Node 22, from npm."""
    program = [str(NODE_FOLDER / "node"), str(NODE_FOLDER / "mcp-inspector")]
    if not Path(program[0]).exists():
        pytest.skip("needs Node 22 and the MCP inspector: npm install --no-package-lock --prefix .ci/node .ci/node")
    return program


@pytest.fixture
def inspector(inspector_program: list[str]) -> list[str]:
    """Its command line."""
    return [*inspector_program, "--cli"]


@pytest.fixture
def conformance() -> list[str]:
    """The official conformance suite's command line, on Node 22, from npm."""
    program = [str(NODE_FOLDER / "node"), str(NODE_FOLDER / "conformance")]
    if not all(Path(part).exists() for part in program):
        pytest.skip("needs Node 22 and the conformance suite: npm install --no-package-lock --prefix .ci/node .ci/node")
    return program


@pytest.fixture
def mcpb() -> list[str]:
    """The official tool for bundles, on Node 22, from npm."""
    program = [str(NODE_FOLDER / "node"), str(NODE_FOLDER / "mcpb")]
    if not all(Path(part).exists() for part in program):
        pytest.skip("needs Node 22 and mcpb: npm install --no-package-lock --prefix .ci/node .ci/node")
    return program


@pytest.fixture
def simulator(request: pytest.FixtureRequest) -> Generator[Running]:
    """The providers' wires on loopback, for one test; a job takes the module's `JOB_SECONDS`, else no time."""
    job_seconds: float = getattr(cast("Any", request).module, "JOB_SECONDS", 0.0)
    with running(job_seconds=job_seconds) as started:
        yield started


@pytest.fixture(scope="session")
def storage() -> Generator[str]:
    """S3-compatible storage on loopback, one for each process of the run that asks for it."""
    from support import bucket

    with bucket.running() as base_url:
        yield base_url


@pytest.fixture(scope="session")
def postgres() -> Generator[Server]:
    """PostgreSQL on loopback, one for each process of the run that asks for it."""
    from support import postgres

    with postgres.running() as server:
        yield server


@pytest.fixture
def held(storage: str) -> Held:
    """A bucket of the test's own."""
    from support import bucket

    return bucket.made(storage)
