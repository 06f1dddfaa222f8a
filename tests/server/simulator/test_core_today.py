"""core.today's wire: a job's life, keys, what it takes and refuses, what a script makes of it."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx2
import pytest
from inline_snapshot import snapshot

from kontext_server.simulator.state import MODERATED, State
from support.wires import Clock, opened

pytestmark = pytest.mark.anyio

BASE = "/core.today/v1"
MODEL = "black-forest-labs/flux-kontext-pro"


async def _create(client: httpx2.AsyncClient, top: dict[str, Any] | None = None, **given: Any) -> Any:
    body = {"model": MODEL, "input": {"prompt": "a fox", "seed": 7} | given} | (top or {})
    return await client.post(f"{BASE}/predictions", json=body)


async def _get(client: httpx2.AsyncClient, job_id: str) -> Any:
    return (await client.get(f"{BASE}/predictions/{job_id}")).json()


async def test_a_prediction_goes_from_pending_over_processing_to_completed(
    client: httpx2.AsyncClient, clock: Clock, state: State
) -> None:
    created = await _create(client)
    job_id = created.json()["job_id"]
    assert created.json() | {"job_id": "j1"} == snapshot(
        {
            "job_id": "j1",
            "status": "pending",
            "provider": "replicate",
            "model": "black-forest-labs/flux-kontext-pro",
            "created_at": "2026-11-18T11:06:40Z",
            "result": None,
            "error": None,
            "public_url": None,
        }
    )
    told: list[tuple[str, bool]] = []
    for _ in range(3):
        reply = await _get(client, job_id)
        told.append((reply["status"], reply["result"] is None))
        clock.turn(1.0)
    assert told == [("pending", True), ("processing", True), ("completed", False)]
    assert (state.charged["core.today"], state.creates["core.today"]) == (1, 1)


async def test_the_output_is_fetched_without_a_key_until_it_expires(client: httpx2.AsyncClient, clock: Clock) -> None:
    job_id = (await _create(client, aspect_ratio="16:9", output_format="jpg")).json()["job_id"]
    clock.turn(2)
    url = (await _get(client, job_id))["result"]
    del client.headers["x-api-key"]
    answer = await client.get(url)
    picture = opened(answer.content)
    assert (answer.headers["content-type"], picture.format, picture.size) == (
        "image/jpeg",
        "JPEG",
        (1392, 752),
    )
    assert (await client.get(url.partition("?")[0])).status_code == 403
    clock.turn(3599)
    assert (await client.get(url)).status_code == 200
    clock.turn(1)
    assert (await client.get(url)).status_code == 403
    assert (await client.get("/_files/unknown.png")).status_code == 404


async def test_a_create_says_pending_however_quick_the_job_is(client: httpx2.AsyncClient, state: State) -> None:
    state.job_seconds = 0
    created = (await _create(client)).json()
    assert (created["status"], created["result"]) == ("pending", None)
    assert (await _get(client, created["job_id"]))["status"] == "completed"


async def test_a_public_output_stays(client: httpx2.AsyncClient, clock: Clock) -> None:
    job_id = (await _create(client, {"is_public": True, "output_folder": "a/b"})).json()["job_id"]
    assert (await _get(client, job_id))["public_url"] is None
    clock.turn(1e9)
    reply = await _get(client, job_id)
    assert (await client.get(reply["public_url"])).status_code == 200
    assert (await client.get(reply["result"])).status_code == 403


async def test_the_same_prompt_and_seed_give_the_same_picture(client: httpx2.AsyncClient, clock: Clock) -> None:
    ids = [(await _create(client)).json()["job_id"] for _ in range(2)]
    clock.turn(2)
    first, second = [(await client.get((await _get(client, one))["result"])).content for one in ids]
    assert first == second


async def test_an_https_picture_is_believed_and_never_fetched(client: httpx2.AsyncClient) -> None:
    assert (await _create(client, input_image="https://example.com/a.png")).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"x-api-key": "cdt_a"}, {"authorization": "Bearer cdt_a"}, {"authorization": "bearer cdt_a"}]
)
async def test_the_key_comes_in_either_header(client: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    del client.headers["x-api-key"]
    client.headers.update(headers)
    assert (await _create(client)).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"x-api-key": "sk_1"}, {"authorization": "Basic cdt_a"}, {"authorization": "cdt_a"}]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "predictions"),
        ("POST", "predictions/upload"),
        ("GET", "predictions/1"),
        ("DELETE", "predictions/1"),
        ("POST", "files/upload-url"),
        ("GET", "elsewhere"),
    ],
)
async def test_without_a_right_key_every_path_answers_401(
    client: httpx2.AsyncClient, state: State, headers: dict[str, str], method: str, path: str
) -> None:
    del client.headers["x-api-key"]
    answer = await client.request(method, f"{BASE}/{path}", headers=headers)
    assert (answer.status_code, list(answer.json())) == (401, ["detail"])
    assert state.creates["core.today"] == 0


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "x", 404), ("PUT", "predictions", 405)])
async def test_an_unknown_path_or_method_is_refused_in_the_vendors_dialect(
    client: httpx2.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, f"{BASE}/{path}")
    assert (answer.status_code, list(answer.json())) == (status, ["detail"])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"prompt": "  "}, "input.prompt: needed"),
        ({"prompt": 3}, "input.prompt: must be a str"),
        ({"guidance_scale": 3}, "input.guidance_scale: unknown"),
        ({"seed": "7"}, "input.seed: must be a int"),
        ({"seed": True}, "input.seed: must be a int"),
        ({"seed": None}, "input.seed: must be a int"),
        ({"prompt_upsampling": 1}, "input.prompt_upsampling: must be a bool"),
        ({"aspect_ratio": "7:5"}, "input.aspect_ratio: one of"),
        ({"output_format": "jpeg"}, "input.output_format: one of jpg, png"),
        ({"safety_tolerance": 7}, "input.safety_tolerance: from 0 to 6"),
        ({"safety_tolerance": -1}, "input.safety_tolerance: from 0 to 6"),
        (
            {"safety_tolerance": 3, "input_image": "https://example.com/a.png"},
            "input.safety_tolerance: from 0 to 2",
        ),
        ({"input_image": ["https://example.com/a.png"]}, "input.input_image: must be a str"),
        ({"input_image": "http://example.com/a.png"}, "could not be downloaded"),
        ({"input_image": "data:image/png;base64,AA=="}, "could not be downloaded"),
        ({"input_image": "http://127.0.0.1:9876/_files/none.png"}, "could not be downloaded"),
        ({"input_image": "https:///a.png"}, "could not be downloaded"),
        ({"input_image": "https://[::1"}, "not a valid URL"),
    ],
)
async def test_an_input_that_the_vendor_would_refuse_is_refused_and_not_charged(
    client: httpx2.AsyncClient, state: State, given: dict[str, Any], words: str
) -> None:
    answer = await _create(client, **given)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    assert (state.charged["core.today"], state.creates["core.today"]) == (0, 1)


@pytest.mark.parametrize(
    ("top", "status", "words"),
    [
        ({"model": "flux-kontext-pro"}, 404, "Model not found"),
        ({"model": 3}, 422, "model: must be a str"),
        ({"input": "p"}, 422, "input: must be a dict"),
        ({"priority": 1}, 422, "priority: unknown"),
        ({"output_folder": "a/../b"}, 422, "output_folder"),
        ({"output_folder": "a" * 257}, 422, "output_folder"),
        ({"is_public": "yes"}, 422, "is_public: must be a bool"),
    ],
)
async def test_an_envelope_that_the_vendor_would_refuse_is_refused(
    client: httpx2.AsyncClient, top: dict[str, Any], status: int, words: str
) -> None:
    answer = await _create(client, top)
    assert answer.status_code == status
    assert words in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
async def test_a_body_that_is_no_json_object_is_refused(client: httpx2.AsyncClient, body: bytes) -> None:
    assert (await client.post(f"{BASE}/predictions", content=body)).status_code == 422


async def test_safety_up_to_six_is_taken_without_a_picture(client: httpx2.AsyncClient) -> None:
    assert (await _create(client, safety_tolerance=6)).status_code == 200


async def test_the_second_published_shape_is_spoken_by_a_job_whose_script_asks_for_it(
    client: httpx2.AsyncClient, state: State, clock: Clock
) -> None:
    state.script({"wire": "core.today", "on": "create", "shape": "second"})
    hooks = {"webhook": "https://example.com/hook", "webhook_events": ["completed"]}
    created = (await _create(client, hooks)).json()
    job_id = created["id"]
    assert job_id.startswith("pred_")
    assert created == {"id": job_id, "status": "pending", "output": None, "error": None, "metrics": None}
    clock.turn(2)
    reply = await _get(client, job_id)
    (url,) = reply["output"]
    assert (await client.get(url)).status_code == 200
    assert (reply["status"], {name: round(value, 6) for name, value in reply["metrics"].items()}) == (
        "succeeded",
        {"total_time": 2.0, "queue_time": 0.4, "run_time": 1.6},
    )


async def test_an_output_is_usable_as_the_next_input(client: httpx2.AsyncClient, clock: Clock) -> None:
    job_id = (await _create(client, aspect_ratio="21:9")).json()["job_id"]
    clock.turn(2)
    url = (await _get(client, job_id))["result"]
    second = (await _create(client, input_image=url)).json()["job_id"]
    clock.turn(2)
    assert opened((await client.get((await _get(client, second))["result"])).content).size == (1568, 672)


async def test_a_running_job_is_cancelled_and_an_ended_one_is_not(client: httpx2.AsyncClient, clock: Clock) -> None:
    running, ended = [(await _create(client)).json()["job_id"] for _ in range(2)]
    assert (await client.delete(f"{BASE}/predictions/{running}")).json()["status"] == "cancelled"
    clock.turn(5)
    assert (await _get(client, running))["status"] == "cancelled"
    refused = await client.delete(f"{BASE}/predictions/{ended}")
    assert (refused.status_code, refused.json()) == (
        409,
        {"detail": "Prediction has already ended: completed"},
    )
    assert (await client.delete(f"{BASE}/predictions/unknown")).status_code == 404


async def test_a_cancel_may_be_answered_with_nothing(client: httpx2.AsyncClient, state: State) -> None:
    state.script({"wire": "core.today", "on": "cancel", "fault": "no_content"})
    job_id = (await _create(client)).json()["job_id"]
    answer = await client.delete(f"{BASE}/predictions/{job_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await _get(client, job_id))["status"] == "cancelled"


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        ({"fault": "fail", "error": "no paint"}, "failed", "no paint"),
        ({"fault": "moderated"}, "failed", MODERATED),
        ({"fault": "cancelled_elsewhere"}, "cancelled", None),
        ({"fault": "never_ends"}, "processing", None),
        ({"fault": "status", "status": "resting"}, "resting", None),
    ],
)
@pytest.mark.parametrize("on", ["create", "get"])
async def test_a_job_takes_the_fate_of_its_script(
    client: httpx2.AsyncClient,
    clock: Clock,
    state: State,
    on: str,
    fault: dict[str, Any],
    status: str,
    error: str | None,
) -> None:
    state.script({"wire": "core.today", "on": on} | fault)
    created = (await _create(client)).json()
    assert created["status"] == "pending"
    clock.turn(2 if on == "create" else 1)
    reply = await _get(client, created["job_id"])
    assert (reply["status"], reply["result"], reply["error"]) == (status, None, error)
    assert state.charged["core.today"] == 1


async def test_a_status_that_goes_back_is_told_once(client: httpx2.AsyncClient, clock: Clock, state: State) -> None:
    job_id = (await _create(client)).json()["job_id"]
    clock.turn(2)
    state.script({"wire": "core.today", "on": "get", "fault": "status", "status": "processing"})
    replies = [await _get(client, job_id) for _ in range(2)]
    assert [(reply["status"], reply["result"] is None) for reply in replies] == [
        ("processing", True),
        ("completed", False),
    ]


async def test_a_result_may_be_a_data_uri(client: httpx2.AsyncClient, clock: Clock, state: State) -> None:
    state.script({"wire": "core.today", "on": "create", "fault": "data_uri"})
    job_id = (await _create(client)).json()["job_id"]
    clock.turn(2)
    head, _, data = (await _get(client, job_id))["result"].partition(",")
    assert head == "data:image/png;base64"
    assert opened(base64.b64decode(data)).size == (1024, 1024)


async def test_what_a_create_said_is_kept_for_tests_to_look_at(client: httpx2.AsyncClient, state: State) -> None:
    await _create(client, {"webhook_url": "https://example.com/h"}, aspect_ratio="1:1")
    told = (await client.get("/_sim/jobs")).json()["jobs"]
    (job_id,) = state.jobs
    assert json.loads(json.dumps(told)) == [
        {
            "id": job_id,
            "wire": "core.today",
            "phase": "waiting",
            "model": MODEL,
            "input": {"prompt": "a fox", "seed": 7, "aspect_ratio": "1:1"},
            "asked": {"webhook_url": "https://example.com/h"},
            "created_at": 1_795_000_000.0,
        }
    ]
