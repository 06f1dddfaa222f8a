"""Which listed prediction is a lost create's: what shows exactly what went out, and nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio.lowlevel
import pytest

from kontext_server.simulator.serve import running
from kontext_tools.http import Http
from kontext_tools.providers import replicate_list
from kontext_tools.providers.base import Attachment, FetchFailed, Lost, finder_of
from kontext_tools.providers.replicate import KKIAI, MODELS, REPLICATE, Replicate
from support.fake_clock import FakeClock
from support.orders import a_picture, an_order, intent
from support.scripted_host import Host, Says, scripted
from support.workshop import png

pytestmark = pytest.mark.anyio

SENT_AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MODEL = "black-forest-labs/flux-kontext-pro"
INPUT = {
    "prompt": "Make this a 90s cartoon",
    "aspect_ratio": "match_input_image",
    "output_format": "png",
    "safety_tolerance": 2,
    "prompt_upsampling": False,
    "seed": 7,
}
ENTRY: dict[str, Any] = {
    "id": "p1",
    "model": MODEL,
    "source": "api",
    "status": "succeeded",
    "created_at": "2026-11-20T12:00:01.123456789Z",
    "input": INPUT,
}


@pytest.fixture
async def http(anyio_backend: str) -> AsyncGenerator[Http]:
    made = Http()
    yield made
    await made.aclose()


@pytest.fixture
async def host(anyio_backend: str) -> AsyncGenerator[Host]:
    async with scripted() as made:
        yield made


def lost(image: Attachment | None = None, *, signed: bool = True) -> Lost:
    return Lost(order=an_order(image, seed=7), sent_at=SENT_AT, signed=signed)


def page(*entries: Any, following: Any = None) -> dict[str, Any]:
    return {"previous": None, "next": following, "results": list(entries)}


async def found(http: Http, host: Host, create: Lost, *answers: Any) -> list[str]:
    host.say(*answers)
    host.heard.clear()
    return list(await Replicate(http, host=REPLICATE, key="r8_x", base_url=host.base_url).find(create))


async def test_a_prediction_that_shows_what_went_out_is_found(http: Http, host: Host) -> None:
    assert await found(http, host, lost(), page(ENTRY)) == ["p1"]
    (asked,) = host.heard
    assert (asked.method, asked.path) == (
        "GET",
        "/predictions?created_after=2026-11-20T11%3A58%3A00Z&created_before=2026-11-20T12%3A05%3A00Z",
    )
    assert asked.headers["authorization"] == "Bearer r8_x"


@pytest.mark.parametrize(
    "other",
    [
        {"model": "black-forest-labs/flux-kontext-max"},
        {"source": "web"},
        {"created_at": "2026-11-20T12:05:01Z"},
        {"created_at": "2026-11-20T11:57:59.999Z"},
        {"created_at": "yesterday"},
        {"created_at": None},
        {"id": ".."},
        {"id": 5},
        {"input": INPUT | {"prompt": "another"}},
        {"input": INPUT | {"seed": 8}},
        {"input": {name: value for name, value in INPUT.items() if name != "seed"}},
        {"input": INPUT | {"safety_tolerance": 3}},
        {"input": INPUT | {"input_image": "https://example.com/cat.png"}},
        {"input": "a prompt"},
    ],
)
async def test_what_differs_in_anything_is_another_ones(http: Http, host: Host, other: dict[str, Any]) -> None:
    assert await found(http, host, lost(), page(ENTRY | other)) == []


async def test_what_the_host_filled_in_does_not_matter_nor_what_is_no_prediction(http: Http, host: Host) -> None:
    entry = ENTRY | {"input": INPUT | {"go_fast": True, "input_image": None}}
    assert await found(http, host, lost(), page(None, [], "x", entry, {})) == ["p1"]


async def test_every_prediction_that_could_be_it_is_told(http: Http, host: Host) -> None:
    assert await found(http, host, lost(), page(ENTRY, ENTRY | {"id": "p2"})) == ["p1", "p2"]


@pytest.mark.parametrize("hidden", ["input", "model"])
async def test_what_the_list_does_not_show_is_asked_for(http: Http, host: Host, hidden: str) -> None:
    bare = {name: value for name, value in ENTRY.items() if name != hidden}
    assert await found(http, host, lost(), page(bare), ENTRY) == ["p1"]
    assert [heard.path for heard in host.heard[1:]] == ["/predictions/p1"]
    assert await found(http, host, lost(), page(bare), bare) == [], "a prediction that hides it is not taken for ours"
    assert await found(http, host, lost(), page(bare), Says(status=404)) == []
    with pytest.raises(FetchFailed):
        await found(http, host, lost(), page(bare), Says(status=500))


async def test_a_prediction_whose_inputs_were_removed_is_not_taken_for_ours(http: Http, host: Host) -> None:
    removed: dict[str, Any] = ENTRY | {"input": {}, "data_removed": True}
    assert await found(http, host, lost(), page(removed), removed) == []


async def test_the_list_is_read_on_by_its_cursor_at_our_own_base_until_it_is_too_old(http: Http, host: Host) -> None:
    elsewhere = "https://api.replicate.invalid/v1/predictions?cursor=cD0%3D&x=1"
    old = ENTRY | {"id": "p0", "created_at": "2026-11-20T11:00:00Z"}
    pages = [page(ENTRY, following=elsewhere), page(ENTRY | {"id": "p2"}, old, following=elsewhere)]
    assert await found(http, host, lost(), *pages) == ["p1", "p2"]
    assert [asked.path.partition("&cursor=")[2] for asked in host.heard] == ["", "cD0%3D"]


async def test_a_list_without_end_is_no_answer(http: Http, host: Host) -> None:
    with pytest.raises(FetchFailed):
        await found(http, host, lost(), page(ENTRY, following="https://x.invalid/?cursor=again"))
    assert len(host.heard) == replicate_list.MOST_PAGES


async def test_predictions_that_hide_their_input_are_not_asked_for_without_bound(http: Http, host: Host) -> None:
    many = [ENTRY | {"id": f"p{n}", "input": None} for n in range(replicate_list.MOST_LOOKED_INTO + 1)]
    with pytest.raises(FetchFailed):
        await found(http, host, lost(), page(*many), ENTRY | {"input": {}})
    assert len(host.heard) == 1 + replicate_list.MOST_LOOKED_INTO


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        {"results": None},
        {"results": {"id": "p1"}},
        "<html>",
        Says(body=b"<html>"),
        Says(status=401, json={"detail": "no"}),
        Says(status=404, json={"detail": "no"}),
        Says(status=429),
        Says(status=500),
        Says(status=302, headers={"Location": "https://example.com/"}),
        Says(status=None),
    ],
)
async def test_an_answer_that_is_no_list_tells_nothing(http: Http, host: Host, answer: Any) -> None:
    with pytest.raises(FetchFailed):
        await found(http, host, lost(), answer)


@pytest.mark.parametrize("following", [5, "", "https://[", "https://x.invalid/", "https://x.invalid/?cursor="])
async def test_a_next_without_a_cursor_is_the_end(http: Http, host: Host, following: Any) -> None:
    assert await found(http, host, lost(), page(ENTRY, following=following)) == ["p1"]


def _with(picture: Any) -> dict[str, Any]:
    return page(ENTRY | {"input": INPUT | {"input_image": picture}})


OURS = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
THEIRS = f"data:image/png;base64,{base64.b64encode(png(colour='red')).decode()}"
FILE = "https://api.replicate.com/v1/files/f1"


async def test_a_seed_of_our_own_tells_whose_it_is_whatever_became_of_the_picture(http: Http, host: Host) -> None:
    for picture in (OURS, THEIRS, FILE):
        assert await found(http, host, lost(a_picture()), _with(picture)) == ["p1"]
    for nothing in (None, "", 5):
        assert await found(http, host, lost(a_picture()), _with(nothing)) == []


async def test_under_the_callers_own_seed_the_picture_must_be_the_same(http: Http, host: Host) -> None:
    mine = lost(a_picture(), signed=False)
    sha256 = hashlib.sha256(png()).hexdigest()
    assert await found(http, host, mine, _with(OURS)) == ["p1"]
    assert await found(http, host, mine, _with(THEIRS)) == []
    assert await found(http, host, mine, _with("https://replicate.delivery/x/tmp.png")) == []
    assert await found(http, host, mine, _with(FILE), {"checksums": {"sha256": sha256}}) == ["p1"]
    assert [heard.path for heard in host.heard[1:]] == ["/files/f1"]
    for other in ({"checksums": {"sha256": "00"}}, {"checksums": None}, {}, Says(status=404)):
        assert await found(http, host, mine, _with(FILE), other) == []
    with pytest.raises(FetchFailed):
        await found(http, host, mine, _with(FILE), Says(status=500))


async def test_under_the_callers_own_seed_an_address_must_be_the_same(http: Http, host: Host) -> None:
    mine = lost(Attachment(url="https://example.com/cat.png"), signed=False)
    assert await found(http, host, mine, _with("https://example.com/cat.png")) == ["p1"]
    assert await found(http, host, mine, _with("https://example.com/dog.png")) == []


@pytest.mark.parametrize("model", MODELS)
async def test_each_models_lost_create_is_found_at_the_simulator(http: Http, model: str) -> None:
    """A small picture goes inside, a larger one by the files API; both are ours by their bytes alone."""
    clock = FakeClock()
    with running(clock=lambda: clock.now().timestamp(), job_seconds=0.0) as simulator:
        base_url = f"{simulator.base_url}/replicate/v1"
        adapter = Replicate(http, host=REPLICATE, key="r8_x", base_url=base_url, model=model)
        for size_bytes in (0, 300_000):
            order = an_order(a_picture(size_bytes), seed=7 + size_bytes)
            taken = await adapter.submit(order, intent)
            clock.advance(1)
            create = Lost(order=order, sent_at=clock.now() - timedelta(seconds=1), signed=False)
            assert await adapter.find(create) == [taken.remote_id]


async def test_a_picture_that_cannot_be_read_any_more_is_compared_with_nothing(http: Http, host: Host) -> None:
    async def read() -> bytes:
        await anyio.lowlevel.checkpoint()
        raise AssertionError("not needed")

    assert await found(http, host, lost(Attachment(read=read)), _with(OURS)) == ["p1"]


def test_only_a_host_that_lists_can_be_searched() -> None:
    lists, does_not = (Replicate(Http(), host=host, key="k") for host in (REPLICATE, KKIAI))
    assert finder_of(lists) is lists
    assert (finder_of(does_not), finder_of(None)) == (None, None)
