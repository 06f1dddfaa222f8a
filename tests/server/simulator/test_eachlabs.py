from __future__ import annotations

import base64
from typing import Any

import httpx2
import pytest
from inline_snapshot import snapshot

from kontext_server.simulator.state import MODERATED, State
from support.wires import Clock, opened

pytestmark = pytest.mark.anyio

BASE = "/eachlabs/v1"
URL = "https://example.com/in.png"


async def _create(client: httpx2.AsyncClient, top: dict[str, Any] | None = None, **given: Any) -> httpx2.Response:
    body = {"model": "flux-kontext-pro", "version": "0.0.1", "input": {"prompt": "a fox"} | given} | (top or {})
    return await client.post(f"{BASE}/prediction", json=body)


async def _get(client: httpx2.AsyncClient, created: httpx2.Response) -> Any:
    return (await client.get(f"{BASE}/prediction/{created.json()['predictionID']}")).json()


async def _model(client: httpx2.AsyncClient, slug: str = "flux-kontext-pro") -> httpx2.Response:
    return await client.get(f"{BASE}/model", params={"slug": slug})


async def test_a_prediction_goes_from_starting_over_processing_to_success(
    client: httpx2.AsyncClient, clock: Clock, state: State
) -> None:
    created = await _create(client, input_image=URL, aspect_ratio="4:5", safety_tolerance=2, seed=1)
    job_id = created.json()["predictionID"]
    assert created.json() == {
        "status": "success",
        "message": "Prediction created successfully",
        "predictionID": job_id,
    }
    told: list[tuple[str, bool]] = []
    reply: dict[str, Any] = {}
    for _ in range(3):
        reply = await _get(client, created)
        told.append((reply["status"], reply["output"] is None))
        clock.turn(1.0)
    assert told == [("starting", True), ("processing", True), ("success", False)]
    address = f"http://127.0.0.1:9876{BASE}/prediction/{job_id}"
    assert (reply["id"], reply["logs"], reply["urls"]) == (
        job_id,
        "",
        {"get": address, "cancel": f"{address}/cancel"},
    )
    assert (round(reply["metrics"]["predict_time"], 3), reply["metrics"]["cost"]) == (1.6, 0.04)
    picture = opened((await client.get(reply["output"])).content)
    assert (picture.format, picture.size) == ("PNG", (944, 1104))
    assert state.charged["eachlabs"] == state.creates["eachlabs"] == 1


async def test_the_model_tells_its_version_and_what_can_be_asked_of_it(client: httpx2.AsyncClient) -> None:
    told = (await _model(client)).json()
    schema = told.pop("request_schema")
    assert told == snapshot(
        {
            "title": "Flux Kontext Pro",
            "slug": "flux-kontext-pro",
            "version": "0.0.1",
            "output_type": "string",
        }
    )
    assert (schema["type"], schema["required"]) == ("object", ["prompt"])
    assert list(schema["properties"]) == ["prompt", "input_image", "aspect_ratio", "seed", "safety_tolerance"]
    assert len(schema["properties"]["aspect_ratio"]["enum"]) == 14
    unknown = await _model(client, "flux-kontext-ultra")
    assert (unknown.status_code, unknown.json()) == (404, {"error": "Model not found"})


@pytest.mark.parametrize("on", ["model", "create"])
async def test_a_script_moves_the_model_to_another_version_until_reset(
    client: httpx2.AsyncClient, state: State, on: str
) -> None:
    state.script({"wire": "eachlabs", "on": on, "version": "1.0.0"})
    if on == "model":
        assert (await _model(client)).json()["version"] == "1.0.0"
    refused = await _create(client)
    assert (refused.status_code, refused.json()) == (
        400,
        {"error": "Version 0.0.1 of model flux-kontext-pro not found"},
    )
    assert (await _model(client)).json()["version"] == "1.0.0"
    assert (await _create(client, {"version": "1.0.0"})).status_code == 200
    assert state.counter()["charged"]["eachlabs"] == 1
    state.reset()
    assert (await _model(client)).json()["version"] == "0.0.1"


async def test_a_script_makes_the_model_want_a_picture(client: httpx2.AsyncClient, state: State) -> None:
    state.script({"wire": "eachlabs", "on": "model", "requires_image": True})
    assert (await _model(client)).json()["request_schema"]["required"] == ["prompt", "input_image"]
    refused = await _create(client)
    assert (refused.status_code, refused.json()) == (400, {"error": "input.input_image: required"})
    assert (await _create(client, input_image=URL)).status_code == 200
    state.script({"wire": "eachlabs", "on": "create", "requires_image": False})
    assert (await _create(client)).status_code == 200


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"prompt": ""}, "prompt: required"),
        ({"input_image": "http://example.com/a.png"}, "could not be downloaded"),
        ({"input_image": "data:image/png;base64,iVBORw0KGgo="}, "could not be downloaded"),
        ({"aspect_ratio": "7:5"}, "aspect_ratio: one of"),
        ({"seed": 0}, "seed: from 1"),
        ({"seed": 10**18 + 1}, "seed: from 1"),
        ({"safety_tolerance": 7}, "safety_tolerance: from 0 to 6"),
        ({"safety_tolerance": 3, "input_image": URL}, "safety_tolerance: from 0 to 2"),
        ({"safety_tolerance": "2"}, "safety_tolerance: must be a int"),
        ({"output_format": "png"}, "output_format: unknown"),
        ({"prompt_upsampling": True}, "prompt_upsampling: unknown"),
    ],
)
async def test_an_input_that_the_vendor_would_refuse_is_a_bad_request(
    client: httpx2.AsyncClient, state: State, given: dict[str, Any], words: str
) -> None:
    answer = await _create(client, **given)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert words in answer.json()["error"]
    assert state.counter()["charged"]["eachlabs"] == 0


@pytest.mark.parametrize(
    ("top", "status"),
    [
        ({"model": "flux-kontext-ultra"}, 404),
        ({"version": "9.9.9"}, 400),
        ({"version": ""}, 400),
        ({"input": []}, 400),
        ({"priority": 1}, 400),
    ],
)
async def test_an_envelope_that_the_vendor_would_refuse_is_refused(
    client: httpx2.AsyncClient, top: dict[str, Any], status: int
) -> None:
    answer = await _create(client, top)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])


async def test_a_create_may_end_in_a_slash_and_name_a_webhook(client: httpx2.AsyncClient, state: State) -> None:
    body = {"model": "flux-kontext-pro", "version": "0.0.1", "input": {"prompt": "p", "safety_tolerance": 6}}
    hook = {"webhook_url": "https://example.com/h", "webhook_secret": "s"}
    answer = await client.post(f"{BASE}/prediction/", json=body | hook)
    assert answer.status_code == 200
    (job,) = state.jobs.values()
    assert job.asked == {"version": "0.0.1"} | hook


async def test_an_output_is_usable_as_the_next_input_until_it_expires(client: httpx2.AsyncClient, clock: Clock) -> None:
    first = await _create(client, aspect_ratio="21:9")
    clock.turn(2)
    url = (await _get(client, first))["output"]
    second = await _create(client, input_image=url)
    clock.turn(2)
    assert opened((await client.get((await _get(client, second))["output"])).content).size == (1568, 672)
    clock.turn(3600)
    assert (await _create(client, input_image=url)).status_code == 400


async def test_a_running_prediction_is_cancelled_and_an_ended_one_is_not(
    client: httpx2.AsyncClient, clock: Clock
) -> None:
    running, ended = await _create(client), await _create(client)
    job_id = running.json()["predictionID"]
    answer = await client.post(f"{BASE}/prediction/{job_id}/cancel")
    assert answer.json() == {"status": "cancelled", "message": "Prediction cancelled", "predictionID": job_id}
    clock.turn(5)
    assert (await _get(client, running))["status"] == "cancelled"
    refused = await client.post(f"{BASE}/prediction/{ended.json()['predictionID']}/cancel")
    assert (refused.status_code, refused.json()) == (400, {"error": "Prediction has already ended: success"})
    unknown = await client.post(f"{BASE}/prediction/unknown/cancel")
    assert (unknown.status_code, unknown.json()) == (404, {"error": "Prediction not found"})


@pytest.mark.parametrize(
    ("fault", "status", "logs"),
    [
        ({"fault": "fail", "error": "no paint"}, "failed", "no paint"),
        ({"fault": "moderated"}, "failed", MODERATED),
        ({"fault": "cancelled_elsewhere"}, "cancelled", ""),
        ({"fault": "never_ends"}, "processing", ""),
        ({"fault": "status", "status": "resting"}, "resting", ""),
    ],
)
@pytest.mark.parametrize("on", ["create", "get"])
async def test_a_prediction_takes_the_fate_of_its_script(
    client: httpx2.AsyncClient,
    clock: Clock,
    state: State,
    on: str,
    fault: dict[str, Any],
    status: str,
    logs: str,
) -> None:
    state.script({"wire": "eachlabs", "on": on} | fault)
    created = await _create(client)
    assert created.json()["status"] == "success"
    clock.turn(2 if on == "create" else 1)
    reply = await _get(client, created)
    assert (reply["status"], reply["output"], reply["logs"], reply["metrics"]) == (status, None, logs, None)
    assert state.charged["eachlabs"] == 1


@pytest.mark.parametrize("options", [{"fault": "data_uri"}, {"shape": "second"}])
async def test_an_output_may_be_a_data_uri_or_a_list(
    client: httpx2.AsyncClient, clock: Clock, state: State, options: dict[str, str]
) -> None:
    state.script({"wire": "eachlabs", "on": "create"} | options)
    created = await _create(client)
    clock.turn(2)
    output = (await _get(client, created))["output"]
    if "shape" in options:
        content = (await client.get(output[0])).content
    else:
        head, _, data = output.partition(",")
        assert head == "data:image/png;base64"
        content = base64.b64decode(data)
    assert opened(content).size == (1024, 1024)


@pytest.mark.parametrize("on", ["model", "create", "get", "cancel"])
@pytest.mark.parametrize("status", [402, 422, 429, 500])
async def test_a_scripted_status_is_answered_with_an_error_and_nothing_else(
    client: httpx2.AsyncClient, state: State, on: str, status: int
) -> None:
    created = await _create(client)
    path = f"{BASE}/prediction/{created.json()['predictionID']}"
    state.script({"wire": "eachlabs", "on": on, "fault": status, "retry_after": 3})
    match on:
        case "model":
            answer = await _model(client)
        case "create":
            answer = await _create(client)
        case "get":
            answer = await client.get(path)
        case _:
            answer = await client.post(f"{path}/cancel")
    assert (answer.status_code, list(answer.json()), answer.headers["retry-after"]) == (status, ["error"], "3")
    assert state.charged["eachlabs"] == 1


async def test_without_a_key_nothing_is_answered(client: httpx2.AsyncClient) -> None:
    del client.headers["x-api-key"]
    for answer in (await _model(client), await _create(client), await client.get(f"{BASE}/elsewhere")):
        assert (answer.status_code, answer.json()) == (401, {"error": "Invalid or missing API key"})


async def test_a_create_whose_connection_dies_after_acceptance_is_charged_once(
    client: httpx2.AsyncClient, state: State
) -> None:
    state.script({"wire": "eachlabs", "on": "create", "fault": "accept_then_reset"})
    with pytest.raises(ConnectionResetError):
        await _create(client)
    assert state.charged["eachlabs"] == 1
