from __future__ import annotations

import base64
import io
from typing import Any

import httpx2
import pytest
from inline_snapshot import snapshot
from PIL import Image

from kontext_server.simulator.state import MODERATED, State
from support.wires import Clock

pytestmark = pytest.mark.anyio

KEY_HEADERS = {"authorization": "Bearer r8_test"}
BASES = {"replicate": "/replicate/v1", "kkiai": "/kkiai/replicate/v1"}
PRO = "black-forest-labs/flux-kontext-pro"
BOTH = pytest.mark.parametrize("wire", ["replicate", "kkiai"])


async def _create(client: httpx2.AsyncClient, wire: str = "replicate", model: str = PRO, **sent: Any) -> Any:
    headers = sent.pop("headers", {})
    path = f"{BASES[wire]}/models/{model}/predictions"
    return await client.post(path, json={"input": {"prompt": "a fox"} | sent}, headers=headers)


async def _get(client: httpx2.AsyncClient, job_id: str, wire: str = "replicate") -> Any:
    return (await client.get(f"{BASES[wire]}/predictions/{job_id}")).json()


async def _id(client: httpx2.AsyncClient, wire: str = "replicate", **sent: Any) -> str:
    return (await _create(client, wire, **sent)).json()["id"]


async def _picture(client: httpx2.AsyncClient, output: str) -> Image.Image:
    """The picture of a `data:` URI, or at an address."""
    head, _, data = output.partition(",")
    content = base64.b64decode(data) if head.startswith("data:") else (await client.get(output)).content
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize(
    ("wire", "status", "origin"),
    [
        ("replicate", 201, "http://127.0.0.1:9876/replicate/v1"),
        ("kkiai", 200, "https://api.replicate.com/v1"),
    ],
)
async def test_a_prediction_goes_from_starting_over_processing_to_succeeded(
    client: httpx2.AsyncClient, clock: Clock, state: State, wire: str, status: int, origin: str
) -> None:
    created = await _create(client, wire, seed=7)
    job_id = created.json()["id"]
    assert (created.status_code, len(job_id), set(job_id) - set("0123456789abcdefghjkmnpqrstvwxyz")) == (
        status,
        26,
        set(),
    )
    assert (created.headers["ratelimit-remaining"], created.headers["ratelimit-reset"]) == ("599", "1")
    urls = created.json().pop("urls")
    assert (urls["get"], urls["cancel"]) == (
        f"{origin}/predictions/{job_id}",
        f"{origin}/predictions/{job_id}/cancel",
    )
    assert created.json() | {"id": "1", "urls": {}} == snapshot(
        {
            "id": "1",
            "model": "black-forest-labs/flux-kontext-pro",
            "version": "hidden",
            "input": {"prompt": "a fox", "seed": 7},
            "logs": "",
            "output": None,
            "data_removed": False,
            "error": None,
            "status": "starting",
            "created_at": "2026-11-18T11:06:40.000Z",
            "urls": {},
        }
    )
    told: list[tuple[str, bool, bool]] = []
    for _ in range(3):
        reply = await _get(client, job_id, wire)
        told.append((reply["status"], "started_at" in reply, "completed_at" in reply))
        clock.turn(1.0)
    assert told == [("starting", False, False), ("processing", True, False), ("succeeded", True, True)]
    reply = await _get(client, job_id, wire)
    assert (await _picture(client, reply["output"])).size == (1024, 1024)
    assert {name: round(value, 6) for name, value in reply["metrics"].items()} == {
        "image_count": 1,
        "predict_time": 1.6,
        "total_time": 2.0,
    }
    assert (state.charged[wire], state.creates[wire]) == (1, 1)


@pytest.mark.parametrize(
    ("model", "given", "kind", "size"),
    [
        ("pro", {"output_format": "jpg", "aspect_ratio": "16:9"}, "JPEG", (1392, 752)),
        ("max", {"safety_tolerance": 6, "prompt_upsampling": True}, "PNG", (1024, 1024)),
        ("dev", {"input_image": "https://example.com/a.png", "guidance": 3}, "WEBP", (1024, 1024)),
        (
            "dev",
            {"input_image": "https://example.com/a.png", "go_fast": False, "output_format": "png"},
            "PNG",
            (1024, 1024),
        ),
    ],
)
async def test_each_model_makes_its_format_and_size(
    client: httpx2.AsyncClient, clock: Clock, model: str, given: dict[str, Any], kind: str, size: tuple[int, int]
) -> None:
    job_id = await _id(client, model=f"black-forest-labs/flux-kontext-{model}", **given)
    clock.turn(2)
    answer = await client.get((await _get(client, job_id))["output"])
    picture = Image.open(io.BytesIO(answer.content))
    assert (picture.format, picture.size, answer.headers["content-type"]) == (kind, size, f"image/{kind.lower()}")


async def test_the_output_is_removed_after_an_hour(client: httpx2.AsyncClient, clock: Clock, state: State) -> None:
    state.output_seconds = 1e9
    job_id = await _id(client)
    clock.turn(3601)
    url = (await _get(client, job_id))["output"]
    clock.turn(1)
    reply = await _get(client, job_id)
    assert (reply["status"], reply["output"], reply["data_removed"]) == ("succeeded", None, True)
    assert (await client.get(url)).status_code == 403


@pytest.mark.parametrize(
    ("wire", "key", "status"),
    [
        ("replicate", "", 401),
        ("replicate", "Bearer sk_1", 401),
        ("replicate", "Token r8_1", 401),
        ("replicate", "bearer r8_1", 404),
        ("kkiai", "Bearer ", 401),
        ("kkiai", "Bearer anything", 404),
    ],
)
async def test_the_key_is_a_bearer_token(client: httpx2.AsyncClient, wire: str, key: str, status: int) -> None:
    answer = await client.get(f"{BASES[wire]}/predictions/none", headers={"authorization": key})
    assert answer.status_code == status


async def test_replicate_tells_a_wrong_key_as_a_problem_and_kkiai_as_its_gateway_does(
    client: httpx2.AsyncClient,
) -> None:
    client.headers["authorization"] = ""
    theirs, proxied = await _create(client), await _create(client, "kkiai")
    assert theirs.headers["content-type"] == "application/problem+json"
    assert theirs.json() == {
        "title": "Unauthenticated",
        "detail": "You did not pass a valid authentication token",
        "status": 401,
    }
    assert list(proxied.json()["error"]) == ["message", "type", "code"]


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        ({"fault": "fail", "error": "no paint"}, "failed", "no paint"),
        ({"fault": "cancelled_elsewhere"}, "canceled", None),
        ({"fault": "aborted"}, "aborted", None),
        ({"fault": "never_ends"}, "processing", None),
        ({"fault": "status", "status": "resting"}, "resting", None),
    ],
)
@pytest.mark.parametrize("on", ["create", "get"])
@BOTH
async def test_a_job_takes_the_fate_of_its_script(
    client: httpx2.AsyncClient,
    clock: Clock,
    state: State,
    wire: str,
    on: str,
    fault: dict[str, Any],
    status: str,
    error: str | None,
) -> None:
    state.script({"wire": wire, "on": on} | fault)
    job_id = await _id(client, wire)
    clock.turn(2 if on == "create" else 1)
    reply = await _get(client, job_id, wire)
    assert (reply["status"], reply["output"], reply["error"]) == (status, None, error)
    assert state.charged[wire] == (0 if status == "aborted" else 1)


async def test_moderation_is_a_failure_whose_words_end_in_a_code(
    client: httpx2.AsyncClient, clock: Clock, state: State
) -> None:
    state.script({"wire": "replicate", "on": "create", "fault": "moderated"})
    job_id = await _id(client)
    clock.turn(2)
    reply = await _get(client, job_id)
    assert (reply["status"], reply["error"]) == ("failed", f"{MODERATED} ({job_id[:10]})")


async def test_an_early_output_is_there_while_the_status_stays_processing(
    client: httpx2.AsyncClient, clock: Clock, state: State
) -> None:
    state.script({"wire": "kkiai", "on": "create", "fault": "early_output"})
    job_id = await _id(client, "kkiai")
    told: list[tuple[str, bool]] = []
    for _ in range(3):
        reply = await _get(client, job_id, "kkiai")
        told.append((reply["status"], reply["output"] is not None))
        clock.turn(1)
    assert told == [("starting", False), ("processing", True), ("processing", True)]
    (output,) = (await _get(client, job_id, "kkiai"))["output"]
    assert (await _picture(client, output)).size == (1024, 1024)


async def test_an_early_output_may_be_told_once(client: httpx2.AsyncClient, clock: Clock, state: State) -> None:
    job_id = await _id(client)
    clock.turn(2)
    state.script({"wire": "replicate", "on": "get", "fault": "early_output"})
    replies = [await _get(client, job_id) for _ in range(2)]
    assert [(reply["status"], type(reply["output"])) for reply in replies] == [("processing", list), ("succeeded", str)]


@pytest.mark.parametrize("on", ["create", "get"])
async def test_the_data_may_have_been_removed(client: httpx2.AsyncClient, clock: Clock, state: State, on: str) -> None:
    state.script({"wire": "replicate", "on": on, "fault": "data_removed"})
    job_id = await _id(client)
    clock.turn(2)
    for _ in range(2):
        reply = await _get(client, job_id)
        assert (reply["status"], reply["output"], reply["data_removed"]) == ("succeeded", None, True)


@pytest.mark.parametrize(("shape", "kind"), [("first", str), ("second", list)])
async def test_an_output_may_be_a_data_uri_and_a_list(
    client: httpx2.AsyncClient, clock: Clock, state: State, shape: str, kind: type
) -> None:
    state.script({"wire": "replicate", "on": "create", "fault": "data_uri", "shape": shape})
    job_id = await _id(client, output_format="jpg")
    clock.turn(2)
    output = (await _get(client, job_id))["output"]
    assert isinstance(output, kind)
    assert (output if isinstance(output, str) else output[0]).startswith("data:image/jpeg;base64,")


async def test_a_running_prediction_is_canceled_and_an_ended_one_stays_as_it_is(
    client: httpx2.AsyncClient, clock: Clock
) -> None:
    running, ended = await _id(client), await _id(client)
    answer = await client.post(f"/replicate/v1/predictions/{running}/cancel")
    assert (answer.status_code, answer.json()["status"], answer.json()["completed_at"]) == (
        200,
        "canceled",
        "2026-11-18T11:06:40.000Z",
    )
    clock.turn(2)
    answer = await client.post(f"/replicate/v1/predictions/{ended}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")
    assert (await _get(client, running))["status"] == "canceled"
    assert (await client.post("/replicate/v1/predictions/none/cancel")).status_code == 404


async def test_kkiai_cannot_cancel_unless_a_script_says_so(client: httpx2.AsyncClient, state: State) -> None:
    job_id = await _id(client, "kkiai")
    path = f"/kkiai/replicate/v1/predictions/{job_id}/cancel"
    assert (await client.post(path)).status_code == 404
    assert (await _get(client, job_id, "kkiai"))["status"] == "starting"
    state.script({"wire": "kkiai", "on": "cancel", "fault": "cancel_works"})
    assert (await client.post(path)).json()["status"] == "canceled"


async def test_a_cancel_may_be_taken_and_ignored(client: httpx2.AsyncClient, clock: Clock, state: State) -> None:
    state.script({"wire": "replicate", "on": "cancel", "fault": "cancel_ignored"})
    job_id = await _id(client)
    clock.turn(1)
    assert (await client.post(f"/replicate/v1/predictions/{job_id}/cancel")).json()["status"] == "processing"


async def test_a_job_of_one_wire_is_unknown_to_the_other(client: httpx2.AsyncClient) -> None:
    job_id = await _id(client)
    assert (await client.get(f"/kkiai/replicate/v1/predictions/{job_id}")).status_code == 404
