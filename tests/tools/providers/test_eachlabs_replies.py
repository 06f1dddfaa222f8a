"""Eachlabs' adapter without a network: what it offers, and how it reads what the host may say."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kontext_tools.budget import Price, Unit
from kontext_tools.edits import ASPECT_RATIOS
from kontext_tools.errors import Billed
from kontext_tools.http import Http, Reply
from kontext_tools.providers.base import Phase, Snapshot
from kontext_tools.providers.eachlabs import (
    BASE_URL,
    Eachlabs,
    _model_of,  # pyright: ignore[reportPrivateUsage]  # the other parser, without a network
)
from support.orders import IDS, JSON

KEY = "el_PLANTED_MARKER_0123456789"


def test_the_offer_is_what_the_seed_says() -> None:
    offer = Eachlabs(Http(), key=KEY).offer
    assert (offer.price, BASE_URL) == (Price(amount=Decimal("0.04"), unit=Unit.USD), "https://api.eachlabs.ai")
    assert (offer.output_formats, offer.seed, offer.aspect_ratios) == (("png",), (1, 2**32 - 1), ASPECT_RATIOS)
    assert (offer.takes_bytes, offer.takes_url, offer.max_input_bytes) == (False, True, 50_000_000)
    assert (offer.prompt_upsampling, offer.guidance_scale, offer.images_per_send) == (False, None, 1)


def _read(reply: Any) -> Snapshot | None:
    read = Eachlabs(Http(), key=KEY)._read  # pyright: ignore[reportPrivateUsage]  # the parser, without a network
    return read(Reply(status=200, headers={}, body=json.dumps(reply).encode()))


URL = "https://a.example/o.png"


@pytest.mark.parametrize("output", [URL, [URL], {"url": URL}, {"images": [{"url": URL}]}, {"image": {"url": URL}}])
def test_an_output_is_an_address_a_list_or_an_object(output: Any) -> None:
    seen = _read({"status": "success", "output": output})
    assert seen is not None
    assert [made.url for made in seen.outputs] == [URL]


def test_a_failure_tells_the_end_of_its_logs_and_whether_it_was_charged() -> None:
    seen = _read({"status": "failed", "logs": "step\n" * 500 + "NSFW content", "metrics": {"cost": 0}})
    assert seen is not None and seen.failure is not None
    assert (seen.failure.code, seen.failure.billed) == ("moderated", Billed.NO)


REPLIES = st.fixed_dictionaries(
    {},
    optional={
        "id": IDS,
        "status": st.sampled_from(["starting", "SUCCESS", "failed", "cancelled", "odd"]) | JSON,
        "output": st.sampled_from([URL, [URL], {"url": URL}]) | JSON,
        "error": JSON,
        "logs": JSON,
        "metrics": st.fixed_dictionaries({"cost": st.floats() | st.sampled_from(["NaN", "1e999999", "-1"])}) | JSON,
    },
)


@given(REPLIES)
@settings(deadline=None)
def test_no_mutated_reply_crashes_or_is_a_success_without_an_output(reply: dict[str, Any]) -> None:
    seen = _read(reply)
    if seen is None:
        return
    assert (seen.phase is Phase.DONE) == bool(seen.outputs)
    assert (seen.phase is Phase.FAILED) == (seen.failure is not None)
    assert seen.remote_id is None or ("\n" not in seen.remote_id and seen.remote_id not in ("..", "."))
    assert seen.cost is None or (seen.cost.amount is not None and 0 <= seen.cost.amount <= 1000)


SCHEMAS = st.fixed_dictionaries({}, optional={"required": st.just(["prompt"]) | JSON, "properties": JSON})
TOLD = st.fixed_dictionaries({}, optional={"version": st.text(max_size=80) | JSON, "request_schema": SCHEMAS | JSON})


@given(TOLD | JSON)
@settings(deadline=None)
def test_whatever_is_told_of_the_model_there_is_a_version_and_a_picture_is_demanded_unless_left_optional(
    told: Any,
) -> None:
    model = _model_of(told)
    assert 0 < len(model.version) <= 64
    assert model.needs_image or "input_image" in model.fields
