"""What BFL takes and refuses: keys, inputs, pictures."""

from __future__ import annotations

import base64
from typing import Any

import httpx2
import pytest

from kontext_server.simulator import bfl_input
from kontext_server.simulator.state import State
from support.wires import red_png

pytestmark = pytest.mark.anyio

KEY_HEADERS = {"x-key": "k"}
BASE = "http://127.0.0.1:9876/bfl"


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


async def _create(client: httpx2.AsyncClient, model: str = "pro", **sent: Any) -> Any:
    return await client.post(f"{BASE}/v1/flux-kontext-{model}", json={"prompt": "a fox"} | sent)


@pytest.mark.parametrize("key", ["", None])
async def test_without_a_key_every_path_answers_403(client: httpx2.AsyncClient, state: State, key: str | None) -> None:
    del client.headers["x-key"]
    headers = {"x-api-key": "k"} if key is None else {"x-key": key}
    for method, path in (("POST", "flux-kontext-pro"), ("GET", "get_result?id=1"), ("GET", "credits"), ("GET", "x")):
        answer = await client.request(method, f"{BASE}/v1/{path}", headers=headers)
        assert (answer.status_code, answer.json()) == (403, {"detail": "Not authenticated"})
    assert state.creates["bfl"] == 0


@pytest.mark.parametrize(
    ("given", "entries"),
    [
        ({"prompt": None}, [("prompt", "string_type")]),
        ({"prompt": 3, "seed": "7"}, [("prompt", "string_type"), ("seed", "int_type")]),
        ({"guidance": 3}, [("guidance", "extra_forbidden")]),
        ({"seed": True}, [("seed", "int_type")]),
        ({"aspect_ratio": "22:9"}, [("aspect_ratio", "value_error")]),
        ({"aspect_ratio": "9:22"}, [("aspect_ratio", "value_error")]),
        ({"aspect_ratio": "match_input_image"}, [("aspect_ratio", "value_error")]),
        ({"aspect_ratio": "1:0"}, [("aspect_ratio", "value_error")]),
        ({"output_format": "jpg"}, [("output_format", "literal_error")]),
        ({"safety_tolerance": 7}, [("safety_tolerance", "less_than_equal")]),
        ({"webhook_url": ""}, [("webhook_url", "string_too_short")]),
        ({"input_image": f"data:image/png;base64,{_text(red_png((700, 1600)))}"}, [("input_image", "value_error")]),
        ({"input_image": "***"}, [("input_image", "value_error")]),
        ({"input_image": "schön"}, [("input_image", "value_error")]),
        ({"input_image": ""}, [("input_image", "value_error")]),
        ({"input_image": _text(b"no picture")}, [("input_image", "value_error")]),
        ({"input_image": "http://example.com/a.png"}, [("input_image", "value_error")]),
        ({"input_image_4": "AA=="}, [("input_image_4", "value_error")]),
    ],
)
async def test_an_input_that_the_vendor_would_refuse_is_refused_as_fastapi_does_and_not_charged(
    client: httpx2.AsyncClient, state: State, given: dict[str, Any], entries: list[tuple[str, str]]
) -> None:
    answer = await _create(client, **given)
    assert answer.status_code == 422
    told = answer.json()["detail"]
    assert [set(one) for one in told] == [{"loc", "msg", "type"}] * len(entries)
    assert [(one["loc"], one["type"]) for one in told] == [(["body", field], kind) for field, kind in entries]
    assert (state.charged["bfl"], state.creates["bfl"]) == (0, 1)


@pytest.mark.parametrize(("limit", "words"), [("MAX_BYTES", "20 MB"), ("MAX_PIXELS", "20 MP")])
async def test_a_picture_that_is_too_large_is_refused(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, limit: str, words: str
) -> None:
    monkeypatch.setattr(bfl_input, limit, 50)
    answer = await _create(client, input_image=_text(red_png((10, 10))))
    assert words in answer.json()["detail"][0]["msg"]


async def test_a_body_that_is_no_json_and_a_result_without_an_id_are_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.post(f"{BASE}/v1/flux-kontext-pro", content=b"{")
    assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, "json_invalid")
    answer = await client.get(f"{BASE}/v1/get_result")
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["query", "id"])


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("402", {"detail": "Insufficient credits"}),
        ("403", {"detail": "Not authenticated"}),
        ("422", {"detail": [{"loc": ["body"], "msg": "Unprocessable input", "type": "value_error"}]}),
        ("429", {"detail": "Rate limit exceeded"}),
    ],
)
async def test_a_scripted_status_is_told_as_fastapi_does(
    client: httpx2.AsyncClient, state: State, status: str, body: Any
) -> None:
    state.script({"wire": "bfl", "on": "create", "fault": status})
    answer = await _create(client)
    assert (answer.status_code, answer.json(), state.charged["bfl"]) == (int(status), body, 0)


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
async def test_there_is_no_way_to_cancel(client: httpx2.AsyncClient, method: str) -> None:
    made = (await _create(client)).json()
    for path in (f"tasks/{made['id']}", f"get_result/{made['id']}/cancel", "cancel"):
        answer = await client.request(method, f"{BASE}/v1/{path}")
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
