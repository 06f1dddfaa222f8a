"""The faults that every wire suffers alike, on Replicate's, kkiai's and BFL's."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from kontext_server.simulator.state import State
from support.wires import Clock

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize(
        ("wire", "path", "body"),
        [
            ("replicate", "/replicate/v1/models/black-forest-labs/flux-kontext-max/predictions", {"input": {}}),
            ("kkiai", "/kkiai/replicate/v1/models/black-forest-labs/flux-kontext-pro/predictions", {"input": {}}),
            ("bfl", "/bfl/v1/flux-kontext-pro", {}),
        ],
    ),
]


async def _create(client: httpx2.AsyncClient, path: str, body: dict[str, Any]) -> httpx2.Response:
    prompt = {"prompt": "a fox"}
    client.headers.update({"authorization": "Bearer r8_key", "x-key": "r8_key"})
    return await client.post(path, json={"input": prompt} if "input" in body else prompt)


async def test_an_answer_may_be_replaced_and_nothing_is_charged(
    client: httpx2.AsyncClient, state: State, wire: str, path: str, body: dict[str, Any]
) -> None:
    script = ["401", "402", "403", "422", "429", "500", "502", "503", "garbage", "empty", "error_echoes_key"]
    state.script(*({"wire": wire, "on": "create", "fault": fault} for fault in script))
    answers = [await _create(client, path, body) for _ in script]
    assert [answer.status_code for answer in answers] == [401, 402, 403, 422, 429, 500, 502, 503, 200, 200, 401]
    assert "r8_key" in answers[-1].text
    assert (state.charged[wire], state.creates[wire]) == (0, len(script))


@pytest.mark.parametrize(("fault", "charged"), [("reset_before_accept", 0), ("accept_then_reset", 1)])
async def test_a_connection_may_break_before_or_after_the_charge(
    client: httpx2.AsyncClient,
    state: State,
    wire: str,
    path: str,
    body: dict[str, Any],
    fault: str,
    charged: int,
) -> None:
    state.script({"wire": wire, "on": "create", "fault": fault})
    with pytest.raises(ConnectionResetError):
        await _create(client, path, body)
    assert (state.charged[wire], len(state.jobs)) == (charged, charged)


async def test_an_answer_may_come_byte_by_byte_or_be_a_redirect(
    client: httpx2.AsyncClient, state: State, wire: str, path: str, body: dict[str, Any]
) -> None:
    state.script({"wire": wire, "on": "create", "fault": "slow_body", "interval": 0})
    state.script({"wire": wire, "on": "create", "fault": "redirect", "url": "http://10.0.0.1/"})
    slow, moved = await _create(client, path, body), await _create(client, path, body)
    assert slow.json()["id"] in state.jobs
    assert (moved.status_code, moved.headers["location"]) == (302, "http://10.0.0.1/")


@pytest.mark.parametrize(("fault", "status"), [("expired", 403), ("404", 404), ("wrong_type", 200), ("garbage", 200)])
async def test_an_output_fails_once_as_scripted(
    client: httpx2.AsyncClient,
    clock: Clock,
    state: State,
    wire: str,
    path: str,
    body: dict[str, Any],
    fault: str,
    status: int,
) -> None:
    job = state.jobs[(await _create(client, path, body)).json()["id"]]
    clock.turn(2)
    state.script({"wire": wire, "on": "file", "fault": fault})
    answers = [await client.get(job.output.url("")) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [status, 200]
    assert [answer.content.startswith(b"\x89PNG") for answer in answers] == [False, True]
    assert all(entry.status for entry in state.journal.entries())
