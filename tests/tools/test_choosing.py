"""Who serves, and the refusal that names who would."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from kontext_tools.budget import Unit
from kontext_tools.choosing import HOSTED, KEY_VARIABLES, auto_order, choose, for_guests
from kontext_tools.edits import MATCH_INPUT, Edit
from kontext_tools.errors import InvalidArgument, NotConfigured, UnsupportedByProvider
from kontext_tools.providers.base import Offer
from support.rows import usd

FREE = usd("0")


def offer(name: str, **facts: Any) -> Offer:
    return Offer(name=name, model=f"{name}/kontext", price=usd("0.04"), evidence="a test's own", **facts)


def configured(*offers: Offer) -> dict[str, Offer]:
    sandbox = Offer(name="sandbox", model="sandbox", price=FREE, evidence="a test's own")
    return {made.name: made for made in (*offers, sandbox)}


def edited(**set_: Any) -> Edit:
    """Give an edit of an image with these parameters set by the caller."""
    return Edit(prompt="x", image="red-car-4k7q", given=frozenset(set_), **set_)


def mended(edit: Edit, fix: str) -> Edit:
    """Do what the fix says, word by word, in its first proposal."""
    first = fix.partition(";")[0].rstrip(".")
    if without := re.search(r"without (\w+)$", first):
        return replace(edit, **{without[1]: None}, given=edit.given - {without[1]})
    name, _, text = first.removeprefix("Call again with ").partition("=")
    value: Any = {"false": False, "true": True}.get(text, text)
    if name in ("seed", "safety_tolerance", "guidance_scale"):
        value = float(text) if "." in text else int(text)
    return replace(edit, **{name: value})


def test_auto_tries_the_operators_order_else_ours_else_the_sandbox() -> None:
    everything = ("sandbox", "fal", "bfl", "core.today")
    assert auto_order(everything, ()) == snapshot(("core.today", "bfl", "fal"))
    assert auto_order(everything, ("fal", "replicate", "bfl")) == snapshot(("fal", "bfl"))
    assert auto_order(("sandbox",), ()) == ("sandbox",)
    assert auto_order(everything, ("sandbox",)) == ("sandbox",)


@pytest.mark.parametrize(
    ("names", "preferred", "shares", "serve"),
    [
        (("sandbox",), (), False, {"sandbox"}),
        (("fal", "sandbox"), (), False, set[str]()),
        (("fal", "sandbox"), ("fal", "sandbox"), False, {"sandbox"}),
        (("fal", "bfl", "sandbox"), (), True, {"fal", "bfl"}),
        (("fal", "sandbox"), ("sandbox", "fal"), True, {"fal", "sandbox"}),
    ],
)
def test_others_are_served_by_what_the_operator_shares(
    names: tuple[str, ...], preferred: tuple[str, ...], shares: bool, serve: set[str]
) -> None:
    assert for_guests(names, preferred, shares=shares) == serve


@pytest.mark.parametrize("provider", ["auto", "fal", "sandbox"])
def test_what_is_kept_from_a_caller_is_not_configured_for_them(provider: str) -> None:
    with pytest.raises(NotConfigured) as caught:
        choose(edited(provider=provider), {}, order=(), withheld=("fal", "sandbox"))
    assert caught.value.failure.fix == snapshot(
        "The operator of this server must set KONTEXT_SHARE_KEYS=true, or name sandbox in KONTEXT_PROVIDER to let "
        "people try it without cost."
    )


def test_every_hosted_provider_has_a_variable_for_its_key() -> None:
    assert tuple(KEY_VARIABLES) == HOSTED


def test_auto_takes_the_first_that_honours_everything_that_was_set() -> None:
    offers = configured(offer("fal", output_formats=("png",)), offer("bfl"))
    order = ("fal", "bfl")
    assert choose(edited(), offers, order=order).offer.name == "fal"
    assert choose(edited(output_format="jpg"), offers, order=order).offer.name == "bfl"


@pytest.mark.parametrize("name", ["bfl", "BFL"])
def test_a_named_provider_serves_in_any_case(name: str) -> None:
    offers = configured(offer("fal"), offer("bfl"))
    assert choose(edited(provider=name), offers, order=("fal",)).offer.name == "bfl"
    assert choose(edited(provider="Auto"), offers, order=("fal",)).offer.name == "fal"


def test_the_sandbox_serves_when_named_though_it_is_in_no_order() -> None:
    assert choose(edited(provider="sandbox"), configured(offer("fal")), order=("fal",)).offer.name == "sandbox"


def test_a_named_provider_that_cannot_is_refused_and_nobody_stands_in() -> None:
    offers = configured(offer("fal", output_formats=("png",)), offer("bfl"))
    with pytest.raises(UnsupportedByProvider) as caught:
        choose(edited(provider="fal", output_format="jpg"), offers, order=("fal", "bfl"))
    assert caught.value.failure.to_dict() == snapshot(
        {
            "code": "unsupported_by_provider",
            "message": "fal does not take this output_format with an image (accepted: png); nothing was sent.",
            "fix": "Call again with output_format=png; or with provider='bfl', which takes it.",
            "field": "output_format",
            "retryable": False,
            "billed": "no",
        }
    )


def test_a_provider_without_a_key_names_its_variable_and_who_is_there() -> None:
    with pytest.raises(NotConfigured) as caught:
        choose(edited(provider="bfl"), configured(offer("fal")), order=("fal",))
    assert caught.value.failure.fix == snapshot(
        "Call again with provider one of auto, fal, sandbox; or a person must set BFL_API_KEY."
    )


def test_a_name_that_no_provider_has_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidArgument) as caught:
        choose(edited(provider="midjourney-zq"), configured(offer("fal")), order=("fal",))
    assert caught.value.failure.field == "provider"
    assert "midjourney" not in str(caught.value.failure)


def test_matching_the_input_without_one_is_a_square_and_is_told_where_it_was_asked_for() -> None:
    offers = configured()
    asked = Edit(prompt="x", aspect_ratio=MATCH_INPUT, given=frozenset({"aspect_ratio"}))
    choice = choose(asked, offers, order=("sandbox",))
    assert choice.edit.aspect_ratio == "1:1"
    assert choice.warnings == snapshot(("aspect_ratio match_input_image needs an image; 1:1 was used.",))
    assert choose(Edit(prompt="x"), offers, order=("sandbox",)).warnings == ()
    assert choose(edited(), offers, order=("sandbox",)).edit.aspect_ratio == MATCH_INPUT


STRICT = offer(
    "fal",
    aspect_ratios=("1:1", "16:9"),
    output_formats=("png",),
    safety=(1, 5),
    max_safety_with_image=2,
    seed=(1, 1000),
    prompt_upsampling=False,
    guidance_scale=(1.5, 10),
)


@pytest.mark.parametrize(
    ("set_", "accepted"),
    [
        ({"aspect_ratio": "9:16"}, "1:1, 16:9"),
        ({"output_format": "jpg"}, "png"),
        ({"safety_tolerance": 6}, "1 to 2"),
        ({"safety_tolerance": 0}, "1 to 2"),
        ({"seed": 0}, "1 to 1000"),
        ({"seed": 1001}, "1 to 1000"),
        ({"seed": 999, "num_images": 4}, "1 to 997"),
        ({"prompt_upsampling": True}, "false"),
        ({"guidance_scale": 1.0}, "1.5 to 10"),
        ({"guidance_scale": 20.0}, "1.5 to 10"),
    ],
    ids=str,
)
def test_a_refusal_names_what_is_accepted_and_doing_what_its_fix_says_passes(
    set_: dict[str, Any], accepted: str
) -> None:
    edit, offers = (
        edited(provider="fal", **set_),
        configured(STRICT, offer("bfl", guidance_scale=(1, 20), safety=(0, 6))),
    )
    with pytest.raises(UnsupportedByProvider) as caught:
        choose(edit, offers, order=("fal",))
    failure = caught.value.failure
    assert f"(accepted: {accepted})" in failure.message and failure.field == next(iter(set_))
    assert choose(mended(edit, failure.fix), offers, order=("fal",)).offer.name == "fal"


def test_the_provider_that_would_take_it_does() -> None:
    offers = configured(STRICT, offer("bfl"))
    edit = edited(provider="fal", seed=5000)
    with pytest.raises(UnsupportedByProvider) as caught:
        choose(edit, offers, order=("fal",))
    named = re.search(r"provider='(.+?)'", caught.value.failure.fix)
    assert named is not None
    assert choose(replace(edit, provider=named[1]), offers, order=("fal",)).offer.name == named[1] == "bfl"


def test_a_guidance_that_nobody_takes_is_left_out_in_the_fix() -> None:
    edit, offers = edited(guidance_scale=3.0), configured(offer("fal"))
    with pytest.raises(UnsupportedByProvider) as caught:
        choose(edit, offers, order=("fal",))
    assert caught.value.failure.fix == snapshot("Call again without guidance_scale.")
    assert choose(mended(edit, caught.value.failure.fix), offers, order=("fal",)).edit.guidance_scale is None


def test_a_provider_that_only_edits_or_only_generates_says_so() -> None:
    only_edits, only_makes = configured(offer("fal", generates=False)), configured(offer("fal", edits=False))
    with pytest.raises(UnsupportedByProvider) as caught:
        choose(Edit(prompt="x", provider="fal"), only_edits, order=("fal",))
    assert (caught.value.failure.field, caught.value.failure.fix) == ("image", "Call edit_image with an image.")
    with pytest.raises(UnsupportedByProvider) as caught:
        choose(edited(provider="fal"), only_makes, order=("fal",))
    assert caught.value.failure.fix == "Call generate_image without an image."


def test_every_refused_argument_is_in_the_fix_because_they_are_refused_together() -> None:
    offers = configured(offer("fal", output_formats=("png",), seed=None))
    edit = edited(provider="fal", seed=5, output_format="jpg")
    with pytest.raises(UnsupportedByProvider) as caught:
        choose(edit, offers, order=("fal",))
    assert caught.value.failure.fix == "Call again with output_format=png and without seed."


def test_the_sandbox_never_stands_in_for_a_provider_in_silence() -> None:
    """A key is set, and the operator restricts `auto` to a provider that has none."""
    assert auto_order(["core.today", "sandbox"], ["bfl"]) == ()
    assert auto_order(["core.today", "sandbox"], ["bfl", "sandbox"]) == ("sandbox",)
    assert auto_order(["sandbox"], ["bfl"]) == ("sandbox",)
    with pytest.raises(NotConfigured, match="KONTEXT_PROVIDER"):
        choose(Edit(prompt="x"), configured(offer("core.today")), order=())


@given(
    name=st.sampled_from(["seed", "safety_tolerance"]),
    value=st.integers(0, 6),
    low=st.integers(0, 3),
    span=st.integers(0, 3),
)
def test_whatever_the_bounds_are_the_fix_lies_within_them(name: str, value: int, low: int, span: int) -> None:
    bounds = {"seed": {"seed": (low, low + span)}, "safety_tolerance": {"safety": (low, low + span)}}[name]
    only = offer("fal", max_safety_with_image=6, **bounds)
    edit = edited(provider="fal", **{name: value})
    if name == "seed" and not low <= 2 <= low + span:
        edit = replace(edit, safety_tolerance=2)
    try:
        choose(edit, configured(only), order=("fal",))
    except UnsupportedByProvider as refused:
        mend = mended(edit, refused.failure.fix)
        assert choose(mend, configured(only), order=("fal",)).offer is only


def test_prices_play_no_part_in_the_choice() -> None:
    dear = replace(offer("fal"), price=usd("9"))
    assert choose(edited(), configured(dear, offer("bfl")), order=("fal", "bfl")).offer.price.unit is Unit.USD
