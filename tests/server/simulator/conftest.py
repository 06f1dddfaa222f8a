"""What the simulator's tests share: a clock that they turn, a client in process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

import httpx2
import pytest

from kontext_server.simulator.app import build, new_state
from kontext_server.simulator.state import State

ROOT = "http://127.0.0.1:9876"
NOON = 1_795_000_000.0


@dataclass
class Clock:
    """Seconds that pass only when a test says so."""

    now: float = NOON

    def __call__(self) -> float:
        return self.now

    def turn(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


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
async def client(state: State) -> AsyncGenerator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(build(state))
    async with httpx2.AsyncClient(transport=transport, base_url=ROOT, headers={"x-api-key": "cdt_test"}) as http:
        yield http
