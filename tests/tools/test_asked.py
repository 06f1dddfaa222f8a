"""What a call asked for, as a digest: the same in Python and in the studio's TypeScript, so its values are pinned."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kontext_tools.asked import asked, fnv1a
from kontext_tools.edits import Edit
from kontext_tools.plans import Part, Plan, Step
from support.rows import a_job


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        ("", "811c9dc5"),
        ("a", "e40c292c"),
        ("foobar", "bf9cf968"),
        ("café 붉은 차 🚗", "c9364764"),
        ("\x00\x01", "1076963a"),
    ],
    ids=ascii,
)
def test_a_text_has_the_digest_that_the_studio_computes(text: str, digest: str) -> None:
    assert fnv1a(text) == digest


@pytest.mark.parametrize(
    ("edit", "digest"),
    [
        (Edit(prompt="Make it teal", image="red-car-4k7q/1", seed=7, label="x"), "98fb8e98"),
        (Edit(prompt="Make it teal", image="https://cdn.test/a?sig=secret"), "ebc1ad1f"),
        (Edit(prompt="Make it teal"), "76f5e35a"),
    ],
)
def test_an_edit_is_known_by_its_words_and_its_image_as_it_was_given(edit: Edit, digest: str) -> None:
    assert asked(a_job(edit=edit)) == digest


def test_a_plan_is_known_by_its_steps_in_the_order_in_which_they_came() -> None:
    sea = Step(id="sea", edit=Edit(prompt="By the sea", image="$car"))
    car = Step(id="car", edit=Edit(prompt="A car"))
    plans = [replace(a_job(), plan=Plan(steps=steps)) for steps in ((car, sea), (sea, car))]
    assert [asked(plan) for plan in plans] == ["c9a44608", "4871f2b0"]


def test_what_no_call_asked_for_or_the_row_does_not_keep_has_no_digest() -> None:
    of_data = Edit(prompt="Make it teal", image="data:image/png;base64,…")
    step = Step(id="car", edit=of_data)
    assert asked(a_job(edit=of_data)) is None
    assert asked(replace(a_job(), plan=Plan(steps=(replace(step, edit=Edit(prompt="x")), step)))) is None
    assert asked(a_job(part=Part(plan_id="plan-sea-4k7q", step="sea", run=1))) is None
