from __future__ import annotations

import base64
import io
from typing import Any

import httpx2
import pytest
from PIL import Image

from kontext_server.simulator.state import State
from support.wires import Clock, opened

pytestmark = pytest.mark.anyio

APP = "/fal/fal-ai/flux-pro"
EDIT = f"{APP}/kontext"
GIVEN: dict[str, Any] = {"prompt": "a fox", "image_url": "https://example.com/in.png", "seed": 7}


@pytest.fixture(autouse=True)
def key(client: httpx2.AsyncClient) -> None:
    client.headers["authorization"] = "Key id:secret"


async def _create(client: httpx2.AsyncClient, **given: Any) -> Any:
    answer = await client.post(EDIT, json=GIVEN | given)
    assert answer.status_code == 200
    return answer.json()


async def _status(client: httpx2.AsyncClient, created: Any, logs: int = 0) -> Any:
    return await client.get(created["status_url"], params={"logs": logs})


async def test_a_request_goes_from_the_queue_over_progress_to_completed(
    client: httpx2.AsyncClient, clock: Clock, state: State
) -> None:
    created = await _create(client)
    own = f"http://127.0.0.1:9876{APP}/requests/{created['request_id']}"
    addresses = {
        "request_id": created["request_id"],
        "response_url": own,
        "status_url": f"{own}/status",
        "cancel_url": f"{own}/cancel",
    }
    assert created == {"status": "IN_QUEUE", "queue_position": 0} | addresses
    waiting = await _status(client, created)
    assert (waiting.status_code, waiting.json()) == (202, created)
    clock.turn(1)
    working = await _status(client, created)
    assert (working.status_code, working.json()) == (202, {"status": "IN_PROGRESS", "logs": None} | addresses)
    early = await client.get(created["response_url"])
    assert (early.status_code, early.json()) == (400, {"detail": "Request is still in progress"})
    clock.turn(1)
    done = await _status(client, created, logs=1)
    assert (done.status_code, done.json()["status"], len(done.json()["logs"])) == (200, "COMPLETED", 1)
    assert round(done.json()["metrics"]["inference_time"], 3) == 1.6
    assert "error" not in done.json()
    assert state.charged["fal"] == state.creates["fal"] == 1


async def test_the_result_tells_all_about_each_of_its_pictures(
    client: httpx2.AsyncClient, clock: Clock, state: State
) -> None:
    created = await _create(client, num_images=2, aspect_ratio="3:2", guidance_scale=3, output_format="png")
    clock.turn(2)
    told = (await client.get(created["response_url"])).json()
    assert (told["seed"], told["prompt"], told["has_nsfw_concepts"]) == (7, "a fox", [False, False])
    contents = [(await client.get(image["url"])).content for image in told["images"]]
    for image, content in zip(told["images"], contents, strict=True):
        assert (image["content_type"], image["width"], image["height"]) == ("image/png", 1248, 832)
        assert (image["file_size"], opened(content).size) == (len(content), (1248, 832))
    assert contents[0] != contents[1]
    assert state.charged["fal"] == 1


@pytest.mark.parametrize("endpoint", ["/text-to-image", "/max/text-to-image"])
async def test_the_endpoints_without_a_picture_refuse_one(
    client: httpx2.AsyncClient, clock: Clock, endpoint: str, state: State
) -> None:
    refused = await client.post(EDIT + endpoint, json=GIVEN)
    assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (422, ["body", "image_url"])
    created = (await client.post(EDIT + endpoint, json={"prompt": "a fox"})).json()
    assert created["response_url"].startswith(f"http://127.0.0.1:9876{APP}/requests/")
    clock.turn(2)
    told = (await client.get(created["response_url"])).json()
    assert (told["images"][0]["content_type"], told["images"][0]["width"]) == ("image/jpeg", 1024)
    assert 0 <= told["seed"] < 2**32
    assert state.jobs[created["request_id"]].model == f"fal-ai/flux-pro/kontext{endpoint}"


async def test_max_has_an_endpoint_of_its_own_and_a_webhook_is_noted(client: httpx2.AsyncClient, state: State) -> None:
    created = await client.post(f"{EDIT}/max?fal_webhook=https://example.com/h", json=GIVEN)
    job = state.jobs[created.json()["request_id"]]
    assert (job.model, job.asked) == ("fal-ai/flux-pro/kontext/max", {"fal_webhook": "https://example.com/h"})
    unknown = await client.post(f"{EDIT}/multi", json=GIVEN)
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize(
    ("given", "field", "kind"),
    [
        ({"prompt": ""}, "prompt", "missing"),
        ({"image_url": ""}, "image_url", "missing"),
        ({"image_url": "http://example.com/a.png"}, "image_url", "value_error"),
        ({"image_url": "data:image/png;base64,R0lG"}, "image_url", "value_error"),
        ({"aspect_ratio": "4:5"}, "aspect_ratio", "value_error"),
        ({"num_images": 0}, "num_images", "value_error"),
        ({"guidance_scale": 21}, "guidance_scale", "value_error"),
        ({"guidance_scale": "3"}, "guidance_scale", "value_error"),
        ({"output_format": "webp"}, "output_format", "value_error"),
        ({"safety_tolerance": 2}, "safety_tolerance", "value_error"),
        ({"safety_tolerance": "7"}, "safety_tolerance", "value_error"),
        ({"steps": 30}, "steps", "value_error"),
    ],
)
async def test_an_input_that_the_model_would_refuse_is_refused(
    client: httpx2.AsyncClient, state: State, given: dict[str, Any], field: str, kind: str
) -> None:
    answer = await client.post(EDIT, json=GIVEN | given)
    (told,) = answer.json()["detail"]
    assert (answer.status_code, told["loc"], told["type"]) == (422, ["body", field], kind)
    assert answer.headers["x-fal-retryable"] == "false"
    assert state.counter()["charged"]["fal"] == 0


async def test_a_body_that_is_no_json_object_is_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.post(EDIT, content=b"[")
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body"])


async def test_a_data_uri_becomes_the_picture_that_is_edited(client: httpx2.AsyncClient, clock: Clock) -> None:
    file = io.BytesIO()
    Image.new("RGB", (1600, 700), "red").save(file, "WEBP")
    created = await _create(client, image_url=f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}")
    clock.turn(2)
    told = (await client.get(created["response_url"])).json()
    assert (told["images"][0]["width"], told["images"][0]["height"]) == (1568, 672)


@pytest.mark.parametrize("asked", ["sync_mode", "script"])
async def test_a_result_may_hold_data_uris(client: httpx2.AsyncClient, clock: Clock, state: State, asked: str) -> None:
    if asked == "script":
        state.script({"wire": "fal", "on": "create", "fault": "data_uri"})
    created = await _create(client, sync_mode=asked == "sync_mode")
    clock.turn(2)
    (image,) = (await client.get(created["response_url"])).json()["images"]
    head, _, data = image["url"].partition(",")
    assert (head, len(base64.b64decode(data))) == ("data:image/jpeg;base64", image["file_size"])


@pytest.mark.parametrize(
    ("code", "status"), [("", 500), ("runner_disconnected", 503), ("request_timeout", 504), ("bad_request", 400)]
)
@pytest.mark.parametrize("on", ["create", "get"])
async def test_completed_may_be_a_failure(
    client: httpx2.AsyncClient, clock: Clock, state: State, on: str, code: str, status: int
) -> None:
    state.script({"wire": "fal", "on": on, "fault": "fail", "error": "lost", "error_code": code})
    created = await _create(client)
    clock.turn(2 if on == "create" else 1)
    told = await _status(client, created)
    kind = code or "runner_server_error"
    assert (told.status_code, told.json()["status"]) == (200, "COMPLETED")
    assert (told.json()["error"], told.json()["error_type"]) == ("lost", kind)
    result = await client.get(created["response_url"])
    assert (result.status_code, result.json()) == (status, {"detail": "lost", "error_type": kind})
    assert result.headers["x-fal-error-type"] == kind
    assert state.charged["fal"] == 1


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ({"fault": "moderated"}, "content_policy_violation", "flagged by a content checker"),
        ({"fault": "moderated", "error": "no foxes"}, "content_policy_violation", "no foxes"),
        ({"fault": "fail", "error_code": "image_too_large", "error": "too large"}, "image_too_large", "too large"),
    ],
)
async def test_a_refusal_by_the_model_is_the_result_of_a_request_that_completed(
    client: httpx2.AsyncClient, clock: Clock, state: State, fault: dict[str, str], kind: str, words: str
) -> None:
    state.script({"wire": "fal", "on": "create"} | fault)
    created = await _create(client)
    clock.turn(2)
    told = (await _status(client, created)).json()
    assert (told["status"], "error" in told) == ("COMPLETED", False)
    result = await client.get(created["response_url"])
    (detail,) = result.json()["detail"]
    assert (result.status_code, detail["type"], result.headers["x-fal-error-type"]) == (422, kind, kind)
    assert words in detail["msg"]


async def test_pictures_may_be_marked_as_not_safe(client: httpx2.AsyncClient, clock: Clock, state: State) -> None:
    state.script({"wire": "fal", "on": "create", "fault": "nsfw"})
    created = await _create(client, num_images=2)
    clock.turn(2)
    told = (await client.get(created["response_url"])).json()
    assert (told["has_nsfw_concepts"], len(told["images"])) == ([True, True], 2)


@pytest.mark.parametrize("how", ["cancel", "cancelled_elsewhere"])
async def test_a_cancelled_request_is_completed_with_an_error(
    client: httpx2.AsyncClient, clock: Clock, state: State, how: str
) -> None:
    created = await _create(client)
    clock.turn(1)
    if how == "cancel":
        answer = await client.put(created["cancel_url"])
        assert (answer.status_code, answer.json()) == (202, {"status": "CANCELLATION_REQUESTED"})
    else:
        state.script({"wire": "fal", "on": "get", "fault": how})
    told = (await _status(client, created)).json()
    assert (told["status"], told["error_type"]) == ("COMPLETED", "client_cancelled")
    result = await client.get(created["response_url"])
    assert (result.status_code, result.json()["error_type"]) == (499, "client_cancelled")


async def test_a_cancel_may_come_too_late_or_change_nothing(
    client: httpx2.AsyncClient, clock: Clock, state: State
) -> None:
    created = await _create(client)
    state.script({"wire": "fal", "on": "cancel", "fault": "cancel_ignored"})
    assert (await client.put(created["cancel_url"])).status_code == 202
    clock.turn(2)
    late = await client.put(created["cancel_url"])
    assert (late.status_code, late.json()) == (400, {"status": "ALREADY_COMPLETED"})
    assert (await client.get(created["response_url"])).status_code == 200
    unknown = await client.put(f"{APP}/requests/unknown/cancel")
    assert (unknown.status_code, unknown.json()) == (404, {"status": "NOT_FOUND"})


@pytest.mark.parametrize("fault", [{"fault": "never_ends"}, {"fault": "status", "status": "RESTING"}])
async def test_a_request_that_never_completes_has_no_result(
    client: httpx2.AsyncClient, clock: Clock, state: State, fault: dict[str, str]
) -> None:
    state.script({"wire": "fal", "on": "create"} | fault)
    created = await _create(client)
    clock.turn(100)
    told = await _status(client, created)
    assert (told.status_code, told.json()["status"]) == (202, fault.get("status", "IN_PROGRESS"))
    assert (await client.get(created["response_url"])).status_code == 400


async def test_a_status_that_goes_back_is_told_once(client: httpx2.AsyncClient, clock: Clock, state: State) -> None:
    created = await _create(client)
    clock.turn(2)
    state.script({"wire": "fal", "on": "get", "fault": "status", "status": "IN_PROGRESS"})
    replies = [(await _status(client, created)).json()["status"] for _ in range(2)]
    assert replies == ["IN_PROGRESS", "COMPLETED"]


async def test_a_script_may_wait_for_the_result_and_let_the_status_pass(
    client: httpx2.AsyncClient, clock: Clock, state: State
) -> None:
    created = await _create(client)
    clock.turn(2)
    state.script({"wire": "fal", "on": "get", "fault": "500", "match": f"{created['request_id']}?"})
    assert (await _status(client, created)).status_code == 200
    broken = await client.get(created["response_url"])
    assert (broken.status_code, broken.json()) == (500, {"detail": "Internal server error"})


@pytest.mark.parametrize("authorization", ["", "Bearer id:secret", "Key "])
async def test_without_a_key_under_its_own_scheme_nothing_is_answered(
    client: httpx2.AsyncClient, authorization: str
) -> None:
    client.headers["authorization"] = authorization
    answer = await client.post(EDIT, json=GIVEN)
    assert (answer.status_code, list(answer.json())) == (401, ["detail"])
    assert (await client.get(f"{APP}/requests/unknown")).status_code == 401


async def test_a_create_whose_connection_dies_after_acceptance_is_charged_once(
    client: httpx2.AsyncClient, state: State
) -> None:
    state.script({"wire": "fal", "on": "create", "fault": "accept_then_reset"})
    with pytest.raises(ConnectionResetError):
        await client.post(EDIT, json=GIVEN)
    assert state.charged["fal"] == 1
    assert (await client.get(f"{APP}/requests/unknown/status")).json() == {"detail": "Request not found"}
