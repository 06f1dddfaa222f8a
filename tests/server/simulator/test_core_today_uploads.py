"""core.today's pictures: attached to a create, or put at a presigned address."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from kontext_server.simulator.state import State
from support.wires import Clock, opened, red_png

pytestmark = pytest.mark.anyio

BASE = "/core.today/v1"
MODEL = "black-forest-labs/flux-kontext-pro"


async def _create(client: httpx2.AsyncClient, top: dict[str, Any] | None = None, **given: Any) -> Any:
    body = {"model": MODEL, "input": {"prompt": "a fox", "seed": 7} | given} | (top or {})
    return await client.post(f"{BASE}/predictions", json=body)


async def _get(client: httpx2.AsyncClient, job_id: str) -> Any:
    return (await client.get(f"{BASE}/predictions/{job_id}")).json()


async def _upload(client: httpx2.AsyncClient, files: Any, **data: str) -> httpx2.Response:
    data = {"model": MODEL, "input": '{"prompt": "p"}'} | data
    return await client.post(f"{BASE}/predictions/upload", data=data, files=files)


async def _ticket(client: httpx2.AsyncClient, **asked: Any) -> Any:
    return (await client.post(f"{BASE}/files/upload-url", json={"filename": "a.png"} | asked)).json()


async def _send(client: httpx2.AsyncClient, ticket: Any, content: bytes, **more: Any) -> httpx2.Response:
    files = {"file": ("a.png", content)}
    return await client.post(ticket["upload_url"], data=ticket["upload_fields"] | more, files=files)


async def test_attached_bytes_become_the_picture_that_is_edited(
    client: httpx2.AsyncClient, clock: Clock, state: State
) -> None:
    created = await _upload(
        client, {"file:input_image": ("me.png", red_png((1600, 700)), "image/png")}, is_public="true"
    )
    job = state.jobs[created.json()["job_id"]]
    assert (await client.get(job.input["input_image"])).content == red_png((1600, 700))
    clock.turn(2)
    reply = await _get(client, job.id)
    assert opened((await client.get(reply["public_url"])).content).size == (1568, 672)


async def test_a_key_repeated_becomes_a_list_which_this_model_refuses(client: httpx2.AsyncClient) -> None:
    part = ("file:input_image", ("a.png", red_png(), "image/png"))
    answer = await _upload(client, [part, part])
    assert (answer.status_code, answer.json()) == (422, {"detail": "input.input_image: must be a str"})


@pytest.mark.parametrize(
    ("files", "data", "status", "words"),
    [
        ({"file:input_image": b"GIF89a"}, {}, 422, "no jpeg, png, gif or webp"),
        ({"file:input_image": b""}, {}, 422, "no jpeg, png, gif or webp"),
        ({"file:input_image": bytes(10_000_001)}, {}, 413, "at most 10 MB"),
        ({"file:image_url": red_png()}, {}, 422, "input.image_url: unknown"),
        ({"input_image": red_png()}, {}, 422, "file:<input key>"),
        ({"file:input_image": red_png()}, {"input": "p"}, 422, "JSON decode error"),
        ({"file:input_image": red_png()}, {"is_public": "perhaps"}, 422, "is_public"),
    ],
)
async def test_an_attachment_that_the_vendor_would_refuse_is_refused_and_not_charged(
    client: httpx2.AsyncClient, state: State, files: Any, data: dict[str, str], status: int, words: str
) -> None:
    answer = await _upload(client, files, **data)
    assert answer.status_code == status
    assert words in answer.json()["detail"]
    assert state.charged["core.today"] == 0


@pytest.mark.parametrize("headers", [{"content-type": "application/json"}, {"content-type": "multipart/form-data"}])
async def test_a_body_that_is_no_form_is_refused(client: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    answer = await client.post(f"{BASE}/predictions/upload", content=b"{}", headers=headers)
    assert answer.status_code == 422


async def test_a_presigned_upload_is_usable_as_the_input_picture(client: httpx2.AsyncClient, clock: Clock) -> None:
    ticket = await _ticket(client, folder="inputs", metadata={"a": "b"})
    assert ticket["folder"] == "inputs"
    assert ticket["object_key"].startswith("inputs/")
    assert (await _create(client, input_image=ticket["file_url"])).status_code == 422
    key = client.headers.pop("x-api-key")
    assert (await _send(client, ticket, red_png((700, 1600)))).status_code == 204
    assert (await client.get(ticket["file_url"])).content == red_png((700, 1600))
    client.headers["x-api-key"] = key
    job_id = (await _create(client, input_image=ticket["file_url"])).json()["job_id"]
    clock.turn(2)
    assert opened((await client.get((await _get(client, job_id))["result"])).content).size == (672, 1568)


async def test_an_upload_that_has_expired_can_be_neither_made_nor_used(
    client: httpx2.AsyncClient, clock: Clock
) -> None:
    made, late = await _ticket(client), await _ticket(client)
    await _send(client, made, red_png())
    clock.turn(3600)
    assert (await _send(client, late, red_png())).status_code == 403
    assert (await _create(client, input_image=made["file_url"])).status_code == 422


async def test_an_upload_needs_every_signed_field_and_its_file_last_and_no_key(
    client: httpx2.AsyncClient,
) -> None:
    ticket = await _ticket(client)
    fields = ticket["upload_fields"]
    first = [("file", ("a.png", red_png())), *((name, (None, value)) for name, value in fields.items())]
    assert (await client.post(ticket["upload_url"], files=first)).status_code == 400
    assert (await client.post(ticket["upload_url"], files={"x": (None, b"1")})).status_code == 400
    assert (await _send(client, ticket, b"x", policy="forged")).status_code == 403
    with_key = await client.post(ticket["upload_url"], headers={"authorization": "Bearer cdt_a"})
    assert with_key.status_code == 400
    assert (await client.get(ticket["file_url"])).status_code == 404


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"filename": ""}, "filename"),
        ({"filename": "a/b.png"}, "filename"),
        ({"folder": "../x"}, "folder"),
        ({"metadata": {"a": "b" * 10_001}}, "metadata"),
        ({"size": 3}, "size: unknown"),
    ],
)
async def test_a_senseless_upload_is_not_promised(
    client: httpx2.AsyncClient, asked: dict[str, Any], words: str
) -> None:
    answer = await client.post(f"{BASE}/files/upload-url", json={"filename": "a.png"} | asked)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
