"""How often one owner may ask: by a clock that a test moves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import anyio
import anyio.lowlevel
import mcp_types as types
import pytest
from inline_snapshot import snapshot
from mcp.shared.exceptions import MCPError

from kontext_server.app import LOCAL_OWNER
from kontext_server.surface.failures import error_result
from kontext_server.surface.limits import BEGIN, MISS, READ, SPEND, Limits
from kontext_tools.buckets import Rate
from kontext_tools.errors import NotFound, RateLimited
from support.fake_clock import FakeClock

pytestmark = pytest.mark.anyio

RATES = {"read": READ, "spend": SPEND, "begin": BEGIN}


def taken(limits: Limits, owner: str, rate: Rate) -> int:
    """Take until it is refused; give how often that went well."""
    count = 0
    while True:
        try:
            limits.take(owner, rate)
        except RateLimited:
            return count
        count += 1


@pytest.mark.parametrize("name", RATES)
def test_a_burst_is_served_then_one_at_a_time_and_the_named_wait_is_enough(name: str) -> None:
    clock, rate = FakeClock(), RATES[name]
    limits = Limits(clock)
    assert taken(limits, "ann", rate) == rate.burst
    for _ in range(3):
        with pytest.raises(RateLimited) as caught:
            limits.take("ann", rate)
        assert caught.value.failure.retry_after_s is not None
        clock.advance(caught.value.failure.retry_after_s)
        assert taken(limits, "ann", rate) == max(1, rate.per_s)
    clock.advance(1e6)
    assert taken(limits, "ann", rate) == rate.burst


def test_whoever_floods_takes_from_nobody_else() -> None:
    limits = Limits(FakeClock())
    for rate in RATES.values():
        taken(limits, "ann", rate)
    assert [taken(limits, "bob", rate) for rate in RATES.values()] == [rate.burst for rate in RATES.values()]


def test_who_guesses_is_held_back_from_all_until_a_guess_is_left() -> None:
    clock = FakeClock()
    limits = Limits(clock)
    for _ in range(MISS.burst):
        limits.take("ann", READ)
        limits.missed("ann")
    for rate in RATES.values():
        with pytest.raises(RateLimited) as caught:
            limits.take("ann", rate)
        assert caught.value.failure.to_dict() == snapshot(
            {
                "code": "rate_limited",
                "message": "This asked for too much that does not exist; nothing was read and nothing sent.",
                "fix": "Wait 2 s, then make the same call again.",
                "retryable": True,
                "retry_after_s": 2,
                "billed": "no",
            }
        )
    clock.advance(2)
    limits.take("ann", READ)


def test_only_so_many_owners_are_remembered_and_the_longest_silent_is_forgotten() -> None:
    limits = Limits(FakeClock(), most_owners=2)
    for owner in ("ann", "bob"):
        taken(limits, owner, SPEND)
    limits.take("ann", READ)
    limits.take("cleo", READ)
    assert taken(limits, "ann", SPEND) == 0
    assert taken(limits, "bob", SPEND) == SPEND.burst
    assert len(limits._owners) == 2  # pyright: ignore[reportPrivateUsage]  # what is kept is the point


class Hasty(FakeClock):
    """A clock by which every wait is over at once."""

    async def wait(self, event: anyio.Event, seconds: float) -> bool:  # noqa: ARG002  # the clock's
        """Wait for nothing."""
        await anyio.lowlevel.checkpoint()
        return event.is_set()


async def test_of_one_owners_refusals_ten_a_second_are_told_however_many_ask() -> None:
    clock = FakeClock()
    limits, told = Limits(clock), list[int]()
    taken(limits, LOCAL_OWNER, READ)

    async def handler(_: object, __: types.CallToolRequestParams) -> types.CallToolResult:
        raise AssertionError

    async def ask(number: int) -> None:
        ctx = SimpleNamespace(method="tools/call", params={"name": "get_status"}, request_id=number)
        await limits.calls(handler)(cast("Any", ctx), types.CallToolRequestParams(name="get_status"))
        told.append(number)

    seen = list[int]()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as asking:
            for number in range(60):
                asking.start_soon(ask, number)
            await clock.sleepers(60)
            for _ in range(6):
                clock.advance(1.0)
                await anyio.wait_all_tasks_blocked()
                seen.append(len(told))
    assert seen == [10, 20, 30, 40, 60, 60]
    assert told == list(range(60))


async def test_a_call_of_a_tool_is_refused_by_an_answer_and_never_reaches_its_handler() -> None:
    limits, reached = Limits(Hasty()), list[str]()

    async def handler(_: object, params: types.CallToolRequestParams) -> types.CallToolResult:
        reached.append(params.name)
        return error_result(NotFound("No job has that id.", fix="Make a job first.").failure)

    call = limits.calls(handler)

    async def ask(name: str) -> Any:
        ctx = SimpleNamespace(method="tools/call", params={"name": name}, request_id=1)
        answer = await call(cast("Any", ctx), types.CallToolRequestParams(name=name))
        return cast("types.CallToolResult", answer).structured_content

    codes = [(await ask("get_status"))["error"]["code"] for _ in range(MISS.burst + 5)]
    assert codes == ["not_found"] * MISS.burst + ["rate_limited"] * 5
    assert (await ask("edit_image"))["error"]["code"] == "rate_limited"
    assert len(reached) == MISS.burst


async def test_another_request_is_refused_by_an_error_that_says_when() -> None:
    limits, reached = Limits(Hasty()), 0

    async def handler(_: object) -> None:
        nonlocal reached
        reached += 1
        raise MCPError(types.INVALID_PARAMS, "There is no resource of that address.")

    async def ask(method: str, request_id: int | None = 1) -> MCPError:
        ctx = SimpleNamespace(method=method, params={}, request_id=request_id)
        with pytest.raises(MCPError) as caught:
            await limits.gate(cast("Any", ctx), handler)
        return caught.value

    codes = [(await ask("resources/read")).error.code for _ in range(MISS.burst)]
    refused = (await ask("tasks/get")).error
    assert set(codes) == {types.INVALID_PARAMS}
    assert (refused.code, refused.data) == (types.INVALID_REQUEST, {"code": "rate_limited", "retry_after_s": 2})
    assert reached == MISS.burst
    assert (await ask("notifications/cancelled", None)).error.code == types.INVALID_PARAMS
