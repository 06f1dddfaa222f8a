"""What an offer refuses, and how an edit is split into sends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kontext_tools.edits import MAX_SEED, Edit
from kontext_tools.images import ImageFacts
from kontext_tools.providers.base import Attachment, Offer, Order, Unsupported
from support.rows import usd

WIDE = Offer(name="fal", model="kontext", price=usd("0.04"), evidence="a test's own", guidance_scale=(1, 20))


def edit(**set_: Any) -> Edit:
    return Edit(prompt="x", given=frozenset(set_), **set_)


def test_an_offer_takes_an_edit_that_sets_nothing() -> None:
    assert WIDE.refuses(edit()) is None
    assert WIDE.refuses(edit(image="red-car-4k7q")) is None


@pytest.mark.parametrize(
    ("facts", "set_", "field", "accepted"),
    [
        ({"generates": False}, {}, "image", "an image to edit"),
        ({"edits": False}, {"image": "a"}, "image", "no image"),
        ({"aspect_ratios": ("1:1", "16:9")}, {"aspect_ratio": "4:3"}, "aspect_ratio", "1:1, 16:9"),
        ({"output_formats": ("png",)}, {"output_format": "jpg"}, "output_format", "png"),
        ({"safety": (1, 5)}, {"safety_tolerance": 0}, "safety_tolerance", "1 to 5"),
        ({"safety": (1, 5)}, {"safety_tolerance": 6}, "safety_tolerance", "1 to 5"),
        ({}, {"safety_tolerance": 3, "image": "a"}, "safety_tolerance", "0 to 2"),
        ({"safety": (0, 1)}, {"safety_tolerance": 2, "image": "a"}, "safety_tolerance", "0 to 1"),
        ({"seed": None}, {"seed": 0}, "seed", "no seed"),
        ({"seed": (1, 100)}, {"seed": 0}, "seed", "1 to 100"),
        ({"seed": (1, 100)}, {"seed": 101}, "seed", "1 to 100"),
        ({"seed": (1, 100)}, {"seed": 99, "num_images": 3}, "seed", "1 to 98"),
        ({"prompt_upsampling": False}, {"prompt_upsampling": True}, "prompt_upsampling", "false"),
        ({"guidance_scale": None}, {"guidance_scale": 1.0}, "guidance_scale", "no guidance_scale"),
        ({"guidance_scale": (1.5, 10.0)}, {"guidance_scale": 1.0}, "guidance_scale", "1.5 to 10"),
        ({"guidance_scale": (1.5, 10.0)}, {"guidance_scale": 11.0}, "guidance_scale", "1.5 to 10"),
    ],
    ids=str,
)
def test_each_parameter_that_is_not_honoured_is_named_with_what_is_accepted(
    facts: dict[str, Any], set_: dict[str, Any], field: str, accepted: str
) -> None:
    assert replace(WIDE, **facts).refuses(edit(**set_)) == Unsupported(field=field, accepted=accepted)
    assert WIDE.refuses(edit(**set_)) is None or set_.get("image") is not None


@pytest.mark.parametrize(
    ("facts", "set_"),
    [
        ({"seed": (1, 100), "images_per_send": 4}, {"seed": 100, "num_images": 4}),
        ({"seed": (1, 100)}, {"seed": 97, "num_images": 4}),
        ({"seed": None}, {}),
        ({"prompt_upsampling": False}, {"prompt_upsampling": False}),
        ({"guidance_scale": (1.5, 10.0)}, {"guidance_scale": 10.0}),
        ({"max_safety_with_image": 2}, {"safety_tolerance": 6}),
        ({"max_safety_with_image": 6}, {"safety_tolerance": 6, "image": "a"}),
    ],
    ids=str,
)
def test_what_lies_within_an_offer_is_not_refused(facts: dict[str, Any], set_: dict[str, Any]) -> None:
    assert replace(WIDE, **facts).refuses(edit(**set_)) is None


def test_a_ratio_that_nobody_set_is_not_refused() -> None:
    assert replace(WIDE, aspect_ratios=("1:1",)).refuses(Edit(prompt="x", image="a")) is None


def test_a_host_that_makes_them_all_gets_one_send() -> None:
    many = replace(WIDE, images_per_send=4)
    assert many.seeds(edit(num_images=3, seed=7)) == [(7, 3)]


def test_a_host_that_makes_one_at_a_time_gets_one_send_each_with_a_seed_of_its_own() -> None:
    assert WIDE.seeds(edit(num_images=3, seed=7)) == [(7, 1), (8, 1), (9, 1)]
    assert WIDE.seeds(edit(num_images=2)) == [(None, 1), (None, 1)]


@given(
    count=st.integers(1, 4),
    per_send=st.sampled_from([1, 4]),
    seed=st.none() | st.integers(0, MAX_SEED),
    low=st.sampled_from([0, 1]),
)
def test_what_an_offer_takes_it_can_be_asked_for(count: int, per_send: int, seed: int | None, low: int) -> None:
    offer = replace(WIDE, images_per_send=per_send, seed=(low, MAX_SEED))
    asked = edit(num_images=count, seed=seed)
    sends = offer.seeds(asked)
    assert sum(images for _, images in sends) == count
    assert all(images <= per_send for _, images in sends)
    seeds = [sent for sent, _ in sends]
    assert len(set(seeds)) == (1 if seed is None else len(sends))
    if offer.refuses(asked) is None:
        assert all(sent is None or low <= sent <= MAX_SEED for sent in seeds)


def test_a_picture_goes_out_under_a_neutral_name() -> None:
    facts = ImageFacts(media_type="image/jpeg", width=1, height=1, size_bytes=1, sha256="ab")
    assert Attachment(facts=facts).filename == "source.jpg"
    assert Attachment(url="https://example.com/Anns-passport.png").filename == "source"


def test_a_picture_that_no_one_has_looked_at_goes_out_as_plain_bytes() -> None:
    facts = ImageFacts(media_type="image/jpeg", width=1, height=1, size_bytes=1, sha256="ab")
    assert Attachment(facts=facts).media_type == "image/jpeg"
    assert Attachment().media_type == "application/octet-stream"


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        (None, None),
        (Attachment(url="https://example.com/a.png?signature=secret"), "https://example.com/a.png"),
        (Attachment(), "source"),
    ],
    ids=["none", "an address", "bytes"],
)
def test_a_picture_is_shown_to_people_without_a_signature(image: Attachment | None, shown: str | None) -> None:
    assert Order(key="red-car-4k7q:1", edit=edit(), prompt="x", seed=None, image=image).shown_picture == shown
