"""The small copies: upright, in sRGB, on white, never enlarged."""

# Pillow's signatures name numpy, which is not installed.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import io

import pytest
from inline_snapshot import snapshot
from PIL import Image

from kontext_tools import images, prints
from support.pictures import encoded, photo, red, turned


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "rocket.jpg", "grace_hopper.jpg"])
def test_a_preview_is_a_small_upright_jpeg_without_metadata(name: str) -> None:
    facts = images.read_facts(prints.preview(photo(name), 256))
    assert (facts.media_type, max(facts.width, facts.height)) == ("image/jpeg", 256)
    assert b"Exif" not in prints.preview(photo(name), 256)


def test_a_preview_is_never_enlarged() -> None:
    facts = images.read_facts(prints.preview(photo("chelsea.png"), 2_000))
    assert (facts.width, facts.height) == (451, 300)


def test_a_preview_of_a_picture_on_its_side_is_upright() -> None:
    lying = turned(red(400, 200), 6)
    facts = images.read_facts(prints.preview(lying, 100))
    assert (facts.width, facts.height) == (50, 100)
    whole = prints.print_of(lying, 100)
    assert (whole.width, whole.height, whole.image.size) == (200, 400, (50, 100))


def test_what_is_transparent_shows_white() -> None:
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    assert prints.plain(encoded(clear, "PNG")).getpixel((5, 5)) == (255, 255, 255)
    assert prints.plain(encoded(clear, "GIF")).getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK"])
def test_every_mode_becomes_plain_rgb_of_the_same_tone(mode: str) -> None:
    picture = Image.new("RGB", (30, 20), (255, 255, 255)).convert(mode)
    form = "JPEG" if mode == "CMYK" else "TIFF" if mode == "PA" else "PNG"
    if form == "TIFF":
        picture, form = picture.convert("P"), "PNG"
    result = prints.plain(encoded(picture, form), 10)
    assert (result.mode, result.size) == ("RGB", (10, 7))
    assert result.getpixel((5, 3)) == (255, 255, 255)


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    picture = Image.new("I;16", (64, 1))
    picture.putdata([level * 1_040 for level in range(64)])
    row = prints.plain(encoded(picture, "PNG"))
    assert [row.getpixel((x, 0)) for x in (0, 32, 63)] == snapshot([(0, 0, 0), (130, 130, 130), (255, 255, 255)])


def test_colours_are_those_that_the_profile_means() -> None:
    seen = prints.plain(photo("rocket.jpg"))  # Adobe RGB
    with Image.open(io.BytesIO(photo("rocket.jpg"))) as raw:
        assert seen.getpixel((300, 100)) != raw.getpixel((300, 100))


def test_a_broken_profile_costs_its_colours_and_not_the_picture() -> None:
    data = encoded(red(20, 20), "PNG", icc_profile=b"no profile at all")
    assert prints.plain(data).getpixel((3, 3)) == (200, 30, 30)


def test_a_thumbnail_is_a_webp_of_256_pixels() -> None:
    facts = images.read_facts(prints.thumbnail(photo("grace_hopper.jpg")))
    assert (facts.media_type, facts.width, facts.height) == ("image/webp", 218, 256)


@pytest.mark.parametrize(("count", "size"), [(2, (512, 168)), (3, (512, 344)), (4, (512, 344))])
def test_a_contact_sheet_holds_two_to_four_pictures(count: int, size: tuple[int, int]) -> None:
    sheet = prints.contact_sheet([photo("coffee.png")] * count, 512)
    facts = images.read_facts(sheet)
    assert (facts.media_type, facts.width, facts.height) == ("image/jpeg", *size)


def test_a_contact_sheet_keeps_each_ratio_on_white() -> None:
    wide, tall = encoded(red(400, 100), "PNG"), encoded(red(100, 400), "PNG")
    sheet = prints.plain(prints.contact_sheet([wide, tall], 400))
    assert max(sheet.size) <= 400
    corner = sheet.getpixel((0, 0))
    assert isinstance(corner, tuple) and min(corner) > 250
