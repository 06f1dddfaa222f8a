"""Hints about an edit's words: they come for what is known to fail, and leave good instructions alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from kontext_tools.edits import Edit
from kontext_tools.jobs import SendState
from kontext_tools.linting import MOST, hints
from kontext_tools.providers.base import Phase, Snapshot
from kontext_tools.views import Call, Quote, View
from support.scripted import Scripted
from support.workshop import OWNER, output, png, workshop

# Written for this test, in the manner of the five kinds of edits that KontextBench has.
LOCAL = (
    "Change the colour of the car to midnight blue",
    "Remove the lamp behind the sofa",
    "Add a small brown dog next to the bench",
    "Give the woman round glasses",
    "Replace the coffee cup with a glass of orange juice",
    "Make the man's tie green",
    "Open the cat's eyes",
    "Put a straw hat on the scarecrow",
    "Swap the wooden table for a marble one",
    "Turn the traffic light from red to green",
)
GLOBAL = (
    "Make it night, with light in the windows",
    "Change the season to deep winter, with snow on the roofs",
    "Make the light warm and low as in late afternoon",
    "Make it black and white",
    "Make it red",
    "Replace the background with a quiet beach at dawn while keeping the woman in the same position and pose",
    "Restore this old photo: sharp, with natural colours and clean of scratches",
    "Show the same street after heavy rain, with puddles on the asphalt",
    "Let thick fog lie over the valley",
)
CHARACTER = (
    "The same girl, now riding a bicycle through a market",
    "Show this robot reading a newspaper in a café",
    "Put the man with the beard in a spacesuit on the moon, keeping his face",
    "This teddy bear sits at a piano and plays",
    "Dress the woman as a chef in a busy kitchen, with the same hair and face",
    "Show the fox from behind, walking into the forest",
    "The person from the photo is sitting at the window of a night train",
    "Draw the same cat as a knight in armour",
)
TEXT = (
    "Replace 'SALE' with 'OPEN'",
    'Change the text on the sign to "Closed on Mondays"',
    "Replace the word \u2018Bar\u2019 with \u2018Bakery\u2019 in the same lettering",
    "Make the letters on the mug red",
    "Change the text colour to gold",
    "Write “Bonjour à tous” on the blackboard in chalk",
    "Remove the watermark in the lower corner",
)
STYLE = (
    "Change the style to a 1960s travel poster with flat colours",
    "Make this a charcoal drawing on rough paper",
    "Turn it into a watercolour with visible paper grain",
    "Render the scene as pixel art, 16 colours",
    "As a stained glass window, the composition the same",
    "Make it look like a faded Polaroid",
    "Restyle the picture as a Japanese woodblock print, keeping the composition",
)
GOOD = LOCAL + GLOBAL + CHARACTER + TEXT + STYLE

BAD = {
    "not_english": (
        "Mach den Himmel dunkler und die Straße nass mit Pfützen",
        "Remplace le chat par un chien et ajoute des fleurs dans le vase",
        "Сделай машину красной",
        "把汽车变成红色",
        "Cambia el color del coche por rojo y quita las sombras",
    ),
    "too_long": ("Change the wall to " + "a very pale and slightly greenish shade of grey, " * 40,),
    "unquoted_text": (
        "Change the text on the sign to Welcome Home",
        "Replace the headline with Summer Sale",
        "Add a banner that says Happy Birthday",
    ),
    "negative": ("The street with no people on it", "Change the sky, without clouds", "Remove the blur from the photo"),
    "pronoun_target": (
        "Make it red with white stripes",
        "Replace him with a statue",
        "Move it to the left of the tree",
    ),
    "vague": ("Make the photo nicer", "Improve the picture", "Give the room a cool look"),
    "reads_like_scene": (
        "A professional headshot of a woman in a modern office",
        "Portrait of an astronaut in a field of flowers, golden hour, 85mm",
    ),
    "many_changes": (
        "Make the car red, add a driver, remove the trees, replace the sky with a sunset and put snow on the road",
    ),
    "no_keep": ("Transform the woman into an astronaut", "Change the background to a beach"),
}


def codes(prompt: str, keep: str = "", *, broad_matters: bool = True) -> list[str]:
    return [hint.code for hint in hints(prompt, keep, broad_matters=broad_matters)]


def test_good_instructions_of_all_five_kinds_are_left_alone() -> None:
    assert len(GOOD) == 41
    assert {prompt: codes(prompt) for prompt in GOOD if codes(prompt)} == snapshot(
        {
            "Change the style to a 1960s travel poster with flat colours": ["no_keep"],
            "Turn it into a watercolour with visible paper grain": ["no_keep"],
        }
    )
    assert {prompt: codes(prompt, broad_matters=False) for prompt in GOOD if codes(prompt, broad_matters=False)} == {}


@pytest.mark.parametrize(("code", "prompt"), [(code, prompt) for code in BAD for prompt in BAD[code]])
def test_what_is_known_to_fail_is_told(code: str, prompt: str) -> None:
    assert codes(prompt)[0] == code


@pytest.mark.parametrize(
    ("prompt", "keep", "against"),
    [
        ("Change the background to a beach", "the background and the light", True),
        ("Make the red car blue", "the car", True),
        ("Remove the dog", "Keep the dog.", True),
        ("Make the car red", "the car's shape and the sky", False),
        ("Change the man's shirt to green", "the man's face, the man", False),
        ("Make the sky behind the house pink", "the house", False),
        ("Add a dog", "the dog", False),
    ],
)
def test_keep_that_names_what_changes_is_told_and_a_part_of_it_is_not(prompt: str, keep: str, against: bool) -> None:
    assert ("contradiction" in codes(prompt, keep)) is against


@pytest.mark.parametrize(
    ("prompt", "keep", "broad_matters"),
    [
        ("Transform the woman into an astronaut", "", False),
        ("Transform the woman into an astronaut", "her face", True),
        ("Transform the woman into an astronaut while preserving her face", "", True),
        ("Change the background to a beach and leave the man as he is", "", True),
    ],
)
def test_a_missing_keep_is_told_only_where_it_matters_and_is_missing(
    prompt: str, keep: str, broad_matters: bool
) -> None:
    assert codes(prompt, keep, broad_matters=broad_matters) == []


def test_two_hints_at_most_the_weightiest_first() -> None:
    prompt = "Make it nicer, remove it, change it to something better without clouds and replace the text with Hello"
    assert codes(prompt) == ["unquoted_text", "negative"]
    assert [str(hint) for hint in hints(prompt, "", broad_matters=True)] == snapshot(
        [
            "Hint (unquoted_text): put words that stand in the picture in quotation marks: Replace 'old' with 'new'.",
            "Hint (negative): say what should be seen in place of what should not: 'an empty street', not 'no people'.",
        ]
    )


@given(st.text(max_size=200), st.text(max_size=60), st.booleans())
def test_whatever_is_written_gets_at_most_two_short_hints_and_the_same_each_time(
    prompt: str, keep: str, broad_matters: bool
) -> None:
    found = hints(prompt, keep, broad_matters=broad_matters)
    assert len(found) <= MOST and all(len(str(hint)) <= 160 for hint in found)
    assert found == hints(prompt, keep, broad_matters=broad_matters)


@pytest.mark.anyio
async def test_an_edit_is_told_its_hints_as_warnings_and_made_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(png())
    done = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
    edit = Edit(prompt="Transform the cat into a lion", image=str(tmp_path / "cat.png"))
    with anyio.fail_after(20):
        async with workshop(tmp_path / "data", Scripted(creates=[done], looks=[done])) as shop:
            quote = await shop.studio.edit_image(edit, Call(owner=OWNER, dry_run=True))
            first = await shop.studio.edit_image(edit, Call(owner=OWNER))
            assert isinstance(quote, Quote) and isinstance(first, View)
            made = await shop.until(first.job.id, SendState.COMPLETED)
            second = await shop.studio.edit_image(replace(edit, image=f"{made.id}/1"), Call(owner=OWNER))
            assert isinstance(second, View)
            generated = await shop.generate("Make it nicer")
    assert (len(quote.warnings), made.warnings, second.job.warnings) == (1, (), quote.warnings)
    assert quote.warnings == snapshot(
        ("Hint (no_keep): so broad a change redraws the rest too; name in keep what must stay: face, pose, framing.",)
    )
    assert generated.job.warnings == ()
