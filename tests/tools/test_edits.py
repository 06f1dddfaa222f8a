"""What is asked, in our own words."""

from __future__ import annotations

from inline_snapshot import snapshot

from kontext_tools.edits import ASPECT_RATIOS, MATCH_INPUT, RATIOS, Edit


def test_the_parameters_that_shape_a_picture_leave_out_what_was_left_to_the_provider() -> None:
    assert Edit(prompt="Make it blue.").parameters() == snapshot(
        {
            "prompt": "Make it blue.",
            "num_images": 1,
            "aspect_ratio": "match_input_image",
            "output_format": "png",
            "safety_tolerance": 2,
            "prompt_upsampling": False,
        }
    )


def test_neither_image_nor_label_nor_provider_shapes_a_picture() -> None:
    plain = Edit(prompt="x")
    assert Edit(prompt="x", image="a", label="b", provider="fal").parameters() == plain.parameters()


def test_whatever_shapes_a_picture_is_among_the_parameters() -> None:
    edit = Edit(prompt="x", keep="the pose", seed=0, guidance_scale=3.5)
    assert edit.parameters().items() >= {"keep": "the pose", "seed": 0, "guidance_scale": 3.5}.items()


def test_the_ratios_are_those_of_the_contract() -> None:
    contract = "match_input_image 1:1 16:9 9:16 4:3 3:4 3:2 2:3 4:5 5:4 21:9 9:21 2:1 1:2"
    assert " ".join(ASPECT_RATIOS) == contract
    assert MATCH_INPUT not in RATIOS
