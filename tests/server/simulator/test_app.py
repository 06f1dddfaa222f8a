from __future__ import annotations

import ast
import email.utils
import hashlib
from pathlib import Path
from typing import Any

import httpx2
import pytest

import kontext_server.simulator.app
from kontext_server.simulator.app import WIRES, settings
from kontext_server.simulator.state import State
from support.wires import Clock

pytestmark = pytest.mark.anyio

CREATE = "/core.today/v1/predictions"
BODY: Any = {"model": "black-forest-labs/flux-kontext-pro", "input": {"prompt": "a fox"}}


async def _script(client: httpx2.AsyncClient, *faults: dict[str, Any]) -> httpx2.Response:
    return await client.post("/_sim/script", json=[{"wire": "core.today", "on": "create"} | one for one in faults])


async def _output(client: httpx2.AsyncClient, clock: Clock) -> str:
    """The address of a finished output."""
    job_id = (await client.post(CREATE, json=BODY)).json()["job_id"]
    clock.turn(2)
    return (await client.get(f"{CREATE}/{job_id}")).json()["result"]


def test_the_settings_point_at_every_wire() -> None:
    core_today = {
        "CORE_TODAY_BASE_URL": "http://127.0.0.1:9876/core.today/v1",
        "CORE_TODAY_API_KEY": "cdt_simulator",
    }
    assert settings("http://127.0.0.1:9876", "core.today") == core_today
    every = settings("http://127.0.0.1:9876")
    assert every == every | core_today
    assert set(every) == {name for wire in WIRES for name in (wire.base_variable, wire.key_variable)}
    assert len(every) == 2 * len(WIRES)
    assert all(wire.takes_key(wire.sample_key) for wire in WIRES)
    assert len({wire.prefix for wire in WIRES}) == len({wire.name for wire in WIRES}) == len(WIRES)


def test_the_simulator_shares_no_code_with_the_adapters() -> None:
    package = Path(kontext_server.simulator.app.__file__).parent
    imported: set[str] = set()
    for file in package.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module or "")
    ours = {name for name in imported if name.startswith("kontext")}
    assert {name for name in ours if not name.startswith("kontext_server.simulator")} == set()


async def test_the_counter_tells_creates_that_came_from_those_charged(client: httpx2.AsyncClient) -> None:
    await client.post(CREATE, json=BODY)
    await client.post(CREATE, json={})
    nothing = dict.fromkeys((wire.name for wire in WIRES), 0)
    assert (await client.get("/_sim/counter")).json() == {
        "charged": nothing | {"core.today": 1},
        "creates": nothing | {"core.today": 2},
    }


async def test_the_journal_is_read_over_http(client: httpx2.AsyncClient, clock: Clock) -> None:
    answer = await client.post(CREATE, json=BODY)
    journal = (await client.get("/_sim/journal")).json()
    (entry,) = journal["requests"]
    assert journal["dropped"] == 0
    assert (entry["method"], entry["path"], entry["query"]) == ("POST", CREATE, "")
    assert (entry["json"], entry["time"], entry["status"]) == (BODY, clock.now, 200)
    assert entry["headers"]["x-api-key"] == "cdt_test"
    assert (entry["size"], entry["sha256"]) == (
        len(answer.request.content),
        hashlib.sha256(answer.request.content).hexdigest(),
    )


async def test_a_script_is_queued_shown_and_reset_over_http(client: httpx2.AsyncClient) -> None:
    assert (await _script(client, {"fault": "402"}, {"fault": "500"})).json() == {"waiting": 2}
    assert (await client.post(CREATE, json=BODY)).status_code == 402
    one = {"wire": "core.today", "on": "get", "fault": "hang"}
    assert (await client.post("/_sim/script", json=one)).json() == {"waiting": 2}
    assert (await client.get("/_sim/script")).json() == {
        "faults": [{"wire": "core.today", "on": "create", "fault": "500"}, one]
    }
    assert (await client.post("/_sim/reset")).json()["creates"]["core.today"] == 0
    assert (await client.get("/_sim/script")).json() == {"faults": []}
    assert (await client.get("/_sim/journal")).json() == {"requests": [], "dropped": 0}


@pytest.mark.parametrize("body", [b"{", b"3", b"[[]]", b'{"wire": "core.today"}'])
async def test_a_senseless_script_is_refused_with_words(client: httpx2.AsyncClient, body: bytes) -> None:
    answer = await client.post("/_sim/script", content=body)
    assert (answer.status_code, list(answer.json())) == (422, ["detail"])


async def test_the_controls_answer_to_loopback_names_only(client: httpx2.AsyncClient) -> None:
    for path in ("journal", "counter", "script"):
        answer = await client.get(f"/_sim/{path}", headers={"host": "evil.example"})
        assert answer.status_code == 400
    assert (await client.get("/_sim/counter", headers={"host": "localhost:9876"})).status_code == 200


async def test_a_path_of_no_wire_is_not_found(client: httpx2.AsyncClient, state: State) -> None:
    assert (await client.get("/elsewhere")).status_code == 404
    assert [entry.status for entry in state.journal.entries()] == [404]


@pytest.mark.parametrize("status", ["401", "402", "403", "422", "429", "500", "503", "418"])
async def test_a_status_is_answered_in_the_vendors_dialect_and_not_charged(
    client: httpx2.AsyncClient, state: State, status: str
) -> None:
    await _script(client, {"fault": status})
    answer = await client.post(CREATE, json=BODY)
    assert (answer.status_code, list(answer.json())) == (int(status), ["detail"])
    assert "retry-after" not in answer.headers
    assert state.charged["core.today"] == 0
    assert (await client.post(CREATE, json=BODY)).status_code == 200


@pytest.mark.parametrize(
    ("options", "media_type", "content"),
    [
        ({"body": "html"}, "text/html; charset=utf-8", b"<!doctype html>"),
        ({"body": "empty"}, None, b""),
        ({"text": "no more credit"}, "application/json", b'{"detail":"no more credit"}'),
    ],
)
async def test_a_status_may_have_a_body_of_another_kind(
    client: httpx2.AsyncClient, options: dict[str, Any], media_type: str | None, content: bytes
) -> None:
    await _script(client, {"fault": "402"} | options)
    answer = await client.post(CREATE, json=BODY)
    assert answer.headers.get("content-type") == media_type
    assert answer.content.startswith(content)


async def test_502_is_a_page_unless_told_otherwise(client: httpx2.AsyncClient) -> None:
    await _script(client, {"fault": "502"}, {"fault": "502", "body": "json"})
    assert (await client.post(CREATE, json=BODY)).text.startswith("<!doctype html>")
    assert (await client.post(CREATE, json=BODY)).json() == {"detail": "Bad gateway"}


async def test_429_may_say_when_to_come_again(client: httpx2.AsyncClient, clock: Clock) -> None:
    await _script(
        client, {"fault": "429", "retry_after": "3"}, {"fault": 429, "retry_after_date": 90}, {"fault": "429"}
    )
    said = [(await client.post(CREATE, json=BODY)).headers.get("retry-after") for _ in range(3)]
    assert (said[0], said[2]) == ("3", None)
    assert email.utils.parsedate_to_datetime(said[1] or "").timestamp() == clock.now + 90


async def test_a_refusal_may_come_after_the_charge(client: httpx2.AsyncClient, state: State) -> None:
    await _script(client, {"fault": "500", "charged": True})
    assert (await client.post(CREATE, json=BODY)).status_code == 500
    assert state.charged["core.today"] == 1


async def test_200_may_be_a_page_or_nothing(client: httpx2.AsyncClient) -> None:
    await _script(client, {"fault": "garbage"}, {"fault": "empty"})
    page, nothing = [await client.post(CREATE, json=BODY) for _ in range(2)]
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (nothing.status_code, nothing.content) == (200, b"")


async def test_an_error_may_repeat_the_key_that_was_sent(client: httpx2.AsyncClient) -> None:
    await _script(client, {"fault": "error_echoes_key"})
    answer = await client.post(CREATE, json=BODY)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid API key: cdt_test"})


async def test_a_request_may_be_redirected(client: httpx2.AsyncClient) -> None:
    await _script(client, {"fault": "redirect", "url": "http://10.0.0.1/", "code": 307})
    answer = await client.post(CREATE, json=BODY)
    assert (answer.status_code, answer.headers["location"]) == (307, "http://10.0.0.1/")


async def test_a_fault_waits_for_the_request_that_it_matches(client: httpx2.AsyncClient) -> None:
    await _script(client, {"fault": "402", "match": "a hen"})
    assert (await client.post(CREATE, json=BODY)).status_code == 200
    hen = {"model": BODY["model"], "input": {"prompt": "a hen"}}
    assert (await client.post(CREATE, json=hen)).status_code == 402


@pytest.mark.parametrize(
    ("fault", "status", "media_type", "start"),
    [
        ({"fault": "expired"}, 403, "application/xml", b"<?xml"),
        ({"fault": "404"}, 404, "application/json", b"{"),
        ({"fault": "wrong_type"}, 200, "image/png", b"<!doctype html>"),
    ],
)
async def test_an_output_fails_once_as_scripted(
    client: httpx2.AsyncClient,
    clock: Clock,
    fault: dict[str, Any],
    status: int,
    media_type: str,
    start: bytes,
) -> None:
    url = await _output(client, clock)
    await _script(client, {"on": "file"} | fault)
    answer = await client.get(url)
    assert (answer.status_code, answer.headers["content-type"]) == (status, media_type)
    assert answer.content.startswith(start)
    assert (await client.get(url)).content.startswith(b"\x89PNG")


async def test_a_truncated_output_may_look_whole_to_http(client: httpx2.AsyncClient, clock: Clock) -> None:
    url = await _output(client, clock)
    whole = (await client.get(url)).content
    await _script(client, {"on": "file", "fault": "truncated", "content_length": "wrong"})
    answer = await client.get(url)
    assert answer.content == whole[: len(whole) // 2]
    assert int(answer.headers["content-length"]) == len(answer.content)


async def test_an_answer_may_come_byte_by_byte(client: httpx2.AsyncClient) -> None:
    await _script(client, {"fault": "slow_body", "interval": 0})
    answer = await client.post(CREATE, json=BODY)
    assert answer.json()["status"] == "pending"


@pytest.mark.parametrize(("fault", "charged"), [("reset_before_accept", 0), ("accept_then_reset", 1)])
async def test_without_a_socket_a_reset_is_an_exception(
    client: httpx2.AsyncClient, state: State, fault: str, charged: int
) -> None:
    await _script(client, {"fault": fault})
    with pytest.raises(ConnectionResetError):
        await client.post(CREATE, json=BODY)
    assert state.charged["core.today"] == charged
