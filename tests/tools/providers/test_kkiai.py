"""kkiai by Replicate's adapter: the seed's request, what kkiai lacks, a key that never leaves for Replicate."""

from __future__ import annotations

from typing import Any, cast

import pytest
from inline_snapshot import snapshot

from kontext_server.simulator.serve import Running
from kontext_tools.http import Http
from kontext_tools.providers.base import Cancelling, CancelOutcome, FetchFailed, Phase, SubmitFailed, Verdict
from kontext_tools.providers.replicate import ADDED_FIELDS, KKIAI, Replicate
from support.orders import EXAMPLE, EXAMPLE_URL, a_picture, an_order, failure_of, intent
from support.scripted_host import Says, scripted

pytestmark = pytest.mark.anyio

KEY = "sk-PLANTED_MARKER_0123456789"
CREATE = "/models/black-forest-labs/flux-kontext-pro/predictions"


@pytest.fixture
def adapter(simulator: Running, http: Http) -> Replicate:
    return Replicate(http, host=KKIAI, key=KEY, base_url=f"{simulator.base_url}/kkiai/replicate/v1")


async def test_the_seeds_example_goes_out_as_the_seed_has_it(simulator: Running, adapter: Replicate) -> None:
    """Seed 002, Request Example and cURL Example; nothing is added to it."""
    order = an_order(EXAMPLE, aspect_ratio="match_input_image", output_format="jpg")
    taken = await adapter.submit(order, intent)
    (entry,) = simulator.state.journal.entries()
    assert (entry.method, entry.path) == ("POST", f"/kkiai/replicate/v1{CREATE}")
    assert entry.headers["authorization"] == f"Bearer {KEY}"
    assert entry.headers["content-type"] == "application/json"
    assert "prefer" not in entry.headers
    assert entry.json == snapshot(
        {
            "input": {
                "prompt": "Make this a 90s cartoon",
                "input_image": "https://replicate.delivery/pbxt/N55l5TWGh8mSlNzW8usReoaNhGbFwvLeZR3TX1NL4pd2Wtfv/replicate-prediction-f2d25rg6gnrma0cq257vdw2n4c.png",
                "aspect_ratio": "match_input_image",
                "output_format": "jpg",
                "safety_tolerance": 2,
                "prompt_upsampling": False,
            }
        }
    )
    assert taken.phase is Phase.WAITING


async def test_what_is_sent_beside_the_example_is_listed_with_its_reason(
    simulator: Running, adapter: Replicate
) -> None:
    await adapter.submit(an_order(EXAMPLE), intent)
    await adapter.submit(an_order(EXAMPLE, seed=7), intent)
    example, seeded = (entry.json["input"] for entry in simulator.state.journal.entries())
    assert {f"input.{name}" for name in seeded.keys() - example.keys()} == set(ADDED_FIELDS)
    assert seeded["seed"] == 7
    assert adapter.offer.undocumented == ("seed",)


async def test_the_seeds_reply_is_read_and_its_addresses_get_no_request(http: Http) -> None:
    """Seed 002, Response Example, with `urls` at a host that listens."""
    async with scripted() as host, scripted() as foreign:
        root = f"{foreign.base_url}/v1/predictions/b1qw7g8h9xrma0crakst3xbj8m"
        reply: dict[str, Any] = {
            "id": "b1qw7g8h9xrma0crakst3xbj8m",
            "model": "black-forest-labs/flux-kontext-pro",
            "version": "hidden",
            "input": {"prompt": "Make this a 90s cartoon"},
            "logs": "",
            "output": None,
            "data_removed": False,
            "error": None,
            "status": "starting",
            "created_at": "2025-07-29T06:51:12.591Z",
            "urls": {"cancel": f"{root}/cancel", "get": root, "stream": f"{root}/stream", "web": f"{root}/web"},
        }
        foreign.say({})
        host.say(reply)
        adapter = Replicate(http, host=KKIAI, key=KEY, base_url=f"{host.base_url}/replicate/v1/")
        taken = await adapter.submit(an_order(EXAMPLE), intent)
        seen = await adapter.fetch(cast("str", taken.remote_id))
        host.say(reply | {"status": "canceled"})
        cancelled = await adapter.cancel(cast("str", taken.remote_id))
    assert (taken.remote_id, taken.phase, seen.phase) == ("b1qw7g8h9xrma0crakst3xbj8m", Phase.WAITING, Phase.WAITING)
    assert cancelled is CancelOutcome.ACCEPTED
    assert [(heard.method, heard.path) for heard in host.heard] == [
        ("POST", f"/replicate/v1{CREATE}"),
        ("GET", "/replicate/v1/predictions/b1qw7g8h9xrma0crakst3xbj8m"),
        ("POST", "/replicate/v1/predictions/b1qw7g8h9xrma0crakst3xbj8m/cancel"),
    ]
    assert foreign.heard == []


async def test_a_picture_of_ours_goes_inside_up_to_10_mb_and_above_is_refused(http: Http) -> None:
    async with scripted() as host:
        host.say({"id": "j1", "status": "starting"})
        adapter = Replicate(http, host=KKIAI, key=KEY, base_url=host.base_url)
        await adapter.submit(an_order(a_picture(10_000_000)), intent)
        with pytest.raises(SubmitFailed) as failed:
            await adapter.submit(an_order(a_picture(10_000_001)), _never)
    (heard,) = host.heard
    assert heard.json["input"]["input_image"].startswith("data:image/png;base64,iVBOR")
    failure = failed.value.failure
    assert (failed.value.verdict, failure.code, failure.field) == (Verdict.REFUSED, "source_too_large", "image")
    assert failure.billed.value == "no"


async def test_a_small_picture_of_ours_is_one_that_the_host_can_read(simulator: Running, adapter: Replicate) -> None:
    taken = await adapter.submit(an_order(a_picture()), intent)
    assert (await adapter.fetch(cast("str", taken.remote_id))).phase is Phase.DONE


async def _never() -> None:
    raise AssertionError("nothing may go out")


async def test_an_empty_quota_is_an_empty_account_and_not_a_bad_key(simulator: Running, adapter: Replicate) -> None:
    """A one-api gateway answers 403 for both; its words tell them apart."""
    simulator.state.script({"wire": "kkiai", "on": "create", "fault": "403", "text": "insufficient_user_quota"})
    failed = await failure_of(adapter, an_order())
    assert (failed.verdict, failed.failure.code) == (Verdict.REFUSED, "out_of_credit")


async def test_an_error_that_rides_on_a_200_names_no_job_so_nobody_knows(http: Http) -> None:
    async with scripted() as host:
        host.say({"error": {"message": "busy", "type": "one_api_error", "code": "x"}})
        adapter = Replicate(http, host=KKIAI, key=KEY, base_url=host.base_url)
        with pytest.raises(SubmitFailed) as failed:
            await adapter.submit(an_order(), intent)
        with pytest.raises(FetchFailed) as unseen:
            await adapter.fetch("j1")
    assert (failed.value.verdict, unseen.value.gone) == (Verdict.UNKNOWN, False)
    assert "busy" in failed.value.failure.message


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Says(status=404, json={"detail": "Not found"}), CancelOutcome.CANNOT),
        (Says(status=405, body=b""), CancelOutcome.CANNOT),
        (Says(status=409, body=b""), CancelOutcome.ENDED),
        (Says(status=200, body=b"<!doctype html>"), CancelOutcome.CANNOT),
        (Says(status=204, body=b""), CancelOutcome.CANNOT),
        (Says(json={"id": "j1", "status": "canceled"}), CancelOutcome.ACCEPTED),
        (Says(json={"id": "j1", "status": "processing"}), CancelOutcome.ACCEPTED),
        (Says(json={"id": "j1", "status": "failed"}), CancelOutcome.ENDED),
        (Says(json={"id": "j1", "status": "succeeded", "output": EXAMPLE_URL}), CancelOutcome.ENDED),
    ],
)
async def test_a_cancel_that_may_not_exist_is_believed_only_where_a_prediction_comes_back(
    http: Http, answer: Says, outcome: CancelOutcome
) -> None:
    async with scripted() as host:
        host.say(answer)
        said = await Replicate(http, host=KKIAI, key=KEY, base_url=host.base_url).cancel("j1")
    assert said is outcome


async def test_the_simulators_kkiai_cannot_cancel_and_gives_its_result(simulator: Running, adapter: Replicate) -> None:
    taken = await adapter.submit(an_order(), intent)
    remote_id = cast("str", taken.remote_id)
    assert await adapter.cancel(remote_id) is CancelOutcome.CANNOT
    done = await adapter.fetch(remote_id)
    assert (done.phase, len(done.outputs)) == (Phase.DONE, 1)


def test_the_offer_is_what_the_seed_says() -> None:
    offer = Replicate(Http(), host=KKIAI, key=KEY).offer
    assert (offer.name, offer.price.amount, offer.price.unit.value) == ("kkiai", None, "usd")
    assert (offer.safety, offer.max_safety_with_image, offer.guidance_scale) == ((0, 6), 2, None)
    assert (offer.max_input_bytes, offer.cancelling, len(offer.aspect_ratios)) == (10_000_000, Cancelling.PERHAPS, 14)
    assert (KKIAI.has_files, KKIAI.lists) == (False, False)
