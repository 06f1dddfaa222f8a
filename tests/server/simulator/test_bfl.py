from __future__ import annotations

import base64
import io
import uuid
from typing import Any

import httpx2
import pytest
from inline_snapshot import snapshot
from PIL import Image

from kontext_server.simulator.state import MODERATED, State
from support.wires import Clock, red_png

pytestmark = pytest.mark.anyio

KEY_HEADERS = {"x-key": "k"}
BASE = "http://127.0.0.1:9876/bfl"


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


async def _create(client: httpx2.AsyncClient, model: str = "pro", **sent: Any) -> Any:
    return await client.post(f"{BASE}/v1/flux-kontext-{model}", json={"prompt": "a fox"} | sent)


async def _made(client: httpx2.AsyncClient, **sent: Any) -> Any:
    return (await _create(client, **sent)).json()


async def _get(client: httpx2.AsyncClient, made: Any) -> Any:
    return (await client.get(f"{BASE}/v1/get_result", params={"id": made["id"]})).json()


async def _picture(client: httpx2.AsyncClient, clock: Clock, made: Any) -> Image.Image:
    clock.turn(2)
    sample = (await _get(client, made))["result"]["sample"]
    return Image.open(io.BytesIO((await client.get(sample)).content))


@pytest.mark.parametrize(("model", "cost"), [("pro", 4.0), ("max", 8.0)])
async def test_a_task_is_pending_then_progresses_then_is_ready(
    client: httpx2.AsyncClient, clock: Clock, state: State, model: str, cost: float
) -> None:
    made = await _made(client, model=model, seed=42)
    assert uuid.UUID(made["id"]).version == 4
    assert made == {
        "id": made["id"],
        "polling_url": f"{BASE}/v1/get_result?id={made['id']}",
        "cost": cost,
        "input_mp": None,
        "output_mp": 1.05,
    }
    replies: list[Any] = []
    for _ in range(3):
        replies.append((await client.get(made["polling_url"])).json() | {"id": "1"})
        clock.turn(1)
    sample = replies[2]["result"].pop("sample")
    replies[2]["result"]["duration"] = round(replies[2]["result"]["duration"], 6)
    assert replies == snapshot(
        [
            {"id": "1", "status": "Pending", "result": None},
            {"id": "1", "status": "Pending", "result": None, "progress": 0.5},
            {
                "id": "1",
                "status": "Ready",
                "result": {
                    "prompt": "a fox",
                    "seed": 42,
                    "start_time": 1795000000.4,
                    "end_time": 1795000002.0,
                    "duration": 1.6,
                },
                "progress": 1.0,
            },
        ]
    )
    assert (await client.get(sample)).content.startswith(b"\x89PNG")
    assert (state.charged["bfl"], state.creates["bfl"]) == (1, 1)


async def test_an_output_lives_for_ten_minutes_and_no_longer_than_the_simulator_says(
    client: httpx2.AsyncClient, clock: Clock, state: State
) -> None:
    for seconds in (3600.0, 60.0):
        state.output_seconds = seconds
        made = await _made(client)
        clock.turn(2)
        sample = (await _get(client, made))["result"]["sample"]
        clock.turn(min(600, seconds) - 1)
        assert (await client.get(sample, headers={"x-key": ""})).status_code == 200
        clock.turn(1)
        assert (await client.get(sample)).status_code == 403


@pytest.mark.parametrize(
    ("given", "kind", "size"),
    [
        ({}, "PNG", (1024, 1024)),
        ({"output_format": "jpeg", "aspect_ratio": "16:9"}, "JPEG", (1392, 752)),
        ({"output_format": "webp", "aspect_ratio": "7:9"}, "WEBP", (880, 1184)),
        ({"input_image": _text(red_png((700, 1600)))}, "PNG", (672, 1568)),
        (
            {"input_image": _text(red_png((700, 1600))), "input_image_2": "https://example.com/b.png"},
            "PNG",
            (672, 1568),
        ),
        ({"input_image": "https://example.com/a.png", "safety_tolerance": 6}, "PNG", (1024, 1024)),
    ],
)
async def test_a_task_makes_the_format_and_size_that_were_asked(
    client: httpx2.AsyncClient, clock: Clock, given: dict[str, Any], kind: str, size: tuple[int, int]
) -> None:
    picture = await _picture(client, clock, await _made(client, **given))
    assert (picture.format, picture.size) == (kind, size)


async def test_an_output_is_usable_as_the_next_input_and_is_measured(client: httpx2.AsyncClient, clock: Clock) -> None:
    first = await _made(client, aspect_ratio="21:9")
    clock.turn(2)
    second = await _made(client, input_image=(await _get(client, first))["result"]["sample"])
    assert (second["input_mp"], second["output_mp"]) == (1.05, 1.05)
    assert (await _picture(client, clock, second)).size == (1568, 672)


async def test_without_a_seed_one_is_told_that_stays(client: httpx2.AsyncClient, clock: Clock) -> None:
    made = await _made(client)
    clock.turn(2)
    seeds = [(await _get(client, made))["result"]["seed"] for _ in range(2)]
    assert seeds[0] == seeds[1]
    assert 0 <= seeds[0] < 2**32


@pytest.mark.parametrize(
    ("host", "root"),
    [
        ("api.us1.bfl.ai", "https://api.us1.bfl.ai"),
        ("http://10.0.0.1:8080/x/", "http://10.0.0.1:8080/x"),
    ],
)
async def test_a_script_may_have_a_task_polled_at_another_host(
    client: httpx2.AsyncClient, state: State, host: str, root: str
) -> None:
    state.script({"wire": "bfl", "on": "create", "polling_host": host})
    made = await _made(client)
    assert made["polling_url"] == f"{root}/v1/get_result?id={made['id']}"


async def test_a_task_with_a_webhook_has_no_polling_url(client: httpx2.AsyncClient, state: State) -> None:
    hook = {"webhook_url": "https://example.com/h", "webhook_secret": "s"}
    made = await _made(client, **hook)
    assert "polling_url" not in made
    assert (made["status"], made["webhook_url"]) == ("Pending", hook["webhook_url"])
    assert (state.jobs[made["id"]].asked, state.jobs[made["id"]].input) == (hook, {"prompt": "a fox"})


async def test_an_unknown_task_is_told_with_200_or_as_a_script_says(client: httpx2.AsyncClient, state: State) -> None:
    state.script({"wire": "bfl", "on": "get", "code": 404})
    answers = [await client.get(f"{BASE}/v1/get_result?id=none") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [404, 200]
    assert {str(answer.json()) for answer in answers} == {
        str({"id": "none", "status": "Task not found", "result": None})
    }


async def test_a_known_task_may_be_not_found_at_first(client: httpx2.AsyncClient, state: State) -> None:
    made = await _made(client)
    state.script(
        {"wire": "bfl", "on": "get", "match": made["id"], "fault": "status", "status": "Task not found", "code": 404}
    )
    assert (await _get(client, await _made(client)))["status"] == "Pending"
    assert [(await _get(client, made))["status"] for _ in range(2)] == ["Task not found", "Pending"]


@pytest.mark.parametrize(
    ("fault", "status", "details", "charged"),
    [
        ({"fault": "fail", "error": "no paint"}, "Error", {"error": "no paint"}, 1),
        ({"fault": "moderated"}, "Content Moderated", {"Moderation Reasons": [MODERATED]}, 0),
        (
            {"fault": "moderated", "status": "Request Moderated", "error": "no"},
            "Request Moderated",
            {"Moderation Reasons": ["no"]},
            0,
        ),
        ({"fault": "cancelled_elsewhere"}, "Task not found", None, 1),
        ({"fault": "never_ends"}, "Pending", None, 1),
        ({"fault": "status", "status": "Resting"}, "Resting", None, 1),
    ],
)
@pytest.mark.parametrize("on", ["create", "get"])
async def test_a_task_takes_the_fate_of_its_script(
    client: httpx2.AsyncClient,
    clock: Clock,
    state: State,
    on: str,
    fault: dict[str, Any],
    status: str,
    details: Any,
    charged: int,
) -> None:
    state.script({"wire": "bfl", "on": on} | fault)
    made = await _made(client)
    assert (await _get(client, made))["status"] == ("Pending" if on == "create" and status != "Resting" else status)
    clock.turn(2 if on == "create" else 0)
    state.script({"wire": "bfl", "on": "get"} | fault)
    for _ in range(2 if fault["fault"] != "status" else 1):
        reply = await _get(client, made)
        assert (reply["status"], reply["result"], reply.get("details")) == (status, None, details)
    assert state.charged["bfl"] == charged


async def test_the_words_that_clients_have_seen_are_the_second_shape(
    client: httpx2.AsyncClient, clock: Clock, state: State
) -> None:
    state.script({"wire": "bfl", "on": "create", "shape": "second", "fault": "fail"})
    made = await _made(client)
    told: list[str] = []
    for _ in range(3):
        told.append((await _get(client, made))["state"])
        clock.turn(1)
    assert told == ["Queued", "Processing", "Failed"]


async def test_a_sample_may_be_a_data_uri(client: httpx2.AsyncClient, clock: Clock, state: State) -> None:
    state.script({"wire": "bfl", "on": "create", "fault": "data_uri"})
    made = await _made(client)
    clock.turn(2)
    assert (await _get(client, made))["result"]["sample"].startswith("data:image/png;base64,")


async def test_credits_are_spent_on_what_is_charged(client: httpx2.AsyncClient, state: State) -> None:
    state.script({"wire": "bfl", "on": "create", "fault": "moderated", "match": "a hen"})
    for sent in ({}, {"model": "max"}, {"prompt": "a hen"}):
        await _create(client, **sent)
    assert (await client.get(f"{BASE}/v1/credits")).json() == {"credits": 9988.0}
