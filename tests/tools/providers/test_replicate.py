"""Replicate's adapter over real HTTP: requests as in WIRE.md G, uploads, every status word."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from kontext_server.simulator.serve import Running
from kontext_tools.errors import Billed
from kontext_tools.http import Http, Reply
from kontext_tools.providers.base import (
    Attachment,
    Cancelling,
    CancelOutcome,
    FetchFailed,
    Phase,
    Verdict,
)
from kontext_tools.providers.replicate import BASE_URL, MODELS, REPLICATE, Replicate
from support.orders import EXAMPLE, EXAMPLE_URL, IDS, JSON, a_picture, an_order, failure_of, fate_of, intent, seen_of
from support.scripted_host import Says, scripted

pytestmark = pytest.mark.anyio

KEY = "r8_PLANTED_MARKER_0123456789"
PREFIX = "/replicate/v1"


def _adapter(http: Http, root: str, model: str = "kontext-pro") -> Replicate:
    return Replicate(http, host=REPLICATE, key=KEY, base_url=root + PREFIX, model=model)


@pytest.fixture
def adapter(simulator: Running, http: Http) -> Replicate:
    return _adapter(http, simulator.base_url)


async def test_the_create_goes_out_as_the_transcript_has_it(simulator: Running, adapter: Replicate) -> None:
    """WIRE.md G; what the vendor would fill in by itself is written out."""
    taken = await adapter.submit(an_order(EXAMPLE, output_format="jpg"), intent)
    (entry,) = simulator.state.journal.entries()
    assert (entry.method, entry.path, entry.status) == (
        "POST",
        f"{PREFIX}/models/black-forest-labs/flux-kontext-pro/predictions",
        201,
    )
    assert entry.headers["authorization"] == f"Bearer {KEY}"
    assert not {"prefer", "cancel-after"} & entry.headers.keys()
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
    assert (taken.phase, taken.raw_status) == (Phase.WAITING, "starting")


@pytest.mark.parametrize("model", MODELS)
async def test_every_model_is_made_at_its_own_path_with_its_own_fields(
    simulator: Running, http: Http, model: str
) -> None:
    adapter = _adapter(http, simulator.base_url, model)
    scale = 2.5 if model == "kontext-dev" else None
    taken = await adapter.submit(an_order(a_picture(), seed=3, guidance_scale=scale), intent)
    done = await adapter.fetch(cast("str", taken.remote_id))
    (entry, _) = simulator.state.journal.entries()
    assert entry.path == f"{PREFIX}/models/black-forest-labs/flux-{model}/predictions"
    assert done.phase is Phase.DONE
    common = {"prompt", "input_image", "aspect_ratio", "output_format", "seed"}
    own = {"guidance"} if model == "kontext-dev" else {"safety_tolerance", "prompt_upsampling"}
    assert entry.json["input"].keys() == common | own


async def test_a_small_picture_goes_inside_and_a_larger_one_by_the_files_api(
    simulator: Running, adapter: Replicate
) -> None:
    await adapter.submit(an_order(a_picture(256_000)), intent)
    await adapter.submit(an_order(a_picture(256_001)), intent)
    inside, upload, create = simulator.state.journal.entries()
    assert inside.json["input"]["input_image"].startswith("data:image/png;base64,")
    assert (upload.method, upload.path, upload.status) == ("POST", f"{PREFIX}/files", 201)
    assert upload.headers["content-type"].startswith("multipart/form-data")
    assert create.json["input"]["input_image"].startswith(f"{simulator.base_url}{PREFIX}/files/")
    assert simulator.state.counter()["charged"]["replicate"] == 2


@pytest.mark.parametrize(
    ("fault", "verdict", "code"),
    [
        ("401", Verdict.REFUSED, "auth_failed"),
        ("402", Verdict.REFUSED, "out_of_credit"),
        ("429", Verdict.NOT_TAKEN, "rate_limited"),
        ("500", Verdict.NOT_TAKEN, "provider_unavailable"),
        ("garbage", Verdict.NOT_TAKEN, "provider_unavailable"),
        ("accept_then_reset", Verdict.NOT_TAKEN, "provider_unavailable"),
    ],
)
async def test_a_failed_upload_is_never_unknown_and_charges_nothing(
    simulator: Running, adapter: Replicate, fault: str, verdict: Verdict, code: str
) -> None:
    simulator.state.script({"wire": "replicate", "on": "upload", "fault": fault})
    failed = await failure_of(adapter, an_order(a_picture(300_000)))
    assert (failed.verdict, failed.failure.code) == (verdict, code)
    assert simulator.state.counter()["creates"]["replicate"] == 0


async def test_a_throttled_create_waits_as_long_as_its_words_say(simulator: Running, adapter: Replicate) -> None:
    """WIRE.md B1: there is no Retry-After; `ratelimit-reset`, or a number in the text."""
    simulator.state.script({"wire": "replicate", "on": "create", "fault": "429", "text": "resets in ~30s."})
    failed = await failure_of(adapter, an_order())
    assert failed.failure.retry_after_s == 30.0


FREE = Decimal(0)


@pytest.mark.parametrize(
    ("fault", "phase", "code", "billed", "amount"),
    [
        ({}, Phase.DONE, None, None, None),
        ({"shape": "second"}, Phase.DONE, None, None, None),
        ({"fault": "early_output"}, Phase.DONE, None, None, None),
        ({"fault": "fail", "error": "no GPU"}, Phase.FAILED, "provider_error", Billed.UNKNOWN, None),
        ({"fault": "moderated"}, Phase.FAILED, "moderated", Billed.UNKNOWN, None),
        ({"fault": "cancelled_elsewhere"}, Phase.CANCELLED, None, None, None),
        ({"fault": "aborted"}, Phase.CANCELLED, None, None, FREE),
        ({"fault": "data_removed"}, Phase.FAILED, "result_expired", Billed.YES, None),
        ({"fault": "never_ends"}, Phase.WORKING, None, None, None),
        ({"fault": "status", "status": "dreaming"}, Phase.WORKING, None, None, None),
        ({"fault": "status", "status": "succeeded"}, Phase.FAILED, "provider_error", Billed.YES, None),
    ],
)
async def test_each_fate_of_a_prediction_is_read(
    simulator: Running,
    adapter: Replicate,
    fault: dict[str, Any],
    phase: Phase,
    code: str | None,
    billed: Billed | None,
    amount: Decimal | None,
) -> None:
    simulator.state.script({"wire": "replicate", "on": "create", **fault})
    seen = await seen_of(adapter, an_order())
    assert fate_of(seen) == (phase, code, billed)
    assert len(seen.outputs) == (1 if phase is Phase.DONE else 0)
    assert (seen.cost and seen.cost.amount) == amount


OUT = "https://replicate.delivery/x/tmp.jpg"


@pytest.mark.parametrize(
    ("said", "phase", "outputs"),
    [
        ({"status": "starting"}, Phase.WAITING, []),
        ({"status": "processing", "output": []}, Phase.WORKING, []),
        ({"status": "processing", "output": OUT}, Phase.DONE, [OUT]),
        ({"status": "starting", "output": [OUT]}, Phase.DONE, [OUT]),
        ({"status": "Succeeded", "output": [{"url": OUT}, OUT]}, Phase.DONE, [OUT, OUT]),
        ({"status": "succeeded", "output": ["", None, 3]}, Phase.FAILED, []),
        ({"status": "failed", "output": OUT, "error": None}, Phase.FAILED, []),
        ({"status": "canceled", "output": OUT}, Phase.CANCELLED, []),
        ({"status": "cancelled"}, Phase.CANCELLED, []),
        ({"status": "aborted"}, Phase.CANCELLED, []),
        ({"status": "archived", "output": OUT}, Phase.WORKING, []),
        ({"output": OUT}, Phase.WORKING, []),
    ],
)
async def test_every_status_word_and_shape_of_output_has_its_phase(
    http: Http, said: dict[str, Any], phase: Phase, outputs: list[str]
) -> None:
    async with scripted() as host:
        host.say({"id": "j1", **said})
        seen = await _adapter(http, host.base_url).fetch("j1")
    assert (seen.phase, [output.url for output in seen.outputs]) == (phase, outputs)


async def test_a_create_whose_answer_ends_the_job_keeps_what_it_says(http: Http) -> None:
    async with scripted() as host:
        host.say(Says(status=201, json={"id": "j1", "status": "processing", "output": OUT}))
        done = await _adapter(http, host.base_url).submit(an_order(), intent)
        host.say(Says(status=202, json={"id": "j2"}))
        wordless = await _adapter(http, host.base_url).submit(an_order(), intent)
    assert (done.phase, done.remote_id) == (Phase.DONE, "j1")
    assert (wordless.phase, wordless.remote_id) == (Phase.WORKING, "j2")


async def test_a_cancel_has_its_answers(simulator: Running, adapter: Replicate) -> None:
    simulator.state.script({"wire": "replicate", "on": "create", "fault": "never_ends"})
    running_on = cast("str", (await adapter.submit(an_order(), intent)).remote_id)
    ended = cast("str", (await adapter.submit(an_order(), intent)).remote_id)
    assert await adapter.cancel(running_on) is CancelOutcome.ACCEPTED
    assert (await adapter.fetch(running_on)).phase is Phase.CANCELLED
    assert await adapter.cancel(ended) is CancelOutcome.ENDED
    assert await adapter.cancel("nobody-knows-it") is CancelOutcome.CANNOT
    simulator.state.script({"wire": "replicate", "on": "cancel", "fault": "no_content"})
    assert await adapter.cancel(ended) is CancelOutcome.ACCEPTED
    for fault in ("500", "401", "accept_then_reset"):
        simulator.state.script({"wire": "replicate", "on": "cancel", "fault": fault})
        with pytest.raises(FetchFailed):
            await adapter.cancel(ended)


async def test_an_id_with_a_path_in_it_stays_one_segment(simulator: Running, adapter: Replicate) -> None:
    with pytest.raises(FetchFailed):
        await adapter.fetch("../../account?x=1#y")
    await adapter.cancel("../../account?x=1#y")
    for entry in simulator.state.journal.entries():
        assert entry.path.startswith(f"{PREFIX}/predictions/..%2F..%2Faccount%3Fx%3D1%23y")


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "id": IDS,
            "status": st.sampled_from(["starting", "PROCESSING", "succeeded", "failed", "aborted", "odd"]) | JSON,
            "output": st.sampled_from([OUT, [OUT], {"url": OUT}, "data:image/png;base64,AA=="]) | JSON,
            "error": JSON,
            "data_removed": st.booleans() | JSON,
        },
    )
    | JSON
)
def test_no_mutated_reply_crashes_or_is_a_success_without_an_output(reply: Any) -> None:
    adapter = Replicate(Http(), host=REPLICATE, key=KEY)
    read = adapter._read  # pyright: ignore[reportPrivateUsage]  # the one parser, without a network
    seen = read(Reply(status=200, headers={}, body=json.dumps(reply).encode()))
    if seen is None:
        return
    assert (seen.phase is Phase.DONE) == bool(seen.outputs)
    assert (seen.phase is Phase.FAILED) == (seen.failure is not None)
    assert seen.remote_id is None or ("\n" not in seen.remote_id and seen.remote_id not in ("..", "."))


def test_what_people_read_holds_no_signature_no_picture_and_no_key() -> None:
    adapter = Replicate(Http(), host=REPLICATE, key=KEY)
    named = adapter.request(an_order(Attachment(url=EXAMPLE_URL + "?sig=secret")))
    ours = adapter.request(an_order(a_picture()))
    assert (named["input"]["input_image"], ours["input"]["input_image"]) == (EXAMPLE_URL, "source.png")
    assert KEY not in json.dumps([named, ours, repr(adapter.offer)])


def test_the_offers_are_what_the_vendor_says() -> None:
    pro, top, dev = (Replicate(Http(), host=REPLICATE, key=KEY, model=model).offer for model in MODELS)
    assert [offer.price.amount for offer in (pro, top, dev)] == [Decimal("0.04"), Decimal("0.08"), None]
    assert (pro.safety, pro.max_safety_with_image, pro.guidance_scale, pro.generates) == ((0, 6), 2, None, True)
    assert (dev.guidance_scale, dev.generates, dev.prompt_upsampling) == ((1.0, 10.0), False, False)
    refused = dev.refusals(an_order(safety_tolerance=1, given=frozenset({"safety_tolerance"})).edit)
    assert [no.field for no in refused] == ["image", "safety_tolerance"]
    assert (pro.cancelling, pro.concurrency, pro.max_input_bytes) == (Cancelling.YES, 4, None)
    assert REPLICATE.base_url == BASE_URL
    assert REPLICATE.lists
