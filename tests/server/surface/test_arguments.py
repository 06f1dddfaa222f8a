"""Arguments as models send them: what is taken, and what is taught."""

from __future__ import annotations

import json
import math
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from kontext_server.surface import parameters
from kontext_server.surface.arguments import Arguments, Kind, Parameter, schema_of
from kontext_server.surface.plan_parameters import run_plan
from kontext_server.surface.reading import read
from kontext_tools.errors import Failure, InvalidArgument
from kontext_tools.providers.sandbox import OFFER

OFFERS = {"sandbox": OFFER}
EDIT = parameters.edit_image(OFFERS, 25)
GENERATE = parameters.generate_image(OFFERS, 25)
STATUS = parameters.get_status()


def edit(**sent: Any) -> Arguments:
    return read(EDIT, {"image": "red-car-4k7q/1", "prompt": "Make it blue.", **sent})


def refusal(**sent: Any) -> Failure:
    with pytest.raises(InvalidArgument) as caught:
        edit(**sent)
    return caught.value.failure


def test_what_is_not_given_has_its_default_and_is_not_called_given() -> None:
    arguments = edit()
    assert dict(arguments.values) == snapshot(
        {
            "image": "red-car-4k7q/1",
            "prompt": "Make it blue.",
            "keep": "",
            "num_images": 1,
            "aspect_ratio": "match_input_image",
            "seed": None,
            "output_format": "png",
            "safety_tolerance": 2,
            "prompt_upsampling": False,
            "guidance_scale": None,
            "provider": "auto",
            "label": "",
            "wait_seconds": 25,
            "dry_run": False,
            "request_key": "",
        }
    )
    assert arguments.given == {"image", "prompt"}


@pytest.mark.parametrize(
    ("name", "sent", "value"),
    [
        ("num_images", "2", 2),
        ("num_images", " 2 ", 2),
        ("num_images", 2.0, 2),
        ("num_images", "2.0", 2),
        ("seed", "4294967295", 4294967295),
        ("seed", 0, 0),
        ("guidance_scale", "3.5", 3.5),
        ("guidance_scale", 3, 3),
        ("dry_run", "true", True),
        ("dry_run", "True", True),
        ("dry_run", "no", False),
        ("dry_run", 1, True),
        ("dry_run", 0.0, False),
        ("output_format", "PNG", "png"),
        ("output_format", "jpeg", "jpg"),
        ("output_format", ".JPG", "jpg"),
        ("output_format", "image/jpeg", "jpg"),
        ("aspect_ratio", "16x9", "16:9"),
        ("aspect_ratio", "16/9", "16:9"),
        ("aspect_ratio", "16 : 9", "16:9"),
        ("aspect_ratio", " 16:9 ", "16:9"),
        ("aspect_ratio", "`16:9`", "16:9"),
        ("aspect_ratio", "square_hd", "1:1"),
        ("aspect_ratio", "landscape_16_9", "16:9"),
        ("aspect_ratio", "portrait_4_3", "3:4"),
        ("aspect_ratio", "Match_Input_Image", "match_input_image"),
        ("image", "`red-car-4k7q/1`", "red-car-4k7q/1"),
        ("image", ' "/home/ann/my cat.png" ', "/home/ann/my cat.png"),
        ("image", "<https://example.com/a.png>", "https://example.com/a.png"),
        ("label", 7, "7"),
        ("keep", "  the pose", "  the pose"),
    ],
    ids=repr,
)
def test_a_value_is_read_as_models_send_it(name: str, sent: Any, value: Any) -> None:
    arguments = edit(**{name: sent})
    assert arguments[name] == value and type(arguments[name]) is type(value)
    assert name in arguments.given


@pytest.mark.parametrize(
    ("alias", "name", "sent", "value"),
    [
        ("n", "num_images", 3, 3),
        ("num_outputs", "num_images", 3, 3),
        ("enhance_prompt", "prompt_upsampling", True, True),
        ("image_size", "aspect_ratio", "square_hd", "1:1"),
        ("format", "output_format", "jpeg", "jpg"),
        ("guidance", "guidance_scale", 4, 4),
        ("wait", "wait_seconds", 0, 0),
    ],
)
def test_the_providers_own_names_are_taken(alias: str, name: str, sent: Any, value: Any) -> None:
    arguments = edit(**{alias: sent})
    assert arguments[name] == value
    assert name in arguments.given and alias not in arguments.given


@pytest.mark.parametrize("alias", ["input_image", "image_url", "image_path"])
def test_an_image_is_taken_under_the_providers_names_for_it(alias: str) -> None:
    assert read(EDIT, {alias: "red-car-4k7q", "prompt": "x"})["image"] == "red-car-4k7q"


@pytest.mark.parametrize("filler", [None, ""], ids=repr)
def test_what_strict_clients_fill_in_counts_as_left_out(filler: Any) -> None:
    optional = [parameter.name for parameter in EDIT if not parameter.required]
    arguments = edit(**dict.fromkeys(optional, filler))
    assert arguments == edit()


@pytest.mark.parametrize(
    "raw", [None, {}, {"prompt": "x"}, {"prompt": "x", "image": None}, {"prompt": "x", "image": ""}], ids=repr
)
def test_a_missing_argument_is_named_with_what_it_takes(raw: dict[str, Any] | None) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read(EDIT, raw)
    assert caught.value.failure.field == "image"
    assert caught.value.failure.fix.startswith("Call again with image: An earlier result")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("promt", "prompt"),
        ("aspectratio", "aspect_ratio"),
        ("Prompt", "prompt"),
        ("inputimage", "image"),
        ("sed", "seed"),
        ("aspect", "aspect_ratio"),
        ("tolerance", "safety_tolerance"),
        ("upsampling", "prompt_upsampling"),
        ("input_images", "image"),
        ("image_urls", "image"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, nearest: str) -> None:
    failure = refusal(**{name: "value-that-was-sent"})
    assert failure.fix == f"Call again with {nearest} instead."


def test_of_a_name_without_end_only_the_beginning_is_looked_at() -> None:
    raw = {"p" * 1_000_000: 1}
    tracemalloc.start()
    assert refusal(**raw).fix.startswith("Call again without it")
    assert tracemalloc.get_traced_memory()[1] < 200_000, "to look for the nearest takes many times the name's own size"
    tracemalloc.stop()


def test_a_name_like_no_other_is_answered_with_all_of_them() -> None:
    fix = refusal(negative_stuff_xyz=1).fix
    assert fix.removeprefix("Call again without it; the names are: ") == snapshot(
        "aspect_ratio, dry_run, image, keep, label, num_images, output_format, prompt, prompt_upsampling, "
        "request_key, safety_tolerance, seed, wait_seconds."
    )


@pytest.mark.parametrize("name", ["width", "negative_prompt", "model", "strength", "sync_mode"])
def test_a_name_that_means_something_else_is_not_taken_for_one_that_looks_a_little_like_it(name: str) -> None:
    assert refusal(**{name: 20}).fix.startswith("Call again without it; the names are: aspect_ratio, ")


def test_a_step_told_its_format_is_not_told_to_make_so_many_images() -> None:
    with pytest.raises(InvalidArgument) as caught:
        read(run_plan(25), {"steps": [{"id": "a", "prompt": "A car", "output_format": "png"}]})
    assert caught.value.failure.fix == snapshot(
        "In steps[0]: Call again without it; the names are: aspect_ratio, id, image, keep, num_images, prompt, seed."
    )


@pytest.mark.parametrize("name", ["image", "image_url", "input_image"])
def test_an_image_to_generate_from_is_refused_with_the_tool_that_takes_it(name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read(GENERATE, {"prompt": "A car", name: "red-car-4k7q/1"})
    failure = caught.value.failure
    assert (failure.message, failure.fix, failure.field) == snapshot(
        (
            "image is not taken by this tool; nothing was sent.",
            "Call edit_image with the same arguments to start from an image; generate_image makes one from words.",
            "image",
        )
    )
    assert read(GENERATE, {"prompt": "A car", name: None})["image"] is None


def test_one_parameter_under_two_names_is_taken_where_they_agree_and_refused_where_not() -> None:
    assert edit(num_images=2, n=2)["num_images"] == 2
    assert edit(num_images=2, n=None)["num_images"] == 2
    failure = refusal(num_images=2, n=3)
    assert (failure.field, failure.fix) == ("num_images", "Give num_images once.")


@pytest.mark.parametrize(
    ("name", "sent", "fix"),
    [
        ("num_images", 0, "Call again with num_images=1."),
        ("num_images", "9", "Call again with num_images=4."),
        ("seed", -1, "Call again with seed=0."),
        ("seed", 2**32, "Call again with seed=4294967295."),
        ("seed", 10**400, "Call again with seed=4294967295."),
        ("seed", -(10**400), "Call again with seed=0."),
        ("seed", 1e308, "Call again with seed=4294967295."),
        ("wait_seconds", 600, "Call again with wait_seconds=50."),
        ("guidance_scale", 0.5, "Call again with guidance_scale=1."),
        ("safety_tolerance", 7, "Call again with safety_tolerance=6."),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_out_of_range_names_the_nearest_value_and_that_value_passes(name: str, sent: Any, fix: str) -> None:
    failure = refusal(**{name: sent})
    assert (failure.fix, failure.field) == (fix, name)
    value = fix.rstrip(".").rpartition("=")[2]
    assert edit(**{name: value})[name] == float(value)


@pytest.mark.parametrize(
    "sent",
    [True, False, "two", "NaN", "inf", "1e400", "1e3", math.nan, math.inf, -math.inf, [1], {"n": 1}, "0x10", "1_0"],
    ids=repr,
)
def test_what_is_no_number_is_refused_for_a_number(sent: Any) -> None:
    failure = refusal(num_images=sent)
    assert (failure.field, failure.fix) == ("num_images", "Give num_images as 1 to 4.")


def test_a_fraction_is_refused_for_a_whole_number() -> None:
    assert refusal(num_images=1.5).message == snapshot("num_images is not a whole number; nothing was sent.")


@pytest.mark.parametrize("sent", ["maybe", 2, -1, "", [], {}, math.nan, "on"], ids=repr)
def test_what_is_neither_true_nor_false_is_refused_for_a_flag(sent: Any) -> None:
    if sent == "":
        assert edit(dry_run=sent)["dry_run"] is False
        return
    assert refusal(dry_run=sent).fix == "Give dry_run as true or false."


@pytest.mark.parametrize("sent", [True, ["a"], {"a": 1}, math.nan, math.inf, -math.inf, 10**20, -1e20])
def test_what_is_no_text_is_refused_for_a_text(sent: Any) -> None:
    assert refusal(prompt=sent).fix == "Give prompt as one string."


@pytest.mark.parametrize("sent", ["a\x00b", "a\ud800b", "\udfff"])
def test_a_character_that_is_none_is_refused_in_texts_and_names(sent: str) -> None:
    for name in ("prompt", "image", "label", "request_key", "aspect_ratio"):
        assert refusal(**{name: sent}).field == name


@pytest.mark.parametrize(("name", "longest"), [("prompt", 20_000), ("label", 200), ("request_key", 255)])
def test_a_text_has_a_longest_length(name: str, longest: int) -> None:
    assert len(edit(**{name: "x" * longest})[name]) == longest
    assert f"more than {longest} characters" in refusal(**{name: "x" * (longest + 1)}).message


@pytest.mark.parametrize(
    ("name", "sent", "fix"),
    [
        ("output_format", "pngg", "Call again with output_format='png'."),
        ("output_format", "webp", None),
        ("aspect_ratio", "16 to 9", None),
        ("aspect_ratio", "square", "Call again with aspect_ratio='1:1'."),
        ("aspect_ratio", 1, None),
    ],
)
def test_an_unknown_choice_names_the_nearest_and_that_one_passes(name: str, sent: Any, fix: str | None) -> None:
    failure = refusal(**{name: sent})
    assert fix is None or failure.fix == fix
    assert edit(**{name: failure.fix.split("'")[1]})


def test_a_job_is_named_as_models_name_it() -> None:
    for alias in ("job_id", "id", "job", "request_id"):
        assert read(STATUS, {alias: " `red-car-4k7q` "})["job_id"] == "red-car-4k7q"


def test_a_schema_lists_what_is_listed_and_requires_what_is_required() -> None:
    made = schema_of(
        [
            Parameter(name="a", kind=Kind.TEXT, required=True, description="A."),
            Parameter(name="b", kind=Kind.CHOICE, choices=("x", "y"), default="x", description="B."),
            Parameter(name="c", kind=Kind.NUMBER, minimum=0, maximum=6, published_maximum=2, description="C."),
            Parameter(name="d", kind=Kind.FLAG, default=False, listed=False, description="D."),
        ]
    )
    assert made == snapshot(
        {
            "type": "object",
            "properties": {
                "a": {"type": "string", "description": "A."},
                "b": {"type": "string", "description": "B.", "enum": ["x", "y"], "default": "x"},
                "c": {"type": "number", "description": "C.", "minimum": 0, "maximum": 2},
            },
            "required": ["a"],
        }
    )
    assert schema_of([]) == {"type": "object", "properties": {}}


MARK = "zqxjkvbp"
SCALARS: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(10**400)
)
MARKED = st.text(max_size=10).map(lambda text: MARK + text)
VALUES = SCALARS | MARKED | st.lists(SCALARS | MARKED, max_size=2) | st.dictionaries(MARKED, MARKED, max_size=2)
NAMES = st.sampled_from([name for p in EDIT for name in (p.name, *p.aliases)]) | MARKED


@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_anything_is_read_or_refused_and_a_refusal_never_repeats_what_was_sent(raw: dict[str, Any]) -> None:
    try:
        arguments = read(EDIT, raw)
    except InvalidArgument as refused:
        told = json.dumps(refused.failure.to_dict())
    else:
        told = ""
        assert arguments.values.keys() == {parameter.name for parameter in EDIT}
        assert 1 <= arguments["num_images"] <= 4 and isinstance(arguments["dry_run"], bool)
        json.dumps(dict(arguments.values)).encode()
    assert MARK not in told


REFS = Parameter(name="refs", kind=Kind.NAMES, description="Up to three.", required=True, max_items=3)
STEPS = Parameter(
    name="steps",
    kind=Kind.OBJECTS,
    description="Up to two.",
    required=True,
    max_items=2,
    fields=(
        Parameter(name="id", kind=Kind.NAME, description="Its name.", required=True),
        Parameter(name="num_images", kind=Kind.INTEGER, description="How many.", minimum=1, maximum=4, aliases=("n",)),
    ),
)


@pytest.mark.parametrize(
    "sent",
    [["a-1234/1", "b-1234/2"], ["`a-1234/1`", '"b-1234/2"'], '["a-1234/1", "b-1234/2"]'],
)
def test_a_list_of_names_is_taken_as_models_send_it(sent: object) -> None:
    assert read([REFS], {"refs": sent})["refs"] == ("a-1234/1", "b-1234/2")


def test_one_name_is_taken_where_a_list_is_wanted() -> None:
    assert read([REFS], {"refs": "`a-1234/1`"})["refs"] == ("a-1234/1",)


@pytest.mark.parametrize(
    "sent",
    [
        [{"id": "hero", "n": "2"}],
        {"id": "hero", "num_images": 2.0},
        '[{"id": "hero", "num_images": 2}]',
        ['{"id": "`hero`", "n": 2}'],
        '{"id": "hero", "n": 2}',
    ],
)
def test_objects_are_taken_as_models_send_them(sent: object) -> None:
    (step,) = read([STEPS], {"steps": sent})["steps"]
    assert dict(step.values) == {"id": "hero", "num_images": 2}


@pytest.mark.parametrize(
    ("sent", "message", "fix", "field"),
    [
        (["a", "b", "c", "d"], "refs takes 1 to 3 items; nothing was sent.", "Call again with 1 to 3 in refs.", "refs"),
        ([], "refs takes 1 to 3 items; nothing was sent.", "Call again with 1 to 3 in refs.", "refs"),
        (["a", True], "refs[1] is not a text; nothing was sent.", "Give refs[1] as one string.", "refs[1]"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused(sent: object, message: str, fix: str, field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read([REFS], {"refs": sent})
    failure = caught.value.failure
    assert (failure.message, failure.fix, failure.field) == (message, fix, field)


@pytest.mark.parametrize(
    ("sent", "message", "fix", "field"),
    [
        (
            [{"id": "a"}, {"id": "b", "num_imags": 2}],
            "In steps[1]: There is an argument of a name that this tool does not take; nothing was sent.",
            "In steps[1]: Call again with num_images instead.",
            "steps[1]",
        ),
        (
            [{"id": "a", "n": 9}],
            "In steps[0]: num_images is outside its range, 1 to 4; nothing was sent.",
            "In steps[0]: Call again with num_images=4.",
            "steps[0].num_images",
        ),
        (
            ["hero"],
            "steps[0] is not an object; nothing was sent.",
            "Give steps[0] as an object with: id, num_images.",
            "steps[0]",
        ),
    ],
)
def test_an_object_of_a_list_is_refused_by_its_place(sent: object, message: str, fix: str, field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read([STEPS], {"steps": sent})
    failure = caught.value.failure
    assert (failure.message, failure.fix, failure.field) == (message, fix, field)


def test_lists_are_published_with_their_items() -> None:
    assert schema_of([REFS, STEPS])["properties"] == snapshot(
        {
            "refs": {"type": "array", "description": "Up to three.", "items": {"type": "string"}, "maxItems": 3},
            "steps": {
                "type": "array",
                "description": "Up to two.",
                "items": {
                    "type": "object",
                    "properties": {
                        "id": {"type": "string", "description": "Its name."},
                        "num_images": {"type": "integer", "description": "How many.", "minimum": 1, "maximum": 4},
                    },
                    "required": ["id"],
                },
                "maxItems": 2,
            },
        }
    )


def test_json_without_end_is_no_list_and_breaks_nothing() -> None:
    with pytest.raises(InvalidArgument):
        read([STEPS], {"steps": "[" * 100_000})
