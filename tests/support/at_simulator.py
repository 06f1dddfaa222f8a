"""A toolkit in this process, on a clock that a test moves, whose provider is core.today's wire of the simulator."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from kontext_server.simulator.serve import Running
from kontext_tools.budget import Caps
from kontext_tools.guard import Guard
from kontext_tools.http import Http
from kontext_tools.jobs import SendState
from kontext_tools.providers.core_today import CoreToday
from kontext_tools.redaction import Redactor
from support.fake_clock import FakeClock
from support.workshop import Workshop, workshop

ENDED = (SendState.COMPLETED, SendState.FAILED, SendState.CANCELLED, SendState.UNKNOWN)


@asynccontextmanager
async def at_simulator(
    folder: Path,
    base_url: str,
    *,
    clock: FakeClock | None = None,
    caps: Caps | None = None,
    redact: Redactor | None = None,
) -> AsyncGenerator[Workshop]:
    """Give a toolkit that sends to the simulator at this root address."""
    address, http = f"{base_url}/core.today/v1", Http(redact=redact)
    provider = CoreToday(http, key="cdt_x", base_url=address)
    try:
        async with workshop(folder, provider, guard=Guard(trusted=[address]), clock=clock, caps=caps) as shop:
            yield shop
    finally:
        await http.aclose()


async def let_pass(shop: Workshop, seconds: float, *, step_s: float = 1.0) -> None:
    """Let time pass in steps, each long enough for the engine to do what is due."""
    for _ in range(round(seconds / step_s)):
        await shop.let_pass(step_s)


def creates_at(simulator: Running, wire: str = "core.today") -> list[float]:
    """Give when each create came, in seconds of the simulator's clock; there must be as many as it counted."""
    times = [entry.time for entry in simulator.state.journal.entries() if entry.method == "POST" and wire in entry.path]
    assert len(times) == simulator.state.counter()["creates"][wire]
    return times


def charged_at(simulator: Running, wire: str = "core.today") -> int:
    """Give how many creates were accepted."""
    return simulator.state.counter()["charged"][wire]
