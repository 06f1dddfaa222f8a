"""The published schemas: flat, complete, small, and the same bytes for the same settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from kontext_server import app, settings
from kontext_server.surface import parameters
from kontext_server.surface.arguments import Parameter
from kontext_server.surface.reading import read
from kontext_server.surface.tools import Tools
from kontext_tools.edits import ASPECT_RATIOS, Edit
from kontext_tools.errors import InvalidArgument
from kontext_tools.providers.sandbox import OFFER

FORBIDDEN = {
    "$ref",
    "$defs",
    "anyOf",
    "oneOf",
    "allOf",
    "const",
    "format",
    "pattern",
    "additionalProperties",
    "title",
}
HIGHEST_SAFETY = 6


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return Tools(app.build(settings.load(kontext_data_dir=tmp_path)))


def names(given: tuple[Parameter, ...]) -> list[str]:
    return [parameter.name for parameter in given if parameter.listed]


def test_a_default_is_a_value_that_its_own_property_allows(tools: Tools) -> None:
    for spec in tools.specs:
        for name, facts in spec.input_schema["properties"].items():
            if "default" not in facts:
                continue
            assert facts["default"] in facts.get("enum", [facts["default"]]), (spec.name, name)
            if "maximum" in facts:
                assert facts["minimum"] <= facts["default"] <= facts["maximum"], (spec.name, name)


def test_the_schema_is_the_same_bytes_for_the_same_settings(tmp_path: Path) -> None:
    made = [Tools(app.build(settings.load(kontext_data_dir=tmp_path))).specs for _ in range(2)]
    first, second = ([spec.model_dump_json() for spec in specs] for specs in made)
    assert first == second


def test_the_parameters_of_edit_image_stand_in_their_order() -> None:
    assert names(parameters.edit_image({"sandbox": OFFER}, 25)) == snapshot(
        [
            "image",
            "prompt",
            "keep",
            "num_images",
            "aspect_ratio",
            "seed",
            "output_format",
            "safety_tolerance",
            "prompt_upsampling",
            "label",
            "wait_seconds",
            "dry_run",
            "request_key",
        ]
    )


def test_provider_is_listed_only_where_there_is_a_choice_of_two_hosted_ones() -> None:
    fal, bfl = replace(OFFER, name="fal"), replace(OFFER, name="bfl")
    assert "provider" not in names(parameters.edit_image({"fal": fal, "sandbox": OFFER}, 25))
    both = parameters.edit_image({"fal": fal, "bfl": bfl, "sandbox": OFFER}, 25)
    (provider,) = [parameter for parameter in both if parameter.name == "provider"]
    assert provider.listed and provider.schema()["enum"] == ["auto", "fal", "bfl", "sandbox"]


def test_a_provider_is_taken_where_the_schema_does_not_list_it() -> None:
    made = parameters.generate_image({"sandbox": OFFER}, 25)
    assert read(made, {"prompt": "x", "provider": "sandbox"})["provider"] == "sandbox"
    assert read(made, {"prompt": "x", "provider": "fal"})["provider"] == "fal"


def test_guidance_scale_is_listed_only_where_a_provider_takes_it_and_read_all_the_same() -> None:
    without = parameters.edit_image({"sandbox": OFFER}, 25)
    assert "guidance_scale" not in names(without)
    assert read(without, {"prompt": "x", "image": "y", "guidance_scale": "4"})["guidance_scale"] == 4
    guided = replace(OFFER, name="fal", guidance_scale=(1, 20))
    assert "guidance_scale" in names(parameters.edit_image({"fal": guided, "sandbox": OFFER}, 25))


def test_the_highest_safety_told_is_what_some_configured_provider_takes_with_an_image() -> None:
    loose = replace(OFFER, name="fal", max_safety_with_image=HIGHEST_SAFETY)
    for offers, highest in (({"sandbox": OFFER}, 2), ({"sandbox": OFFER, "fal": loose}, HIGHEST_SAFETY)):
        (safety,) = [p for p in parameters.edit_image(offers, 25) if p.name == "safety_tolerance"]
        assert safety.schema()["maximum"] == highest
    (generated,) = [p for p in parameters.generate_image({"sandbox": OFFER}, 25) if p.name == "safety_tolerance"]
    assert generated.schema()["maximum"] == HIGHEST_SAFETY


def test_the_operators_waiting_time_is_the_default() -> None:
    assert read(parameters.generate_image({"sandbox": OFFER}, 7), {"prompt": "x"})["wait_seconds"] == 7


def test_every_parameter_that_shapes_an_edit_is_a_field_of_it() -> None:
    values = read(parameters.edit_image({"sandbox": OFFER}, 25), {"image": "a", "prompt": "b"}).values
    made = Edit(**{name: values[name] for name in parameters.OF_AN_EDIT & values.keys()})
    assert made == Edit(prompt="b", image="a")
    assert values.keys() - parameters.OF_AN_EDIT == {"wait_seconds", "dry_run", "request_key"}


def test_no_name_stands_for_two_parameters() -> None:
    for made in (
        parameters.edit_image({"sandbox": OFFER}, 25),
        parameters.generate_image({"sandbox": OFFER}, 25),
        parameters.get_status(),
        parameters.cancel_job(),
    ):
        every = [name for parameter in made for name in (parameter.name, *parameter.aliases)]
        assert len(every) == len(set(every))


@pytest.mark.parametrize("between", ["x", "X", "/", "-", "_", " : ", "by"])
def test_every_ratio_is_read_with_every_sign_between_its_sides(between: str) -> None:
    made = parameters.generate_image({"sandbox": OFFER}, 25)
    for ratio in ASPECT_RATIOS[1:]:
        assert read(made, {"prompt": "x", "aspect_ratio": ratio.replace(":", between)})["aspect_ratio"] == ratio


@given(st.text("0123456789:x.-/ ", max_size=12))
def test_any_shape_is_read_or_answered_with_one_that_is(text: str) -> None:
    made = parameters.generate_image({"sandbox": OFFER}, 25)
    try:
        told = read(made, {"prompt": "x", "aspect_ratio": text})["aspect_ratio"]
    except InvalidArgument as refused:
        told = refused.failure.fix.split("'")[1]
    assert told in ASPECT_RATIOS
