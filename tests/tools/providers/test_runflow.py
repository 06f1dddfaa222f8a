"""Runflow's adapter against the simulator and a scripted host, over real HTTP: both surfaces, and the switch."""

from __future__ import annotations

import json
from typing import Any, Protocol, cast

import pytest
from inline_snapshot import snapshot

from kontext_server.simulator.journal import Entry
from kontext_server.simulator.serve import Running
from kontext_tools import images
from kontext_tools.errors import Billed
from kontext_tools.http import READ_S, Http
from kontext_tools.providers.base import (
    Attachment,
    CancelOutcome,
    FetchFailed,
    Phase,
    Verdict,
)
from kontext_tools.providers.runflow import ADDED_FIELDS, MODELS, Runflow
from support.orders import a_picture, an_order, failure_of, fate_of, intent, seen_of
from support.scripted_host import Says, scripted
from support.timed import Timed
from support.workshop import png

pytestmark = pytest.mark.anyio

KEY = "rf_live_PLANTED_MARKER_0123456789"
EXAMPLE = {
    "prompt": "A professional headshot, soft studio lighting",
    "image_url": "https://example.com/input.jpg",
    "output_format": "png",
}
"""Seed 003, Usage Examples: what the vendor's own page sends."""
SEEN = Attachment(url="https://example.com/input.jpg")
REFUSED, NOT_TAKEN, UNKNOWN = Verdict.REFUSED, Verdict.NOT_TAKEN, Verdict.UNKNOWN
CREATE = {"wire": "runflow", "on": "create"}


class Make(Protocol):
    def __call__(self, base_url: str = "", *, surface: str = "auto") -> Runflow: ...


@pytest.fixture
def make(simulator: Running, http: Http) -> Make:
    def made(base_url: str = "", *, surface: str = "auto") -> Runflow:
        return Runflow(http, key=KEY, base_url=base_url or f"{simulator.base_url}/runflow/v1", surface=surface)

    return made


@pytest.fixture
def runs(make: Make) -> Runflow:
    return make(surface="runs")


@pytest.fixture
def run(make: Make) -> Runflow:
    return make(surface="run")


@pytest.fixture
def auto(make: Make) -> Runflow:
    return make()


def _paths(simulator: Running) -> list[str]:
    return [entry.path.removeprefix("/runflow/v1") for entry in simulator.state.journal.entries()]


def _last(simulator: Running) -> Entry:
    return simulator.state.journal.entries()[-1]


async def test_the_seeds_example_goes_out_as_the_seed_has_it(simulator: Running, run: Runflow) -> None:
    await run.submit(an_order(SEEN, prompt=EXAMPLE["prompt"], output_format="png"), intent)
    (entry,) = simulator.state.journal.entries()
    assert (entry.method, entry.path) == ("POST", "/runflow/v1/run/black-forest-labs/flux-pro/kontext")
    assert entry.headers["authorization"] == f"Bearer {KEY}"
    assert entry.headers["content-type"] == "application/json"
    assert {name: entry.json[name] for name in EXAMPLE} == EXAMPLE
    assert set(entry.json) - set(EXAMPLE) == set(ADDED_FIELDS)
    assert entry.json == snapshot(
        {
            "prompt": "A professional headshot, soft studio lighting",
            "image_url": "https://example.com/input.jpg",
            "num_images": 1,
            "guidance_scale": 3.5,
            "output_format": "png",
            "safety_tolerance": "2",
            "enhance_prompt": False,
        }
    )


async def test_the_newer_surface_takes_the_same_in_an_envelope(simulator: Running, runs: Runflow) -> None:
    order = an_order(
        SEEN,
        prompt=EXAMPLE["prompt"],
        seed=7,
        count=2,
        aspect_ratio="21:9",
        output_format="jpg",
        safety_tolerance=6,
        prompt_upsampling=True,
        guidance_scale=7.0,
        given=frozenset({"aspect_ratio", "safety_tolerance"}),
    )
    taken = await runs.submit(order, intent)
    assert (taken.phase, taken.cost) == (Phase.WAITING, None)
    assert _last(simulator).path == "/runflow/v1/models/black-forest-labs/flux-pro/kontext/runs"
    assert _last(simulator).headers["authorization"] == f"Bearer {KEY}"
    assert _last(simulator).json == snapshot(
        {
            "input": {
                "prompt": "A professional headshot, soft studio lighting",
                "image_url": "https://example.com/input.jpg",
                "aspect_ratio": "21:9",
                "num_images": 2,
                "guidance_scale": 7.0,
                "output_format": "jpeg",
                "safety_tolerance": "6",
                "enhance_prompt": True,
                "seed": 7,
            },
            "client_ref": "a-b-c4k7q:1",
        }
    )


@pytest.mark.parametrize("surface", ["runs", "run"])
async def test_d5_1_the_guidance_is_always_sent_so_that_neither_default_matters(
    simulator: Running, make: Make, surface: str
) -> None:
    adapter = make(surface=surface)
    for asked, sent in ((None, 3.5), (1.0, 1.0)):
        await adapter.submit(an_order(SEEN, guidance_scale=asked), intent)
        body = _last(simulator).json
        assert body.get("input", body)["guidance_scale"] == sent


@pytest.mark.parametrize("code", [404, 405])
async def test_d5_2_where_runs_is_gone_nothing_was_taken_and_run_serves_from_then_on(
    simulator: Running, auto: Runflow, code: int
) -> None:
    simulator.state.script({**CREATE, "fault": "surface_gone", "code": code})
    assert "3:2" in auto.offer.aspect_ratios
    failed = await failure_of(auto, an_order(SEEN))
    assert (failed.verdict, failed.failure.code, failed.failure.billed) == (NOT_TAKEN, "provider_error", Billed.NO)
    assert failed.failure.retry_after_s == 0.5
    assert simulator.state.counter()["charged"]["runflow"] == 0
    for _ in range(2):
        done = await auto.submit(an_order(SEEN), intent)
        assert (done.phase, done.remote_id, len(done.outputs)) == (Phase.DONE, None, 1)
    assert _paths(simulator) == [f"/models/{MODELS['kontext-pro']}/runs", *[f"/run/{MODELS['kontext-pro']}"] * 2]
    assert "3:2" not in auto.offer.aspect_ratios
    assert "input" not in auto.request(an_order(SEEN))


async def test_d5_2_the_switch_happens_at_a_create_alone(simulator: Running, auto: Runflow) -> None:
    with pytest.raises(FetchFailed):
        await auto.fetch("0199-unknown")
    simulator.state.script({"wire": "runflow", "on": "upload", "fault": "404"})
    assert (await failure_of(auto, an_order(a_picture()))).verdict is REFUSED
    for fault in ("500", "410", "422", "503"):
        simulator.state.script({**CREATE, "fault": fault})
        await failure_of(auto, an_order(SEEN))
    assert (await auto.submit(an_order(SEEN), intent)).remote_id is not None


@pytest.mark.parametrize("surface", ["runs", "run"])
async def test_d5_2_a_pinned_surface_is_never_left(simulator: Running, make: Make, surface: str) -> None:
    adapter = make(surface=surface)
    simulator.state.script({**CREATE, "fault": "404"})
    assert (await failure_of(adapter, an_order(SEEN))).verdict is REFUSED
    taken = await adapter.submit(an_order(SEEN), intent)
    assert (taken.remote_id is not None) == (surface == "runs")


async def test_an_edit_that_only_runs_would_take_is_refused_after_the_switch(simulator: Running, auto: Runflow) -> None:
    order = an_order(SEEN, aspect_ratio="3:2", given=frozenset({"aspect_ratio"}))
    simulator.state.script({**CREATE, "fault": "surface_gone"})
    await failure_of(auto, order)
    failed = await failure_of(auto, order)
    assert (failed.verdict, failed.failure.code, failed.failure.field) == (
        REFUSED,
        "unsupported_by_provider",
        "aspect_ratio",
    )
    assert len(_paths(simulator)) == 1


async def test_d5_3_the_input_shape_has_no_word_so_the_ratio_is_left_out(simulator: Running, run: Runflow) -> None:
    sent: dict[str, str | None] = {}
    for ratio in run.offer.aspect_ratios:
        await run.submit(an_order(SEEN, aspect_ratio=ratio), intent)
        sent[ratio] = _last(simulator).json.get("aspect_ratio")
    assert sent == snapshot(
        {
            "match_input_image": None,
            "1:1": "square_hd",
            "3:4": "portrait_4_3",
            "9:16": "portrait_16_9",
            "4:3": "landscape_4_3",
            "16:9": "landscape_16_9",
        }
    )


async def test_d5_3_an_edit_without_an_image_is_refused_before_anything_is_sent(
    simulator: Running, runs: Runflow
) -> None:
    failed = await failure_of(runs, an_order())
    assert (failed.verdict, failed.failure.code, failed.failure.field) == (REFUSED, "unsupported_by_provider", "image")
    assert _paths(simulator) == []


@pytest.mark.parametrize("surface", ["runs", "run"])
async def test_d5_5_sync_mode_is_never_sent_and_a_data_uri_is_read_where_one_comes(
    simulator: Running, make: Make, surface: str
) -> None:
    simulator.state.script({**CREATE, "fault": "data_uri"})
    adapter = make(surface=surface)
    seen = await adapter.submit(an_order(SEEN), intent)
    assert "sync_mode" not in json.dumps(_last(simulator).json)
    if seen.remote_id is not None:
        seen = await adapter.fetch(seen.remote_id)
    (output,) = seen.outputs
    assert output.url is None
    assert output.data is not None
    assert images.sniff(output.data[:16]) == "image/png"


async def test_d5_6_the_format_is_always_sent_for_the_defaults_differ(simulator: Running, runs: Runflow) -> None:
    for asked, sent in (("png", "png"), ("jpg", "jpeg")):
        await runs.submit(an_order(SEEN, output_format=asked), intent)
        assert _last(simulator).json["input"]["output_format"] == sent


async def test_the_surface_that_works_while_we_wait_is_borne_for_three_minutes(
    http: Timed, runs: Runflow, run: Runflow
) -> None:
    await runs.submit(an_order(SEEN), intent)
    await run.submit(an_order(SEEN), intent)
    assert http.bears_s[-2:] == [READ_S, 180.0]


@pytest.mark.parametrize(
    ("reply", "surface"),
    [
        ({"status_code": "queued"}, "runs"),
        ({"images": [{"url": "https://a.example/o.png"}]}, "runs"),
        ({"status_code": "queued"}, "run"),
        ({"images": []}, "run"),
        ({"code": "ODD", "message": "an error on a 200", "errors": None}, "run"),
        ([], "run"),
    ],
)
async def test_a_create_that_names_neither_a_job_nor_a_picture_is_unknown(make: Make, reply: Any, surface: str) -> None:
    async with scripted(Says(json=reply)) as host:
        adapter = make(host.base_url, surface=surface)
        failed = await failure_of(adapter, an_order(SEEN))
    assert (failed.verdict, failed.failure.code) == (UNKNOWN, "outcome_unknown")


async def test_a_run_that_the_older_surface_answers_with_is_asked_for(simulator: Running, make: Make) -> None:
    record = {"id": "0199", "status_code": "dispatching", "output": None}
    async with scripted(Says(json=record)) as host:
        adapter = make(host.base_url, surface="run")
        taken = await adapter.submit(an_order(SEEN), intent)
    assert (taken.phase, taken.remote_id) == (Phase.WAITING, "0199")


@pytest.mark.parametrize("surface", ["runs", "run"])
async def test_a_picture_of_ours_is_promised_put_and_confirmed_and_the_key_does_not_go_with_the_bytes(
    simulator: Running, make: Make, surface: str
) -> None:
    adapter = make(surface=surface)
    await adapter.submit(an_order(a_picture()), intent)
    promised, put, confirmed, create = simulator.state.journal.entries()
    assert (promised.path, promised.json) == (
        "/runflow/v1/asset-uploads",
        {"filename": "source.png", "mime_type": "image/png", "size_bytes": len(png())},
    )
    assert (put.method, put.headers["content-type"], put.size) == ("PUT", "image/png", len(png()))
    assert KEY not in str(put.headers)
    assert confirmed.path.endswith("/confirmations")
    assert confirmed.json == {"folder_id": None}
    assert create.json.get("input", create.json)["image_url"].startswith(f"{simulator.base_url}/_files/")


@pytest.mark.parametrize("where", ["/asset-uploads", "/_uploads/", "/confirmations"])
@pytest.mark.parametrize("fault", ["500", "garbage", "reset_before_accept"])
async def test_a_failed_upload_was_not_taken(simulator: Running, runs: Runflow, where: str, fault: str) -> None:
    if (where, fault) == ("/_uploads/", "garbage"):
        fault = "403"  # a 200 of a store is a yes, whatever stands in it
    simulator.state.script({"wire": "runflow", "on": "upload", "fault": fault, "match": where, "times": "always"})
    failed = await failure_of(runs, an_order(a_picture()))
    assert (failed.verdict, failed.failure.code) == (NOT_TAKEN, "provider_unavailable")
    assert simulator.state.counter()["creates"]["runflow"] == 0


@pytest.mark.parametrize(
    "grant",
    [
        {"asset_id": "..", "upload_url": "https://a.example/u"},
        {"asset_id": "a", "upload_url": "http://169.254.169.254/u"},
        {"asset_id": "a", "upload_url": 1},
        None,
    ],
)
async def test_a_grant_that_leads_elsewhere_is_not_used(make: Make, grant: Any) -> None:
    async with scripted(Says(json=grant)) as host:
        adapter = make(host.base_url)
        failed = await failure_of(adapter, an_order(a_picture()))
    assert failed.verdict is NOT_TAKEN
    assert len(host.heard) == 1


@pytest.mark.parametrize(
    ("fault", "phase", "code", "billed"),
    [
        ({"fault": "fail", "error": "no GPU"}, Phase.FAILED, "provider_error", Billed.UNKNOWN),
        ({"fault": "moderated"}, Phase.FAILED, "moderated", Billed.UNKNOWN),
        ({"fault": "cancelled_elsewhere"}, Phase.CANCELLED, None, None),
        ({"fault": "never_ends"}, Phase.WORKING, None, None),
        ({"fault": "status", "status": "queued"}, Phase.WAITING, None, None),
        ({"fault": "status", "status": "dispatching"}, Phase.WAITING, None, None),
        ({"fault": "status", "status": "running"}, Phase.WORKING, None, None),
        ({"fault": "status", "status": "canceled"}, Phase.CANCELLED, None, None),
        ({"fault": "status", "status": "cancelled"}, Phase.CANCELLED, None, None),
        ({"fault": "status", "status": "failed"}, Phase.FAILED, "provider_error", Billed.UNKNOWN),
        ({"fault": "status", "status": "dreaming"}, Phase.WORKING, None, None),
        ({"fault": "status", "status": "succeeded"}, Phase.FAILED, "provider_error", Billed.YES),
        ({"fault": "status", "status": "partial_succeeded"}, Phase.FAILED, "provider_error", Billed.YES),
    ],
)
async def test_each_word_of_a_run_is_read_and_an_unknown_one_is_no_success(
    simulator: Running, runs: Runflow, fault: dict[str, Any], phase: Phase, code: str | None, billed: Billed | None
) -> None:
    simulator.state.script({**CREATE, **fault})
    seen = await seen_of(runs, an_order(SEEN))
    assert fate_of(seen) == (phase, code, billed)


async def test_several_pictures_come_of_one_run_at_the_cost_that_is_reported(simulator: Running, runs: Runflow) -> None:
    simulator.state.script({**CREATE, "shape": "second"}, {**CREATE, "fault": "partial_succeeded"})
    whole = await runs.fetch(cast("str", (await runs.submit(an_order(SEEN, count=3), intent)).remote_id))
    some = await runs.fetch(cast("str", (await runs.submit(an_order(SEEN, count=3), intent)).remote_id))
    assert (whole.phase, len(whole.outputs)) == (Phase.DONE, 3)
    assert (some.phase, some.raw_status, len(some.outputs)) == (Phase.DONE, "partial_succeeded", 2)
    assert whole.cost is not None
    assert whole.cost.to_dict() == {"amount": "0.12", "unit": "usd", "basis": "reported"}


async def test_a_cancel_cannot_be_asked_for_and_asks_for_nothing(simulator: Running, runs: Runflow) -> None:
    assert await runs.cancel("r1") is CancelOutcome.CANNOT
    assert _paths(simulator) == []


async def test_an_id_with_a_path_in_it_stays_one_segment(simulator: Running, runs: Runflow) -> None:
    """RELIABILITY.md N13: an id of the provider's own must not lead our key to another endpoint."""
    with pytest.raises(FetchFailed):
        await runs.fetch("../../admin/runs/1?x=1#y")
    assert _last(simulator).path.count("/") == "/runflow/v1/runs/x".count("/")
