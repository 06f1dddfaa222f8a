"""What the change report says of edits that are known."""

# Pillow's signatures name numpy, which is not installed.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont, ImageOps

from kontext_tools.changes import Change, warnings
from support.pictures import compared, encoded
from support.pictures import rgb_photo as photo

NAMES = ("chelsea.png", "coffee.png", "grace_hopper.jpg")


def with_box(picture: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    painted = picture.copy()
    width, height = picture.size
    box = (left * width, top * height, right * width, bottom * height)
    ImageDraw.Draw(painted).rectangle(box, fill=(255, 0, 200))
    return painted


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("quality", [50, 75, 85, 95])
def test_saving_as_jpeg_again_changes_nothing(name: str, quality: int) -> None:
    picture = photo(name)
    change = compared(encoded(picture), encoded(picture, "JPEG", quality=quality))
    assert (change.percent, change.where) == (0.0, "nowhere")
    assert "No visible change" in warnings(change)[0]


@pytest.mark.parametrize(
    ("box", "where"),
    [
        ((0.05, 0.05, 0.35, 0.35), "top left"),
        ((0.4, 0.02, 0.6, 0.25), "top"),
        ((0.7, 0.05, 0.95, 0.3), "top right"),
        ((0.05, 0.4, 0.3, 0.6), "left"),
        ((0.35, 0.35, 0.65, 0.65), "centre"),
        ((0.75, 0.4, 0.95, 0.6), "right"),
        ((0.05, 0.7, 0.3, 0.95), "bottom left"),
        ((0.3, 0.8, 0.7, 0.95), "bottom"),
        ((0.7, 0.7, 0.95, 0.95), "bottom right"),
        ((0.0, 0.0, 0.5, 1.0), "left half"),
        ((0.5, 0.0, 1.0, 1.0), "right half"),
        ((0.0, 0.0, 1.0, 0.5), "top half"),
        ((0.0, 0.5, 1.0, 1.0), "bottom half"),
        ((0.0, 0.9, 1.0, 1.0), "bottom"),
        ((0.4, 0.0, 0.6, 1.0), "centre"),
        ((0.05, 0.05, 0.95, 0.95), "everywhere"),
    ],
)
def test_where_the_change_lies_is_told_in_words(box: tuple[float, float, float, float], where: str) -> None:
    picture = photo("coffee.png")
    change = compared(encoded(picture), encoded(with_box(picture, *box)))
    true_percent = 100 * (box[2] - box[0]) * (box[3] - box[1])
    assert change.where == where
    assert change.percent == pytest.approx(true_percent, abs=3)


def test_a_few_small_letters_are_found() -> None:
    picture = photo("grace_hopper.jpg")
    edited = picture.copy()
    ImageDraw.Draw(edited).text((230, 300), "HI", fill="white", font=ImageFont.load_default(14))
    assert compared(encoded(picture), encoded(edited)).to_dict() == snapshot(
        {"percent": 0.1, "where": "centre", "sharpness": 1.0}
    )


def test_an_inverted_picture_has_changed_everywhere() -> None:
    picture = photo("chelsea.png")
    assert compared(encoded(picture), encoded(ImageOps.invert(picture))).to_dict() == snapshot(
        {"percent": 100.0, "where": "everywhere", "sharpness": 1.0}
    )


def test_a_shift_by_six_pixels_is_told_and_is_no_verdict() -> None:
    picture = photo("coffee.png")
    change = compared(encoded(picture), encoded(ImageChops.offset(picture, 6, 0)))
    assert (change.where, change.percent > 15, warnings(change)) == ("everywhere", True, ())


def test_a_blur_lowers_the_sharpness_and_is_warned_of() -> None:
    picture = photo("coffee.png")
    change = compared(encoded(picture), encoded(picture.filter(ImageFilter.GaussianBlur(3))))
    assert change.sharpness < 0.5
    assert " ".join(warnings(change)) == snapshot(
        "The result is softer than its input (sharpness 0.23, 1 is equal); unless that was asked for, go back "
        "to an earlier reference and put the edits into one prompt."
    )


def test_a_size_that_differs_is_told_and_does_not_count_as_a_change() -> None:
    picture = photo("chelsea.png")
    change = compared(encoded(picture), encoded(picture.resize((1248, 832), Image.Resampling.LANCZOS)))
    assert change.to_dict() == snapshot(
        {"percent": 0.0, "where": "nowhere", "sharpness": 0.98, "resized": "451x300 -> 1248x832"}
    )


def test_another_ratio_is_compared_at_the_size_of_the_source() -> None:
    picture = photo("chelsea.png")
    change = compared(encoded(picture), encoded(picture.crop((75, 0, 375, 300))))
    assert (change.where, change.resized) == ("everywhere", "451x300 -> 300x300")


def test_a_source_on_its_side_is_compared_upright() -> None:
    picture, exif = photo("chelsea.png"), Image.Exif()
    exif[0x0112] = 6
    side = encoded(picture.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=95)
    assert compared(side, encoded(picture)).resized is None


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 1), (1, 400)])
def test_flat_and_tiny_pictures_have_a_sharpness_of_one(size: tuple[int, int]) -> None:
    black, white = (encoded(Image.new("RGB", size, colour)) for colour in ("black", "white"))
    assert compared(black, white) == Change(percent=100.0, where="everywhere", sharpness=1.0)
    assert compared(black, black) == Change(percent=0.0, where="nowhere", sharpness=1.0)


def test_the_public_form_is_rounded() -> None:
    change = Change(percent=12.3456, where="top", sharpness=0.98765, resized="1x1 -> 2x2")
    assert change.to_dict() == snapshot({"percent": 12.3, "where": "top", "sharpness": 0.99, "resized": "1x1 -> 2x2"})


@given(st.floats(0, 100), st.floats(0, 9), st.none() | st.just("1x1 -> 2x2"))
def test_the_stored_form_reads_back(percent: float, sharpness: float, resized: str | None) -> None:
    change = Change(percent=round(percent, 1), where="top", sharpness=round(sharpness, 2), resized=resized)
    assert Change.from_dict(change.to_dict()) == change
