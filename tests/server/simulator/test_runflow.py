from __future__ import annotations

import uuid
from typing import Any

import anyio
import httpx2
import pytest
from inline_snapshot import snapshot

from kontext_server.simulator.app import build, new_state
from kontext_server.simulator.state import State
from support.wires import Clock, opened

pytestmark = pytest.mark.anyio

BASE = "/runflow/v1"
MODEL = "black-forest-labs/flux-pro/kontext"
RUNS = f"{BASE}/models/{MODEL}/runs"
RUN = f"{BASE}/run/{MODEL}"
HEADERS = {"authorization": "Bearer rf_live_test"}
GIVEN: dict[str, Any] = {"prompt": "a fox", "image_url": "https://example.com/in.png", "seed": 7}


@pytest.fixture(autouse=True)
def key(client: httpx2.AsyncClient) -> None:
    client.headers |= HEADERS


async def _create(client: httpx2.AsyncClient, top: dict[str, Any] | None = None, **given: Any) -> httpx2.Response:
    return await client.post(RUNS, json={"input": GIVEN | given} | (top or {}))


async def _get(client: httpx2.AsyncClient, created: httpx2.Response) -> Any:
    return (await client.get(f"{BASE}/runs/{created.json()['id']}")).json()


async def test_a_run_goes_from_queued_over_dispatching_and_running_to_succeeded(
    client: httpx2.AsyncClient, clock: Clock, state: State
) -> None:
    created = await _create(client, {"client_ref": "ours", "metadata": {"a": 1}})
    run_id = created.json()["id"]
    assert (created.status_code, uuid.UUID(run_id).version) == (202, 7)
    assert created.json() | {"id": "r", "request_id": "q", "links": {}} == snapshot(
        {
            "id": "r",
            "status_code": "queued",
            "source_code": "api",
            "input": {"prompt": "a fox", "image_url": "https://example.com/in.png", "seed": 7},
            "output": None,
            "duration_ms": None,
            "cost": None,
            "cost_breakdown": None,
            "nodes_total": 1,
            "nodes_completed": 0,
            "batch_id": None,
            "client_ref": "ours",
            "request_id": "q",
            "created_at": "2026-11-18T11:06:40.000Z",
            "started_at": None,
            "completed_at": None,
            "callback_url": None,
            "metadata": {"a": 1},
            "has_logs": False,
            "links": {},
            "failure_code": None,
            "failure_message": None,
            "failure_stage_code": None,
        }
    )
    told: list[tuple[str, bool]] = []
    for seconds in (0.0, 0.3, 0.7, 1.0):
        clock.turn(seconds)
        reply = await _get(client, created)
        told.append((reply["status_code"], reply["output"] is None))
    assert told == [("queued", True), ("dispatching", True), ("running", True), ("succeeded", False)]
    assert (reply["cost"], reply["duration_ms"], reply["nodes_completed"]) == ("0.04", 1600, 1)
    assert state.charged["runflow"] == state.creates["runflow"] == 1


async def test_several_pictures_are_one_charge_and_as_many_outputs_all_different(
    client: httpx2.AsyncClient, clock: Clock, state: State
) -> None:
    created = await _create(client, num_images=3, aspect_ratio="21:9", output_format="png")
    clock.turn(2)
    reply = await _get(client, created)
    outputs = reply["output"]["outputs"]
    contents = [(await client.get(output["url"])).content for output in outputs]
    assert ({output["type"] for output in outputs}, reply["cost"]) == ({"image"}, "0.12")
    assert [(opened(one).format, opened(one).size) for one in contents] == [("PNG", (1568, 672))] * 3
    assert len(set(contents)) == 3
    assert state.charged["runflow"] == 1


async def test_the_second_shape_of_an_output_is_a_list_of_addresses(
    client: httpx2.AsyncClient, clock: Clock, state: State
) -> None:
    state.script({"wire": "runflow", "on": "create", "shape": "second"})
    created = await _create(client)
    clock.turn(2)
    (url,) = (await _get(client, created))["output"]["image_urls"]
    assert opened((await client.get(url)).content).format == "JPEG"


async def test_a_partial_success_lacks_the_last_picture(client: httpx2.AsyncClient, clock: Clock, state: State) -> None:
    state.script({"wire": "runflow", "on": "create", "fault": "partial_succeeded"})
    created = await _create(client, num_images=2)
    clock.turn(2)
    reply = await _get(client, created)
    assert (reply["status_code"], len(reply["output"]["outputs"])) == ("partial_succeeded", 1)


@pytest.mark.parametrize("code", [None, 404, 405])
async def test_the_newer_surface_may_be_gone_while_the_older_one_stands(
    client: httpx2.AsyncClient, state: State, code: int | None
) -> None:
    state.script({"wire": "runflow", "on": "create", "fault": "surface_gone", "code": code, "times": "always"})
    gone = await _create(client)
    assert gone.status_code == (code or 404)
    assert gone.json()["code"] == ("METHOD_NOT_ALLOWED" if code == 405 else "NOT_FOUND")
    assert (await client.post(RUN, json=GIVEN)).status_code == 200
    assert state.counter()["charged"]["runflow"] == 1


async def test_the_older_surface_answers_with_the_pictures_at_once_under_a_turned_clock(
    client: httpx2.AsyncClient, state: State
) -> None:
    answer = await client.post(RUN, json=GIVEN | {"aspect_ratio": "portrait_4_3", "num_images": 2})
    urls = [image["url"] for image in answer.json()["images"]]
    assert [opened((await client.get(url)).content).size for url in urls] == [(768, 1024)] * 2
    assert state.charged["runflow"] == 1
    (job,) = state.jobs.values()
    assert (await client.get(f"{BASE}/runs/{job.id}")).status_code == 404


async def test_the_older_surface_takes_as_long_as_the_job_does() -> None:
    transport = httpx2.ASGITransport(build(new_state(job_seconds=0.01)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:9876", headers=HEADERS) as http:
        begun = anyio.current_time()
        answer = await http.post(RUN, json=GIVEN)
    assert anyio.current_time() - begun > 0.009
    assert len(answer.json()["images"]) == 1


async def test_the_older_surface_never_answers_for_a_job_that_never_ends(
    client: httpx2.AsyncClient, state: State
) -> None:
    state.script({"wire": "runflow", "on": "create", "fault": "never_ends"})
    with anyio.move_on_after(0.05) as scope:
        await client.post(RUN, json=GIVEN)
    assert scope.cancelled_caught
    assert state.charged["runflow"] == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"prompt": " "}, "prompt: Field required"),
        ({"image_url": ""}, "image_url: Field required"),
        ({"image_url": "http://example.com/a.png"}, "could not be downloaded"),
        ({"image_url": "http://127.0.0.1:9876/_files/none.png"}, "could not be downloaded"),
        ({"num_images": 5}, "num_images: from 1 to 4"),
        ({"num_images": True}, "num_images: must be a int"),
        ({"guidance_scale": 20.5}, "guidance_scale: from 1 to 20"),
        ({"guidance_scale": 0}, "guidance_scale: from 1 to 20"),
        ({"output_format": "jpg"}, "output_format: one of jpeg, png"),
        ({"safety_tolerance": 2}, "safety_tolerance: must be a str"),
        ({"safety_tolerance": "0"}, "safety_tolerance: one of 1, 2"),
        ({"seed": 1.5}, "seed: must be a int"),
        ({"steps": 30}, "steps: unknown"),
    ],
)
async def test_an_input_that_the_vendor_would_refuse_is_refused_on_both_surfaces(
    client: httpx2.AsyncClient, state: State, given: dict[str, Any], words: str
) -> None:
    for answer in (await _create(client, **given), await client.post(RUN, json=GIVEN | given)):
        told = answer.json()
        assert (answer.status_code, told["code"]) == (422, "VALIDATION_ERROR")
        assert words in told["message"]
        assert [list(one) for one in told["errors"]] == [["field", "message"]]
    assert state.counter()["charged"]["runflow"] == 0


async def test_each_surface_has_ratios_of_its_own(client: httpx2.AsyncClient) -> None:
    named: dict[str, Any] = {"aspect_ratio": "square_hd"}
    numeric: dict[str, Any] = {"aspect_ratio": "9:21"}
    assert (await _create(client, **named)).json()["errors"][0]["field"] == "input.aspect_ratio"
    assert (await client.post(RUN, json=GIVEN | numeric)).json()["errors"][0]["field"] == "aspect_ratio"
    assert (await _create(client, **numeric)).status_code == 202
    assert (await client.post(RUN, json=GIVEN | named)).status_code == 200
    for lacking in ("4:5", "match_input_image"):
        assert (await _create(client, aspect_ratio=lacking)).status_code == 422


@pytest.mark.parametrize("top", [{"input": None}, {"priority": 1}, {"metadata": "x"}])
async def test_an_envelope_that_the_vendor_would_refuse_is_refused(
    client: httpx2.AsyncClient, top: dict[str, Any]
) -> None:
    assert (await _create(client, top)).status_code == 422


@pytest.mark.parametrize(
    ("fault", "told", "flat"),
    [
        ({"fault": "fail"}, ("failed", "EXECUTION_FAILED", "Prediction failed"), (500, "EXECUTION_FAILED")),
        ({"fault": "fail", "error_code": "OUT", "error": "no"}, ("failed", "OUT", "no"), (500, "OUT")),
        (
            {"fault": "moderated"},
            ("failed", "CONTENT_MODERATED", "The content was blocked by the safety filter"),
            (422, "CONTENT_MODERATED"),
        ),
        ({"fault": "cancelled_elsewhere"}, ("canceled", None, None), (409, "RUN_CANCELED")),
        ({"fault": "never_ends"}, ("running", None, None), None),
        ({"fault": "status", "status": "resting"}, ("resting", None, None), None),
    ],
)
async def test_a_run_takes_the_fate_of_its_script(
    client: httpx2.AsyncClient,
    clock: Clock,
    state: State,
    fault: dict[str, Any],
    told: tuple[str | None, ...],
    flat: tuple[int, str] | None,
) -> None:
    for on, seconds in (("create", 2.0), ("get", 1.0)):
        state.script({"wire": "runflow", "on": on} | fault)
        created = await _create(client)
        assert created.json()["status_code"] == "queued"
        clock.turn(seconds)
        reply = await _get(client, created)
        assert (reply["status_code"], reply["failure_code"], reply["failure_message"]) == told
        assert reply["output"] is None
    if flat is not None:
        state.script({"wire": "runflow", "on": "create"} | fault)
        answer = await client.post(RUN, json=GIVEN)
        assert (answer.status_code, answer.json()["code"]) == flat


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "UNAUTHORIZED"),
        (402, "INSUFFICIENT_CREDIT"),
        (403, "PERMISSION_DENIED"),
        (404, "RUN_NOT_FOUND"),
        (422, "VALIDATION_ERROR"),
        (429, "RATE_LIMITED"),
        (500, "INTERNAL_ERROR"),
        (503, "MODEL_UNAVAILABLE"),
    ],
)
async def test_a_scripted_status_has_the_vendors_code(
    client: httpx2.AsyncClient, state: State, status: int, code: str
) -> None:
    state.script({"wire": "runflow", "on": "create", "fault": status})
    answer = await _create(client)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (answer.json()["errors"] is not None) == (status == 422)
    assert state.counter()["charged"]["runflow"] == 0


@pytest.mark.parametrize("authorization", ["", "Bearer cdt_test", "Key rf_live_test", "rf_live_test"])
async def test_without_a_bearer_key_of_the_vendor_nothing_is_answered(
    client: httpx2.AsyncClient, authorization: str
) -> None:
    client.headers["authorization"] = authorization
    for path in (RUNS, RUN, f"{BASE}/asset-uploads"):
        answer = await client.post(path, json={})
        assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")


async def test_there_is_no_cancel(client: httpx2.AsyncClient) -> None:
    created = await _create(client)
    refused = await client.delete(f"{BASE}/runs/{created.json()['id']}")
    assert (refused.status_code, refused.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    unknown = await client.get(f"{BASE}/runs/unknown")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "RUN_NOT_FOUND")


@pytest.mark.parametrize("path", [RUNS, RUN])
async def test_a_create_whose_connection_dies_after_acceptance_is_charged_once(
    client: httpx2.AsyncClient, state: State, path: str
) -> None:
    state.script({"wire": "runflow", "on": "create", "fault": "accept_then_reset"})
    with pytest.raises(ConnectionResetError):
        await client.post(path, json=GIVEN if path == RUN else {"input": GIVEN})
    assert state.counter()["charged"]["runflow"] == 1
