"""What the sandbox reads out of a prompt, and what it does to pixels."""

# Pillow's signatures name numpy, which is not installed.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageStat

from kontext_tools import images, prints
from kontext_tools.edits import ASPECT_RATIOS, MATCH_INPUT, RATIOS
from kontext_tools.errors import SourceUnreadable
from kontext_tools.providers.landscape import SIZES_PX
from kontext_tools.providers.painting import chosen_brushes, generated, painted, quoted_texts
from support.pictures import compared, encoded, photo

CAT = photo("chelsea.png")
CUP = photo("coffee.png")


def edit(data: bytes, prompt: str, *, ratio: str = MATCH_INPUT, seed: int = 7, output_format: str = "png") -> bytes:
    return painted(data, prompt, ratio, seed, output_format)


def means(data: bytes) -> list[float]:
    return ImageStat.Stat(prints.plain(data)).mean


@pytest.mark.parametrize(
    ("prompt", "names"),
    [
        ("Make it black and white", ["grey"]),
        ("turn this into a monochrome, vintage print", ["grey", "sepia"]),
        ("a sepia cartoon", ["sepia", "cartoon"]),
        ("a cartoon in sepia", ["cartoon", "sepia"]),
        ("Make it a watercolor painting", ["watercolour"]),
        ("warmer light at sunset", ["warm", "golden"]),
        ("a cold winter night", ["cool", "night"]),
        ("brighter, then darker", ["bright", "dark"]),
        ("flip it", ["mirror"]),
        ("flip it vertically", ["upside_down"]),
        ("mirror the picture", ["mirror"]),
        ("Make it warmer. Keep the black and white floor.", ["warm"]),
        ("make it a cartoon, without a darker sky", ["cartoon"]),
        ("write 'black and white' on it", []),
        ("add a repainted fence", []),
        ("make the car red", []),
    ],
)
def test_words_choose_brushes_in_their_order(prompt: str, names: list[str]) -> None:
    assert [brush.__name__ for brush in chosen_brushes(prompt)] == names


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [
        ("Replace 'OPEN' with 'CLOSED'", ["CLOSED"]),
        ("Change the text from 'a b' to 'c d'", ["c d"]),
        ("Change the sign to say \u201cOpen\u201d", ["Open"]),
        ('write "It\'s spring" below', ["It's spring"]),
        ("write 'it's spring' below", ["it's spring"]),
        ("add \u2018one\u2019 and \u00abtwo\u00bb", ["one", "two"]),
        ("Remove the text 'SALE'", []),
        ("write ' ' on it", []),
        ("don't change the dog's eyes", []),
        ('a shop called "Kontext"', ["Kontext"]),
    ],
)
def test_quoted_words_are_written_unless_they_are_to_go(prompt: str, texts: list[str]) -> None:
    assert quoted_texts(prompt) == texts


@pytest.mark.parametrize(
    "prompt",
    [
        "black and white",
        "sepia",
        "cartoon",
        "watercolour",
        "warmer",
        "cooler",
        "sunset",
        "night",
        "brighter",
        "darker",
        "mirror",
        "upside down",
        "write 'Hello'",
        "make the car red",
    ],
)
def test_every_edit_is_visible_and_keeps_the_size(prompt: str) -> None:
    result = edit(CAT, prompt)
    change = compared(CAT, result)
    assert change.where != "nowhere"
    assert change.percent > 2
    assert change.resized is None


def test_colours_and_tones_move_the_way_the_words_say() -> None:
    red, _, blue = means(CAT)
    assert means(edit(CAT, "warmer"))[0] > red
    assert means(edit(CAT, "warmer"))[2] < blue
    assert means(edit(CAT, "cooler"))[0] < red
    assert means(edit(CAT, "cooler"))[2] > blue
    assert sum(means(edit(CAT, "brighter"))) > sum(means(CAT)) + 30
    assert sum(means(edit(CAT, "darker"))) < sum(means(CAT)) - 30


def test_black_and_white_has_no_colour() -> None:
    picture = prints.plain(edit(CAT, "grayscale")).crop((0, 40, 451, 300))
    pixels = {picture.getpixel((x, y)) for x in range(0, 451, 9) for y in range(0, 260, 9)}
    assert all(isinstance(pixel, tuple) and len(set(pixel)) == 1 for pixel in pixels)


def test_text_is_drawn_at_the_bottom_centre() -> None:
    plain, written = edit(CUP, "brighter"), edit(CUP, "brighter, write 'Good morning'")
    assert compared(plain, written).where == "bottom"


def test_a_long_text_is_wrapped_and_stays_within_the_picture() -> None:
    plain, written = edit(CUP, "brighter"), edit(CUP, f"brighter, write '{'many words ' * 15}'")
    change = compared(plain, written)
    assert change.where in ("bottom", "bottom half")


@pytest.mark.parametrize("prompt", ["a watercolour", "make the car red", "cartoon with 'text'"])
def test_the_same_order_gives_the_same_bytes_and_another_seed_others(prompt: str) -> None:
    assert edit(CAT, prompt) == edit(CAT, prompt)
    assert generated(prompt, "1:1", 5, "png") == generated(prompt, "1:1", 5, "png")
    assert generated(prompt, "1:1", 5, "png") != generated(prompt, "1:1", 6, "png")


def test_another_seed_paints_another_watercolour() -> None:
    assert edit(CAT, "watercolour", seed=1) != edit(CAT, "watercolour", seed=2)


@pytest.mark.parametrize("ratio", RATIOS)
def test_the_ratio_is_cropped_from_the_centre(ratio: str) -> None:
    facts = images.read_facts(edit(CUP, "brighter", ratio=ratio))
    across, down = map(int, ratio.split(":"))
    assert facts.width / facts.height == pytest.approx(across / down, rel=0.02)
    assert facts.width == 600 or facts.height == 400


def test_a_crop_alone_adds_no_grade() -> None:
    cropped = prints.plain(edit(CUP, "crop it please", ratio="1:1"))
    assert cropped.getpixel((10, 200)) == prints.plain(CUP).getpixel((110, 200))


def test_no_side_is_longer_than_1568_pixels() -> None:
    facts = images.read_facts(edit(encoded(Image.new("RGB", (3000, 1500))), "warmer", output_format="jpg"))
    assert (facts.media_type, facts.width, facts.height) == ("image/jpeg", 1568, 784)


@pytest.mark.parametrize("ratio", ASPECT_RATIOS)
def test_a_generation_has_the_size_that_the_model_gives(ratio: str) -> None:
    facts = images.read_facts(generated("a quiet lake", ratio, 3, "jpg"))
    assert (facts.width, facts.height) == SIZES_PX["1:1" if ratio == MATCH_INPUT else ratio]


def test_colour_words_choose_the_colours_of_a_generation() -> None:
    for word, channel in (("red", 0), ("green", 1), ("blue", 2)):
        top = prints.plain(generated(f"a {word} sky", "1:1", 4, "png")).crop((0, 0, 700, 60))
        shares = ImageStat.Stat(top).mean
        assert max(range(3), key=lambda n: shares[n]) == channel


def test_night_is_dark() -> None:
    day, night = (sum(means(generated(prompt, "3:2", 4, "png"))) for prompt in ("a blue hill", "a blue hill at night"))
    assert night < day / 2


def test_only_quoted_words_are_rendered_in_a_generation() -> None:
    bare = generated("a poster", "1:1", 4, "png")
    quoted = generated('a poster "SALE"', "1:1", 4, "png")
    assert bare != quoted


def test_every_output_bears_the_mark_in_a_corner() -> None:
    for data in (edit(CUP, "brighter"), generated("hills", "3:2", 1, "png")):
        picture = prints.plain(data)
        corner = picture.crop((int(picture.width * 0.85), 0, picture.width, int(picture.height * 0.08)))
        colours = {colour for _, colour in corner.getcolors(1 << 20) or []}
        assert (34, 32, 40) in colours


def test_nothing_is_written_beside_the_pixels() -> None:
    tagged = encoded(prints.plain(CAT), icc_profile=None, exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00")
    for output_format in ("png", "jpg"):
        result = edit(tagged, "warmer", output_format=output_format)
        assert images.cleaned(result, keep_metadata=False)[0] == result


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_mode_of_source_is_painted(mode: str) -> None:
    source = Image.new("I;16", (60, 40), 40_000) if mode == "I;16" else prints.plain(CAT).resize((60, 40)).convert(mode)
    facts = images.read_facts(edit(encoded(source, "JPEG" if mode == "CMYK" else "PNG"), "watercolour"))
    assert (facts.width, facts.height) == (60, 40)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 9), (8, 8), (40, 20), (90, 30), (1, 500), (500, 1)])
@pytest.mark.parametrize("ratio", [MATCH_INPUT, "21:9", "9:21"])
def test_tiny_and_thin_pictures_are_painted_too(size: tuple[int, int], ratio: str) -> None:
    source = encoded(Image.new("RGB", size, (200, 30, 30)))
    everything = "watercolour cartoon sepia golden night mirror flip vertically, upside down 'Hello there world'"
    for prompt in (everything, "make it nice"):
        facts = images.read_facts(edit(source, prompt, ratio=ratio))
        assert facts.width <= size[0] and facts.height <= size[1]


def test_a_source_that_is_no_picture_is_refused() -> None:
    with pytest.raises(SourceUnreadable):
        edit(b"no picture", "warmer")


@given(st.text(max_size=300))
def test_any_prompt_is_read(prompt: str) -> None:
    quoted_texts(prompt)
    chosen_brushes(prompt)


@pytest.mark.parametrize("text", ["\u7d05\u3044\u8eca", "\U0001f600", "\u202egnirps", "a" * 200])
def test_any_text_is_drawn(text: str) -> None:
    assert edit(CAT, f'write "{text}"') != edit(CAT, "brighter")


def test_the_sandbox_loads_its_painter_and_pillow_only_when_it_paints() -> None:
    code = "import sys, kontext_tools.providers.sandbox; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": "tools"}, check=False).returncode == 0
