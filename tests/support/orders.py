"""What an adapter is given in tests, and what every failure of a create must mean, whatever the wire."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio.lowlevel
import pytest
from hypothesis import strategies as st

from kontext_tools import images
from kontext_tools.edits import Edit
from kontext_tools.errors import Billed
from kontext_tools.providers.base import Attachment, Order, Phase, Provider, Snapshot, SubmitFailed, Verdict
from support.workshop import png

EXAMPLE_URL = (
    "https://replicate.delivery/pbxt/N55l5TWGh8mSlNzW8usReoaNhGbFwvLeZR3TX1NL4pd2Wtfv/"
    "replicate-prediction-f2d25rg6gnrma0cq257vdw2n4c.png"
)
"""The source of the seeds' example requests."""

EXAMPLE = Attachment(url=EXAMPLE_URL)

_REFUSED, _NOT_TAKEN, _UNKNOWN = Verdict.REFUSED, Verdict.NOT_TAKEN, Verdict.UNKNOWN
FailedCreate = tuple[dict[str, Any], Verdict, str, Billed]
"""Those that mean the same on every wire."""

FAILED_CREATES: list[FailedCreate] = [
    ({"fault": "400"}, _REFUSED, "provider_error", Billed.NO),
    ({"fault": "401"}, _REFUSED, "auth_failed", Billed.NO),
    ({"fault": "error_echoes_key"}, _REFUSED, "auth_failed", Billed.NO),
    ({"fault": "402"}, _REFUSED, "out_of_credit", Billed.NO),
    ({"fault": "403"}, _REFUSED, "auth_failed", Billed.NO),
    ({"fault": "404"}, _REFUSED, "provider_error", Billed.NO),
    ({"fault": "413"}, _REFUSED, "provider_error", Billed.NO),
    ({"fault": "422"}, _REFUSED, "provider_error", Billed.NO),
    ({"fault": "422", "text": "safety_tolerance: at most 6"}, _REFUSED, "provider_error", Billed.NO),
    ({"fault": "422", "text": "flagged as sensitive"}, _REFUSED, "moderated", Billed.NO),
    ({"fault": "429", "retry_after": "3"}, _NOT_TAKEN, "rate_limited", Billed.NO),
    ({"fault": "429", "retry_after_date": 5}, _NOT_TAKEN, "rate_limited", Billed.NO),
    ({"fault": "429"}, _NOT_TAKEN, "rate_limited", Billed.NO),
    ({"fault": "500"}, _UNKNOWN, "outcome_unknown", Billed.UNKNOWN),
    ({"fault": "502"}, _UNKNOWN, "outcome_unknown", Billed.UNKNOWN),
    ({"fault": "503", "body": "empty"}, _UNKNOWN, "outcome_unknown", Billed.UNKNOWN),
    ({"fault": "504"}, _UNKNOWN, "outcome_unknown", Billed.UNKNOWN),
    ({"fault": "408"}, _UNKNOWN, "outcome_unknown", Billed.UNKNOWN),
    ({"fault": "409"}, _UNKNOWN, "outcome_unknown", Billed.UNKNOWN),
    ({"fault": "accept_then_reset"}, _UNKNOWN, "outcome_unknown", Billed.UNKNOWN),
    ({"fault": "reset_before_accept"}, _UNKNOWN, "outcome_unknown", Billed.UNKNOWN),
    ({"fault": "garbage"}, _UNKNOWN, "outcome_unknown", Billed.UNKNOWN),
    ({"fault": "empty"}, _UNKNOWN, "outcome_unknown", Billed.UNKNOWN),
    ({"fault": "no_content"}, _UNKNOWN, "outcome_unknown", Billed.UNKNOWN),
    ({"fault": "redirect", "url": "https://example.com/"}, _REFUSED, "provider_error", Billed.NO),
]
"""Those that mean the same on every wire."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
"""Anything that a host may put where something else was expected."""

IDS = st.sampled_from(["j1", "..", "../account", "", "a\nb", "x" * 300, "a@b.bfl.ai", "a/b?c#d"]) | JSON


async def intent() -> None:
    """Commit nothing."""
    await anyio.lowlevel.checkpoint()


def an_order(
    image: Attachment | None = None, *, prompt: str = "Make this a 90s cartoon", count: int = 1, **edit: Any
) -> Order:
    """Give the seeds' example, with another prompt, count or parameters where they are given."""
    asked = Edit(prompt=prompt, image=None if image is None else "given", num_images=count, **edit)
    return Order(key="a-b-c4k7q:1", edit=asked, prompt=prompt, seed=asked.seed, count=count, image=image)


def a_picture(size_bytes: int = 0) -> Attachment:
    """Give a small PNG of ours; a larger one has a tail of zeros."""
    data = png() + bytes(max(0, size_bytes - len(png())))

    async def read() -> bytes:
        await anyio.lowlevel.checkpoint()
        return data

    return Attachment(facts=replace(images.read_facts(png()), size_bytes=len(data)), read=read)


async def failure_of(provider: Provider, order: Order) -> SubmitFailed:
    """Give how a create fails that must fail."""
    with pytest.raises(SubmitFailed) as failed:
        await provider.submit(order, intent)
    return failed.value


async def seen_of(provider: Provider, order: Order) -> Snapshot:
    """Give what a look tells right after a create that was taken."""
    taken = await provider.submit(order, intent)
    assert taken.remote_id is not None
    return await provider.fetch(taken.remote_id)


def fate_of(seen: Snapshot) -> tuple[Phase, str | None, Billed | None]:
    """Give a job's phase, and of its failure the code and whether it was charged."""
    failure = seen.failure
    return seen.phase, failure and failure.code, failure and failure.billed
