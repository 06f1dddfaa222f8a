"""What the adapters' tests share: one simulator for a module, fresh for each test, and a client that trusts it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any, cast

import pytest

from kontext_server.simulator.serve import Running, running
from kontext_tools.guard import Guard
from kontext_tools.redaction import Redactor
from support.timed import Timed


@pytest.fixture(scope="module")
def started() -> Generator[Running]:
    with running(job_seconds=0.0) as simulator:
        yield simulator


@pytest.fixture
def simulator(started: Running) -> Running:
    """The module's simulator, with nothing in it of another test."""
    started.state.reset()
    return started


@pytest.fixture(scope="module")
def keys(request: pytest.FixtureRequest) -> list[str]:
    """The keys that the module's adapters are given: its `KEY`, unless it says otherwise."""
    return [cast("Any", request).module.KEY]


@pytest.fixture(scope="module")
async def http(started: Running, keys: list[str]) -> AsyncGenerator[Timed]:
    """A client that blots out those keys, as the server's own does with every key that it was given."""
    made = Timed(guard=Guard(trusted=[started.base_url]), redact=Redactor(keys))
    yield made
    await made.aclose()
