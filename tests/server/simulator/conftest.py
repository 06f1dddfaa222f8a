"""What the simulator's tests share: a clock that they turn, a client in process with its key."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, cast

import httpx2
import pytest

from kontext_server.simulator.app import build, new_state
from kontext_server.simulator.state import State
from support.wires import Clock

ROOT = "http://127.0.0.1:9876"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(clock: Clock) -> State:
    return new_state(clock=clock)


@pytest.fixture
async def client(state: State, request: pytest.FixtureRequest) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client with the module's `KEY_HEADERS`; core.today's, where it has none."""
    headers: dict[str, str] = getattr(cast("Any", request).module, "KEY_HEADERS", {"x-api-key": "cdt_test"})
    transport = httpx2.ASGITransport(build(state))
    async with httpx2.AsyncClient(transport=transport, base_url=ROOT, headers=headers) as http:
        yield http
