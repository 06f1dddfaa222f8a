"""core.today's adapter against the simulator, over real HTTP: requests as in the seeds, uploads, a job's fates."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from kontext_server.simulator.serve import Running
from kontext_tools.errors import Billed
from kontext_tools.http import Http, Reply
from kontext_tools.providers.base import (
    Attachment,
    CancelOutcome,
    FetchFailed,
    Phase,
    RemoteOutput,
    Snapshot,
    Verdict,
)
from kontext_tools.providers.core_today import MAX_MULTIPART_BYTES, CoreToday
from support.orders import EXAMPLE, EXAMPLE_URL, IDS, JSON, a_picture, an_order, failure_of, fate_of, intent, seen_of
from support.workshop import png

pytestmark = pytest.mark.anyio

KEY = "cdt_PLANTED_MARKER_0123456789"
REFUSED, NOT_TAKEN = Verdict.REFUSED, Verdict.NOT_TAKEN


@pytest.fixture
def adapter(simulator: Running, http: Http) -> CoreToday:
    return CoreToday(http, key=KEY, base_url=f"{simulator.base_url}/core.today/v1")


async def test_the_seeds_example_goes_out_as_the_seed_has_it(simulator: Running, adapter: CoreToday) -> None:
    """Seeds 000 and 001, Example Request; the multipart form is 001's Direct Upload."""
    order = an_order(EXAMPLE, aspect_ratio="match_input_image", output_format="jpg")
    await adapter.submit(order, intent)
    (entry,) = simulator.state.journal.entries()
    assert (entry.method, entry.path, entry.headers["x-api-key"]) == ("POST", "/core.today/v1/predictions", KEY)
    assert entry.json == snapshot(
        {
            "model": "black-forest-labs/flux-kontext-pro",
            "input": {
                "prompt": "Make this a 90s cartoon",
                "input_image": "https://replicate.delivery/pbxt/N55l5TWGh8mSlNzW8usReoaNhGbFwvLeZR3TX1NL4pd2Wtfv/replicate-prediction-f2d25rg6gnrma0cq257vdw2n4c.png",
                "aspect_ratio": "match_input_image",
                "output_format": "jpg",
                "safety_tolerance": 2,
                "prompt_upsampling": False,
            },
        }
    )


async def test_a_picture_of_ours_goes_up_as_multipart(simulator: Running, adapter: CoreToday) -> None:
    await adapter.submit(an_order(a_picture(), seed=7), intent)
    (entry,) = simulator.state.journal.entries()
    assert entry.path == "/core.today/v1/predictions/upload"
    assert entry.headers["content-type"].startswith("multipart/form-data")


async def test_a_picture_over_10_mb_goes_up_by_a_presigned_address(simulator: Running, adapter: CoreToday) -> None:
    await adapter.submit(an_order(a_picture(len(png()) + MAX_MULTIPART_BYTES)), intent)
    paths = [entry.path.removeprefix("/core.today/v1") for entry in simulator.state.journal.entries()]
    assert paths[0] == "/files/upload-url"
    assert paths[-1] == "/predictions"
    assert len(paths) == 3
    upload = simulator.state.journal.entries()[1]
    assert "x-api-key" not in upload.headers


async def test_the_operators_folder_and_publicity_go_with_every_create(simulator: Running, http: Http) -> None:
    base_url = f"{simulator.base_url}/core.today/v1"
    adapter = CoreToday(http, key=KEY, base_url=base_url, output_folder="mine", is_public=True)
    await adapter.submit(an_order(), intent)
    await adapter.submit(an_order(a_picture()), intent)
    first = simulator.state.journal.entries()[0]
    assert (first.json["output_folder"], first.json["is_public"]) == ("mine", True)
    assert adapter.request(an_order(Attachment(url=EXAMPLE_URL + "?sig=secret")))["input"]["input_image"] == EXAMPLE_URL


@pytest.mark.parametrize("shape", ["first", "second"])
async def test_both_published_shapes_are_read_to_the_end(simulator: Running, adapter: CoreToday, shape: str) -> None:
    simulator.state.script({"wire": "core.today", "on": "create", "shape": shape})
    taken = await adapter.submit(an_order(), intent)
    assert taken.remote_id is not None
    done = await adapter.fetch(taken.remote_id)
    assert (taken.phase, done.phase, len(done.outputs)) == (Phase.WAITING, Phase.DONE, 1)
    assert done.outputs[0].url is not None


@pytest.mark.parametrize("where", ["/files/upload-url", "/_"])
async def test_a_failed_upload_was_not_taken(simulator: Running, adapter: CoreToday, where: str) -> None:
    simulator.state.script({"wire": "core.today", "on": "upload", "fault": "500", "match": where, "times": "always"})
    failed = await failure_of(adapter, an_order(a_picture(len(png()) + MAX_MULTIPART_BYTES)))
    assert failed.verdict is NOT_TAKEN
    assert failed.failure.code == "provider_unavailable"
    assert simulator.state.counter()["charged"].get("core.today", 0) == 0


@pytest.mark.parametrize(("fault", "verdict"), [("401", REFUSED), ("429", NOT_TAKEN), ("garbage", NOT_TAKEN)])
async def test_a_refused_upload_is_told_as_what_it_is(
    simulator: Running, adapter: CoreToday, fault: str, verdict: Verdict
) -> None:
    simulator.state.script({"wire": "core.today", "on": "upload", "fault": fault})
    failed = await failure_of(adapter, an_order(a_picture(len(png()) + MAX_MULTIPART_BYTES)))
    assert failed.verdict is verdict


@pytest.mark.parametrize(
    ("fault", "phase", "code", "billed"),
    [
        ({"fault": "fail", "error": "no GPU"}, Phase.FAILED, "provider_error", Billed.UNKNOWN),
        ({"fault": "moderated"}, Phase.FAILED, "moderated", Billed.UNKNOWN),
        ({"fault": "cancelled_elsewhere"}, Phase.CANCELLED, None, None),
        ({"fault": "never_ends"}, Phase.WORKING, None, None),
        ({"fault": "status", "status": "queued"}, Phase.WAITING, None, None),
        ({"fault": "status", "status": "dreaming"}, Phase.WORKING, None, None),
        ({"fault": "status", "status": "completed"}, Phase.FAILED, "provider_error", Billed.YES),
    ],
)
async def test_each_fate_of_a_job_is_read_and_an_unknown_word_is_no_success(
    simulator: Running, adapter: CoreToday, fault: dict[str, Any], phase: Phase, code: str | None, billed: Billed | None
) -> None:
    simulator.state.script({"wire": "core.today", "on": "create", **fault})
    seen = await seen_of(adapter, an_order())
    assert fate_of(seen) == (phase, code, billed)


async def test_a_cancel_has_its_three_answers(simulator: Running, adapter: CoreToday) -> None:
    simulator.state.script({"wire": "core.today", "on": "create", "fault": "never_ends", "times": 2})
    first = cast("str", (await adapter.submit(an_order(), intent)).remote_id)
    second = cast("str", (await adapter.submit(an_order(), intent)).remote_id)
    accepted = await adapter.cancel(first)
    ended = await adapter.cancel(first)
    simulator.state.script({"wire": "core.today", "on": "cancel", "fault": "405"})
    cannot = await adapter.cancel(second)
    simulator.state.script({"wire": "core.today", "on": "cancel", "fault": "500"})
    with pytest.raises(FetchFailed):
        await adapter.cancel(second)
    assert (accepted, ended, cannot) == (CancelOutcome.ACCEPTED, CancelOutcome.ENDED, CancelOutcome.CANNOT)
    assert (await adapter.fetch(first)).phase is Phase.CANCELLED


REPLIES = st.fixed_dictionaries(
    {},
    optional={
        "job_id": IDS,
        "id": JSON,
        "status": st.sampled_from(["pending", "COMPLETED", "failed", "cancelled", "odd"]) | JSON,
        "result": st.sampled_from(["https://a.example/o.png", ["https://a.example/o.png"], {"url": "x"}]) | JSON,
        "output": JSON,
        "error": JSON,
    },
)


@given(REPLIES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_no_mutated_reply_crashes_or_is_a_success_without_an_output(reply: dict[str, Any]) -> None:
    adapter = CoreToday(Http(), key=KEY)
    read = adapter._read  # pyright: ignore[reportPrivateUsage]  # the one parser, without a network
    seen = read(Reply(status=200, headers={}, body=json.dumps(reply).encode()))
    if seen is None:
        return
    assert (seen.phase is Phase.DONE) == bool(seen.outputs)
    assert (seen.phase is Phase.FAILED) == (seen.failure is not None)
    assert seen.remote_id is None or ("\n" not in seen.remote_id and seen.remote_id not in ("..", "."))


async def test_an_id_with_a_path_in_it_stays_one_segment(simulator: Running, adapter: CoreToday) -> None:
    """RELIABILITY.md N13: an id of the provider's own must not lead our key to another endpoint."""
    with pytest.raises(FetchFailed):
        await adapter.fetch("../../account?x=1#y")
    (entry,) = simulator.state.journal.entries()
    assert entry.path.startswith("/core.today/v1/predictions/")
    assert entry.path.count("/") == "/core.today/v1/predictions/x".count("/")


def test_the_offer_is_what_the_seeds_say() -> None:
    offer = CoreToday(Http(), key=KEY).offer
    assert (offer.price.amount, offer.price.unit.value) == (Decimal(120), "credit")
    assert (offer.safety, offer.max_safety_with_image, offer.guidance_scale) == ((0, 6), 2, None)
    assert Snapshot(phase=Phase.DONE, outputs=(RemoteOutput(url="x"),)).outputs[0].data is None
