from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kontext_server.simulator import pictures
from kontext_server.simulator.pictures import (
    PREFERRED,
    SIZES,
    NotAPictureError,
    Recipe,
    measure,
    paint,
    size_for,
)


def _file(size: tuple[int, int], kind: str = "PNG", mode: str = "RGB", colour: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, colour).save(file, kind)
    return file.getvalue()


def _recipe(prompt: str = "a fox", seed: str = "7", source: bytes = b"") -> Recipe:
    return Recipe(prompt=prompt, seed=seed, size=(1024, 1024), source=source, format="png")


@pytest.mark.parametrize("ratio", SIZES)
def test_a_size_is_within_eight_percent_of_its_ratio(ratio: str) -> None:
    across, down = map(int, ratio.split(":"))
    width, height = size_for(ratio, None)
    assert abs(width / height / (across / down) - 1) < 0.08
    assert width % 16 == height % 16 == 0


def test_the_model_knows_seventeen_sizes() -> None:
    assert len(set(PREFERRED)) == 17
    assert set(SIZES.values()) <= set(PREFERRED)


@pytest.mark.parametrize(
    ("source", "size"),
    [
        ((4000, 3000), (1184, 880)),
        ((10, 1000), (672, 1568)),
        ((500, 500), (1024, 1024)),
        (None, (1024, 1024)),
    ],
)
def test_matching_the_input_takes_the_nearest_size(source: tuple[int, int] | None, size: tuple[int, int]) -> None:
    assert size_for("match_input_image", source) == size


def test_the_same_recipe_gives_the_same_bytes() -> None:
    first = paint(_recipe())
    paint.cache_clear()
    assert paint(_recipe()) == first


@pytest.mark.parametrize("other", [_recipe(prompt="a hen"), _recipe(seed="8"), _recipe(source=_file((64, 64)))])
def test_another_recipe_gives_another_picture(other: Recipe) -> None:
    assert paint(other) != paint(_recipe())


def test_an_edit_shows_the_picture_that_was_sent() -> None:
    dark, light = _file((64, 64), colour="black"), _file((64, 64), colour="white")
    middles = [
        Image.open(io.BytesIO(paint(_recipe(source=source)))).convert("L").getpixel((512, 512))
        for source in (dark, light)
    ]
    assert middles[0] != middles[1]
    assert abs(int(str(middles[1])) - int(str(middles[0]))) > 150


def test_an_edit_is_framed() -> None:
    picture = Image.open(io.BytesIO(paint(_recipe(source=_file((64, 64))))))
    assert picture.getpixel((2, 2)) != picture.getpixel((512, 512))


def test_a_jpg_is_asked_for_and_made() -> None:
    recipe = Recipe(prompt="x", seed="1", size=(1392, 752), source=b"", format="jpg")
    picture = Image.open(io.BytesIO(paint(recipe)))
    assert (picture.format, picture.size, recipe.media_type) == ("JPEG", (1392, 752), "image/jpeg")


@given(prompt=st.text(st.characters()))
def test_no_prompt_stops_the_painter(prompt: str) -> None:
    small = Recipe(prompt=prompt, seed="", size=(64, 64), source=b"", format="png")
    assert paint(small).startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_the_four_formats_are_measured(kind: str) -> None:
    assert measure(_file((30, 20), kind)) == (30, 20)


def test_a_turned_photograph_is_measured_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.new("RGB", (30, 20)).save(file, "JPEG", exif=exif)
    assert measure(file.getvalue()) == (20, 30)


@pytest.mark.parametrize("content", [b"", b"<html>", _file((9, 9), "BMP"), _file((90, 90))[:-40]])
def test_what_is_no_picture_is_told(content: bytes) -> None:
    with pytest.raises(NotAPictureError, match="no jpeg, png, gif or webp"):
        measure(content)


def test_a_picture_with_too_many_pixels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 99)
    with pytest.raises(NotAPictureError, match="more than 99 pixels"):
        measure(_file((10, 10)))
