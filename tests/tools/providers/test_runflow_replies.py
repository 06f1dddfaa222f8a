"""Runflow's adapter without a network: what it offers, what it shows, and how it reads what a host may say."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kontext_tools.budget import Price, Unit
from kontext_tools.edits import Edit
from kontext_tools.errors import Billed
from kontext_tools.http import Http, Reply
from kontext_tools.providers.base import Attachment, Cancelling, Phase, Snapshot, Unsupported
from kontext_tools.providers.runflow import BASE_URL, Runflow, Surface
from support.orders import IDS, JSON, a_picture, an_order

KEY = "rf_live_PLANTED_MARKER_0123456789"


def test_a_surface_that_does_not_exist_is_no_setting() -> None:
    with pytest.raises(ValueError, match="walk"):
        Runflow(Http(), key=KEY, surface="walk")


def test_d5_4_the_strictest_zero_is_refused_for_it_would_have_to_become_a_laxer_one() -> None:
    offer = Runflow(Http(), key=KEY).offer
    edit = Edit(prompt="p", image="given", safety_tolerance=0, given=frozenset({"safety_tolerance"}))
    assert offer.refuses(edit) == Unsupported(field="safety_tolerance", accepted="1 to 6")


def _read(reply: Any) -> Snapshot | None:
    adapter = Runflow(Http(), key=KEY)
    record = adapter._record  # pyright: ignore[reportPrivateUsage]  # the one parser, without a network
    return record(Reply(status=200, headers={}, body=json.dumps(reply).encode()))


URL = "https://a.example/o.png"


@pytest.mark.parametrize(
    "output",
    [
        {"outputs": [{"type": "image", "url": URL}]},
        {"images": [{"url": URL}]},
        {"image_urls": [URL]},
        {"image": {"url": URL}},
        {"url": URL},
        {"output_url": URL},
        [URL],
        URL,
    ],
)
def test_every_shape_in_which_an_output_was_seen_is_read(output: Any) -> None:
    seen = _read({"id": "r", "status_code": "succeeded", "output": output})
    assert seen is not None
    assert [made.url for made in seen.outputs] == [URL]


def test_a_run_that_failed_free_of_charge_is_told_as_that_with_its_reason() -> None:
    said = {"failure_code": "INPUT_VALIDATION_FAILED", "failure_message": "image dimensions exceed 4096x4096"}
    seen = _read({"id": "r", "status_code": "failed", "cost": "0", **said})
    assert seen is not None and seen.failure is not None
    assert seen.failure.billed is Billed.NO
    assert "INPUT_VALIDATION_FAILED: image dimensions exceed 4096x4096" in seen.failure.message


def test_what_people_are_shown_has_neither_key_nor_signature_nor_picture() -> None:
    adapter = Runflow(Http(), key=KEY)
    signed = adapter.request(an_order(Attachment(url="https://a.example/i.png?Signature=secret")))
    ours = adapter.request(an_order(a_picture()))
    assert signed["input"]["image_url"] == "https://a.example/i.png"
    assert ours["input"]["image_url"] == "source.png"
    assert KEY not in json.dumps([signed, ours])


def test_the_offer_is_what_the_seed_says() -> None:
    offer = Runflow(Http(), key=KEY, surface="run").offer
    assert (offer.price, offer.images_per_send) == (Price(amount=Decimal("0.04"), unit=Unit.USD), 4)
    assert (offer.safety, offer.max_safety_with_image, offer.guidance_scale) == ((1, 6), 6, (1, 20))
    assert (offer.generates, offer.cancelling, offer.max_input_px) == (False, Cancelling.NO, 4096)
    assert (BASE_URL, offer.model) == ("https://api.runflow.io/v1", "black-forest-labs/flux-pro/kontext")
    dear = Price(amount=Decimal(1), unit=Unit.USD)
    assert Runflow(Http(), key=KEY, price=dear).offer.price == dear


SHAPES = st.fixed_dictionaries({}, optional={name: st.just(URL) | JSON for name in ("outputs", "images", "url")})
REPLIES = st.fixed_dictionaries(
    {},
    optional={
        "id": IDS,
        "status_code": st.sampled_from(["queued", "SUCCEEDED", "partial_succeeded", "failed", "canceled", "odd"])
        | JSON,
        "output": SHAPES | JSON,
        "images": JSON,
        "cost": st.sampled_from(["0.04", "NaN", "1e999999", "-1", ""]) | st.floats() | JSON,
        "failure_code": JSON,
        "failure_message": JSON,
    },
)


@given(REPLIES)
@settings(deadline=None)
def test_no_mutated_reply_crashes_or_is_a_success_without_an_output(reply: dict[str, Any]) -> None:
    adapter = Runflow(Http(), key=KEY)
    taken = adapter._taken  # pyright: ignore[reportPrivateUsage]  # what reads a create's reply
    answer = Reply(status=200, headers={}, body=json.dumps(reply).encode())
    for seen in (_read(reply), taken(answer, Surface.RUNS), taken(answer, Surface.RUN)):
        if seen is None:
            continue
        assert (seen.phase is Phase.DONE) == bool(seen.outputs)
        assert (seen.phase is Phase.FAILED) == (seen.failure is not None)
        assert seen.remote_id is None or ("\n" not in seen.remote_id and seen.remote_id not in ("..", "."))
        assert seen.cost is None or (seen.cost.amount is not None and 0 <= seen.cost.amount <= 1000)
