from __future__ import annotations

import base64
import uuid
from typing import Any

import httpx2
import pytest

from kontext_server.simulator.state import State
from support.wires import Clock, opened, red_png

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


async def _uploaded(client: httpx2.AsyncClient, content: bytes) -> str:
    asked = {"filename": "a.png", "mime_type": "image/png", "size_bytes": len(content)}
    promised = (await client.post(f"{BASE}/asset-uploads", json=asked)).json()
    key = client.headers.pop("authorization")
    put = await client.put(promised["upload_url"], content=content, headers={"content-type": "image/png"})
    client.headers["authorization"] = key
    assert put.status_code == 200
    confirmed = await client.post(
        f"{BASE}/asset-uploads/{promised['asset_id']}/confirmations", json={"folder_id": None}
    )
    return confirmed.json()["url"]


@pytest.mark.parametrize("asked", ["sync_mode", "script"])
async def test_pictures_may_come_as_data_uris(
    client: httpx2.AsyncClient, clock: Clock, state: State, asked: str
) -> None:
    if asked == "script":
        state.script({"wire": "runflow", "on": "create", "fault": "data_uri", "times": 2})
    given: dict[str, Any] = {"sync_mode": asked == "sync_mode", "output_format": "png"}
    flat = await client.post(RUN, json=GIVEN | given)
    created = await _create(client, **given)
    clock.turn(2)
    outputs = (await _get(client, created))["output"]["outputs"]
    for told in (flat.json()["images"][0]["url"], outputs[0]["url"]):
        head, _, data = told.partition(",")
        assert head == "data:image/png;base64"
        assert opened(base64.b64decode(data)).size == (1024, 1024)


async def test_only_the_older_surface_takes_a_data_uri(client: httpx2.AsyncClient) -> None:
    inline: dict[str, Any] = {"image_url": f"data:image/png;base64,{base64.b64encode(red_png((700, 1600))).decode()}"}
    assert (await _create(client, **inline)).status_code == 422
    answer = await client.post(RUN, json=GIVEN | inline)
    assert opened((await client.get(answer.json()["images"][0]["url"])).content).size == (672, 1568)
    for broken in ("data:image/png;base64,####", "data:image/png;base64,R0lG", "data:,x"):
        assert (await client.post(RUN, json=GIVEN | {"image_url": broken})).status_code == 422


async def test_an_uploaded_asset_becomes_the_picture_that_is_edited(client: httpx2.AsyncClient, clock: Clock) -> None:
    url = await _uploaded(client, red_png((1600, 700)))
    created = await _create(client, image_url=url)
    clock.turn(2)
    reply = await _get(client, created)
    assert opened((await client.get(reply["output"]["outputs"][0]["url"])).content).size == (1568, 672)


async def test_a_picture_with_a_side_over_4096_fails_in_its_run(
    client: httpx2.AsyncClient, clock: Clock, state: State
) -> None:
    url = await _uploaded(client, red_png((4097, 10)))
    created = await _create(client, image_url=url)
    assert created.status_code == 202
    clock.turn(2)
    reply = await _get(client, created)
    assert [reply[name] for name in ("status_code", "failure_code", "failure_message", "failure_stage_code")] == [
        "failed",
        "INPUT_VALIDATION_FAILED",
        "image dimensions exceed 4096x4096",
        "preprocess",
    ]
    assert (reply["output"], reply["cost"], state.charged["runflow"]) == (None, None, 1)
    flat = await client.post(RUN, json=GIVEN | {"image_url": url})
    assert (flat.status_code, flat.json()["code"]) == (422, "INPUT_VALIDATION_FAILED")


@pytest.mark.parametrize(
    "asked",
    [
        {"filename": ""},
        {"filename": "a/b.png"},
        {"mime_type": "text/html"},
        {"size_bytes": 0},
        {"size_bytes": 52_428_801},
        {"folder": "x"},
    ],
)
async def test_a_senseless_upload_is_not_promised(client: httpx2.AsyncClient, asked: dict[str, Any]) -> None:
    whole = {"filename": "a.png", "mime_type": "image/png", "size_bytes": 52_428_800}
    assert (await client.post(f"{BASE}/asset-uploads", json=whole)).status_code == 201
    assert (await client.post(f"{BASE}/asset-uploads", json=whole | asked)).status_code == 422


async def test_an_upload_wants_the_signed_type_and_size_and_no_key_and_is_confirmed_after(
    client: httpx2.AsyncClient, clock: Clock
) -> None:
    asked = {"filename": "a.png", "mime_type": "image/png", "size_bytes": 3}
    promised = (await client.post(f"{BASE}/asset-uploads", json=asked)).json()
    confirming = f"{BASE}/asset-uploads/{promised['asset_id']}/confirmations"
    png = {"content-type": "image/png"}

    async def put(content: bytes, headers: dict[str, str]) -> int:
        return (await client.put(promised["upload_url"], content=content, headers=headers)).status_code

    assert await put(b"abc", png) == 400
    key = client.headers.pop("authorization")
    assert [await put(b"abc", {"content-type": "image/gif"}), await put(b"abcd", png)] == [403, 403]
    assert (await client.post(confirming, headers={"authorization": key})).status_code == 409
    assert await put(b"abc", png) == 200
    client.headers["authorization"] = key
    confirmed = await client.post(confirming)
    assert confirmed.status_code == 201
    assert {name: confirmed.json()[name] for name in ("id", "name", "mime_type", "size_bytes")} == {
        "id": promised["asset_id"],
        "name": "a.png",
        "mime_type": "image/png",
        "size_bytes": 3,
    }
    assert (await client.get(confirmed.json()["url"])).content == b"abc"
    assert (await client.post(f"{BASE}/asset-uploads/{uuid.uuid4()}/confirmations")).status_code == 404
    clock.turn(3600)
    del client.headers["authorization"]
    assert await put(b"abc", png) == 403
