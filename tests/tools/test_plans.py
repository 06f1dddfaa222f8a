"""A plan's steps: their references, their order, how many pictures, and what is refused as a whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kontext_tools.edits import Edit
from kontext_tools.errors import PlanInvalid
from kontext_tools.plans import Link, Plan, Step, check


def step(name: str, image: str | None = None, num_images: int = 1) -> Step:
    return Step(id=name, edit=Edit(prompt=f"Do {name}", image=image, num_images=num_images))


def plan(*steps: Step) -> Plan:
    return Plan(steps=steps)


@pytest.mark.parametrize(
    ("image", "link"),
    [
        ("$hero", Link(step="hero")),
        ("$hero/2", Link(step="hero", n=2)),
        ("$hero/*", Link(step="hero", every=True)),
        ("red-car-4k7q/1", None),
        (None, None),
        ("$", None),
    ],
)
def test_an_image_names_a_step_an_output_of_it_or_each_of_them(image: str | None, link: Link | None) -> None:
    assert step("a", image).link == link


def test_steps_are_ordered_by_what_they_start_from_in_whatever_order_they_came() -> None:
    made = plan(step("c", "$b"), step("b", "$a"), step("a"))
    assert [each.id for each in made.in_order] == ["a", "b", "c"]
    assert dict(made.level_of) == {"a": 1, "b": 2, "c": 3}


def test_a_fan_out_runs_once_for_each_output_of_all_the_runs_before() -> None:
    made = plan(step("a", num_images=3), step("b", "$a/*", 2), step("c", "$b/*"), step("d", "$b/4"))
    assert dict(made.runs_of) == {"a": 1, "b": 3, "c": 6, "d": 1}
    assert made.images == 3 + 6 + 6 + 1
    assert [made.origin(made.by_id["c"], run) for run in range(1, 7)] == [
        ("b", 1, 1),
        ("b", 1, 2),
        ("b", 2, 1),
        ("b", 2, 2),
        ("b", 3, 1),
        ("b", 3, 2),
    ]
    assert made.origin(made.by_id["d"], 1) == ("b", 2, 2)
    assert made.origin(made.by_id["a"], 1) is None


def test_the_first_of_several_outputs_is_used_and_told() -> None:
    assert check(plan(step("a", num_images=2), step("b", "$a"))) == ("$a makes 2 pictures: b starts from $a/1.",)


@pytest.mark.parametrize(
    ("steps", "message", "fix"),
    [
        (
            [step("a b")],
            "steps[0].id is no name; nothing was sent.",
            "Give steps[0] an id of letters, digits, _ and -, such as step0, and call again.",
        ),
        (
            [step("a"), step("a")],
            "steps[1].id is another step's too; nothing was sent.",
            "Give steps[1] an id of its own, and call again.",
        ),
        (
            [step("hero"), step("b", "$heroo")],
            "steps[1].image names no other step of this plan; nothing was sent.",
            "Write image '$hero' in steps[1], and call again.",
        ),
        (
            [step("a", "$a")],
            "steps[0].image names no other step of this plan; nothing was sent.",
            "Leave image out of steps[0] to generate, and call again.",
        ),
        (
            [step("a", "$b"), step("b", "$a")],
            "The steps wait for each other in a circle (a -> b -> a); nothing was sent.",
            "Let steps[0] start from a picture of its own, or leave its image out to generate, and call again.",
        ),
        (
            [step("a", num_images=2), step("b", "$a/3")],
            "steps[1].image names an output that $a will not have; it makes 2; nothing was sent.",
            "Write image '$a/2' in steps[1], and call again.",
        ),
        (
            [step("a", num_images=2), step("b", "$a/*"), step("c", "$b")],
            "steps[2].image names a step of 2 outputs without saying which; nothing was sent.",
            "Write image '$b/*' for all of them, or '$b/1' for one, in steps[2], and call again.",
        ),
        (
            [step("a", num_images=4), step("b", "$a/*", 4), step("c")],
            "The plan comes to 21 pictures, and at most 20 are made by one; nothing was sent.",
            "Call again with fewer steps, a lower num_images, or '$step/1' in place of '$step/*'.",
        ),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(steps: list[Step], message: str, fix: str) -> None:
    with pytest.raises(PlanInvalid) as caught:
        check(plan(*steps))
    assert (caught.value.failure.message, caught.value.failure.fix) == (message, fix)


@given(st.data())
def test_every_plan_is_refused_or_can_be_carried_out_step_by_step(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6))
    images = st.none() | st.builds("${}{}".format, st.sampled_from("abcdef"), st.sampled_from(["", "/1", "/2", "/*"]))
    steps = [step(name, data.draw(images), data.draw(st.integers(1, 2))) for name in names]
    made = plan(*steps)
    try:
        check(made)
    except PlanInvalid:
        return
    seen: set[str] = set()
    for each in made.in_order:
        assert each.link is None or each.link.step in seen
        for run in range(1, made.runs_of[each.id] + 1):
            origin = made.origin(each, run)
            if origin is not None:
                before, before_run, n = origin
                assert 1 <= before_run <= made.runs_of[before]
                assert 1 <= n <= made.by_id[before].edit.num_images
        seen.add(each.id)
    assert len(seen) == len(steps) and made.images <= 20
