"""What Replicate takes and refuses: inputs, pictures and files, the list, and the two headers of a create."""

from __future__ import annotations

import base64
import io
from typing import Any

import httpx2
import pytest
from PIL import Image

from kontext_server.simulator.state import State
from support.wires import Clock, red_png

pytestmark = pytest.mark.anyio

KEY_HEADERS = {"authorization": "Bearer r8_test"}
BASE = "/replicate/v1"
KKIAI = "/kkiai/replicate/v1"
PRO = "black-forest-labs/flux-kontext-pro"
DEV = "black-forest-labs/flux-kontext-dev"
PICTURE = "https://example.com/a.png"


async def _create(
    client: httpx2.AsyncClient, given: dict[str, Any], *, model: str = PRO, base: str = BASE, **headers: str
) -> httpx2.Response:
    body = {"input": {"prompt": "a fox"} | given}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post(f"{base}/models/{model}/predictions", json=body, headers=named)


async def _output_size(client: httpx2.AsyncClient, clock: Clock, created: httpx2.Response, base: str) -> Any:
    clock.turn(2)
    reply = (await client.get(f"{base}/predictions/{created.json()['id']}")).json()
    return Image.open(io.BytesIO((await client.get(reply["output"])).content)).size


@pytest.mark.parametrize(
    ("model", "given", "field"),
    [
        (PRO, {"prompt": None}, "input.prompt"),
        (PRO, {"prompt": " "}, "input.prompt"),
        (PRO, {"prompt": 3}, "input.prompt"),
        (PRO, {"guidance": 3}, "input.guidance"),
        (PRO, {"seed": "7"}, "input.seed"),
        (PRO, {"seed": True}, "input.seed"),
        (PRO, {"seed": None}, "input.seed"),
        (PRO, {"seed": 2**32}, "input.seed"),
        (PRO, {"prompt_upsampling": 1}, "input.prompt_upsampling"),
        (PRO, {"aspect_ratio": "7:5"}, "input.aspect_ratio"),
        (PRO, {"output_format": "jpeg"}, "input.output_format"),
        (PRO, {"output_format": "webp"}, "input.output_format"),
        (PRO, {"safety_tolerance": 7}, "input.safety_tolerance"),
        (PRO, {"safety_tolerance": 3, "input_image": PICTURE}, "input.safety_tolerance"),
        (PRO, {"input_image": [PICTURE]}, "input.input_image"),
        (PRO, {"input_image": "http://example.com/a.png"}, "input.input_image"),
        (PRO, {"input_image": "data:image/png;base64,AA=="}, "input.input_image"),
        (PRO, {"input_image": "data:image/png,AA"}, "input.input_image"),
        (PRO, {"input_image": "data:image/png;base64," + "A" * 13_400_000}, "input.input_image"),
        (PRO, {"input_image": f"http://127.0.0.1:9876{BASE}/files/none"}, "input.input_image"),
        (DEV, {}, "input.input_image"),
        (DEV, {"input_image": PICTURE, "safety_tolerance": 2}, "input.safety_tolerance"),
        (DEV, {"input_image": PICTURE, "prompt_upsampling": False}, "input.prompt_upsampling"),
        (DEV, {"input_image": PICTURE, "guidance": 10.5}, "input.guidance"),
        (DEV, {"input_image": PICTURE, "num_inference_steps": 3}, "input.num_inference_steps"),
        (DEV, {"input_image": PICTURE, "output_quality": 101}, "input.output_quality"),
    ],
)
async def test_an_input_that_the_vendor_would_refuse_is_refused_and_not_charged(
    client: httpx2.AsyncClient, state: State, model: str, given: dict[str, Any], field: str
) -> None:
    for base, wire in ((BASE, "replicate"), (KKIAI, "kkiai")):
        answer = await _create(client, given, model=model, base=base)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
        assert answer.json()["detail"].startswith(f"{field}: ")
        assert [wrong["field"] for wrong in answer.json()["invalid_fields"]] == [field]
        assert (state.charged[wire], state.creates[wire]) == (0, 1)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "input: "),
        ({"input": "p"}, "input: "),
        ({"input": {}}, "input.prompt: "),
        ({"input": {"prompt": "p"}, "version": "1"}, "version: "),
        ({"input": {"prompt": "p"}, "webhook": "ftp://example.com"}, "webhook: "),
        ({"input": {"prompt": "p"}, "webhook_events_filter": ["done"]}, "webhook_events_filter.0: "),
        ([], "expected a JSON object"),
    ],
)
async def test_an_envelope_that_the_vendor_would_refuse_is_refused(
    client: httpx2.AsyncClient, body: Any, field: str
) -> None:
    answer = await client.post(f"{BASE}/models/{PRO}/predictions", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(field)


async def test_an_unknown_model_is_not_found(client: httpx2.AsyncClient) -> None:
    answer = await _create(client, {}, model="black-forest-labs/flux-schnell")
    assert (answer.status_code, answer.json()["title"]) == (404, "Not found")


async def test_a_webhook_is_noted_and_never_called(client: httpx2.AsyncClient, state: State) -> None:
    hook = {"webhook": "https://example.com/h", "webhook_events_filter": ["completed"]}
    created = await client.post(f"{BASE}/models/{PRO}/predictions", json={"input": {"prompt": "p"}} | hook)
    assert state.jobs[created.json()["id"]].asked == hook


@pytest.mark.parametrize("base", [BASE, KKIAI])
async def test_a_data_uri_is_the_picture_that_is_edited(client: httpx2.AsyncClient, clock: Clock, base: str) -> None:
    uri = f"data:image/png;base64,{base64.b64encode(red_png((700, 1600))).decode()}"
    created = await _create(client, {"input_image": uri}, base=base)
    assert await _output_size(client, clock, created, base) == (672, 1568)


async def test_a_file_sent_before_is_the_picture_that_is_edited(
    client: httpx2.AsyncClient, clock: Clock, state: State
) -> None:
    answer = await client.post(f"{BASE}/files", files={"content": ("a.png", red_png((700, 1600)), "image/png")})
    file = answer.json()
    assert (answer.status_code, file["name"], file["content_type"], file["size"]) == (
        201,
        "a.png",
        "image/png",
        len(red_png((700, 1600))),
    )
    assert (file["created_at"], file["expires_at"]) == ("2026-11-18T11:06:40.000Z", "2026-11-19T11:06:40.000Z")
    assert file["urls"] == {"get": f"http://127.0.0.1:9876{BASE}/files/{file['id']}"}
    created = await _create(client, {"input_image": file["urls"]["get"]})
    assert state.jobs[created.json()["id"]].input["input_image"] == file["urls"]["get"]
    assert await _output_size(client, clock, created, BASE) == (672, 1568)
    assert (await _create(client, {"input_image": file["urls"]["get"]}, base=KKIAI)).status_code == 422


async def test_a_file_is_told_of_until_it_is_deleted_or_a_day_has_passed(
    client: httpx2.AsyncClient, clock: Clock
) -> None:
    data = {"filename": "me.gif", "type": "image/gif", "metadata": '{"a": 1}'}
    sent = [
        (await client.post(f"{BASE}/files", files={"content": ("a.png", b"x", "image/png")}, data=data)).json()
        for _ in range(2)
    ]
    assert (sent[0]["name"], sent[0]["content_type"]) == ("me.gif", "image/gif")
    first, second = (f"{BASE}/files/{file['id']}" for file in sent)
    assert (await client.get(first)).json() == sent[0]
    assert (await client.delete(first)).status_code == 204
    assert [(await client.request(method, first)).status_code for method in ("GET", "DELETE")] == [404, 404]
    clock.turn(86_400)
    assert (await client.get(second)).status_code == 404


@pytest.mark.parametrize(
    ("files", "data"),
    [
        ({"file": b"x"}, {}),
        ({"content": b"x"}, {"metadata": "{"}),
        ({"content": b"x"}, {"metadata": "[]"}),
    ],
)
async def test_a_file_without_content_or_with_senseless_metadata_is_refused(
    client: httpx2.AsyncClient, files: dict[str, bytes], data: dict[str, str]
) -> None:
    assert (await client.post(f"{BASE}/files", files=files, data=data)).status_code == 422


async def test_kkiai_takes_no_files_and_lists_nothing(client: httpx2.AsyncClient) -> None:
    assert (await client.post(f"{KKIAI}/files", files={"content": b"x"})).status_code == 404
    assert (await client.get(f"{KKIAI}/predictions")).status_code == 404


async def test_predictions_are_listed_newest_first_a_hundred_a_page(client: httpx2.AsyncClient) -> None:
    ids = [(await _create(client, {})).json()["id"] for _ in range(102)]
    await _create(client, {}, base=KKIAI)
    first = (await client.get(f"{BASE}/predictions")).json()
    second = (await client.get(first["next"])).json()
    assert [one["id"] for one in first["results"] + second["results"]] == ids[::-1]
    assert (len(first["results"]), first["previous"], second["next"]) == (100, None, None)
    assert (await client.get(second["previous"])).json()["results"] == first["results"]


async def test_the_list_is_narrowed_by_when_predictions_were_made(client: httpx2.AsyncClient, clock: Clock) -> None:
    ids: list[str] = []
    for _ in range(3):
        ids.append((await _create(client, {})).json()["id"])
        clock.turn(60)
    between = {"created_after": "2026-11-18T11:07:00", "created_before": "2026-11-18T11:08:00+00:00"}
    listed = (await client.get(f"{BASE}/predictions", params=between)).json()["results"]
    assert [one["id"] for one in listed] == [ids[1]]
    for wrong in ({"created_after": "yesterday"}, {"cursor": "x"}):
        assert (await client.get(f"{BASE}/predictions", params=wrong)).status_code == 422


@pytest.mark.parametrize(("prefer", "applied"), [("wait=5", "wait=5"), ("wait", "wait=60"), ("respond-async", None)])
async def test_a_blocking_create_answers_as_if_it_had_waited(
    client: httpx2.AsyncClient, prefer: str, applied: str | None
) -> None:
    created = await _create(client, {}, prefer=prefer)
    assert (created.status_code, created.headers.get("preference-applied")) == (201, applied)
    reply = created.json()
    if applied is None:
        assert (reply["status"], reply["output"]) == ("starting", None)
        return
    assert (reply["status"], reply["output"][0][:22]) == ("processing", "data:image/png;base64,")
    assert (await client.get(f"{BASE}/predictions/{reply['id']}")).json()["status"] == "succeeded"


async def test_a_blocking_create_gives_up_on_a_slow_job(client: httpx2.AsyncClient, state: State) -> None:
    state.job_seconds = 90
    reply = (await _create(client, {}, prefer="wait=5")).json()
    assert (reply["status"], reply["output"]) == ("starting", None)
    for wrong in ("wait=0", "wait=61", "wait=soon"):
        assert (await _create(client, {}, prefer=wrong)).status_code == 422


@pytest.mark.parametrize(
    ("patience", "status", "charged"), [("15s", "aborted", 0), ("1m", "canceled", 1), ("1h30m15s", "succeeded", 1)]
)
async def test_a_deadline_aborts_who_waits_and_cancels_who_works(
    client: httpx2.AsyncClient, clock: Clock, state: State, patience: str, status: str, charged: int
) -> None:
    state.job_seconds = 100
    created = (await _create(client, {}, cancel_after=patience)).json()
    clock.turn(100)
    reply = (await client.get(f"{BASE}/predictions/{created['id']}")).json()
    assert (reply["status"], reply["deadline"], state.charged["replicate"]) == (status, created["deadline"], charged)


@pytest.mark.parametrize("header", ["soon", "4s", "1d"])
async def test_a_senseless_deadline_is_refused(client: httpx2.AsyncClient, header: str) -> None:
    assert (await _create(client, {}, cancel_after=header)).status_code == 422


async def test_a_throttled_request_says_in_words_and_headers_when_to_come_again(
    client: httpx2.AsyncClient, state: State
) -> None:
    state.script({"wire": "replicate", "on": "create", "fault": "429"})
    state.script({"wire": "replicate", "on": "create", "fault": "429", "text": "later", "retry_after": "9"})
    first, second = await _create(client, {}), await _create(client, {})
    assert first.json() == {"detail": "Request was throttled. Expected available in 1 second."}
    assert (first.headers["ratelimit-remaining"], first.headers["ratelimit-reset"]) == ("0", "1")
    assert (second.json(), second.headers["retry-after"]) == ({"detail": "later"}, "9")
    assert "ratelimit-reset" not in second.headers
    assert state.charged["replicate"] == 0


async def test_no_credit_is_a_problem(client: httpx2.AsyncClient, state: State) -> None:
    state.script({"wire": "replicate", "on": "create", "fault": "402"})
    answer = await _create(client, {})
    assert (answer.status_code, answer.json()["title"], answer.json()["status"]) == (402, "Insufficient credit", 402)
