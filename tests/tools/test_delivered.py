"""What was delivered: proven, and copied for the eye by one decode."""

# Pillow's signatures name numpy, which is not installed.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from kontext_tools import images, pixels, prints
from kontext_tools.changes import compare, copy_of
from kontext_tools.delivered import Delivered, proven
from kontext_tools.errors import ResultInvalid
from support.pictures import encoded, huge_png, photo, red, rgb_photo, turned

CLEAR = Image.new("RGBA", (300, 200), (0, 90, 0, 60))
SIXTEEN_BITS = Image.new("I;16", (300, 200), 40_000)
DELIVERED = {
    "png": photo("coffee.png"),
    "jpeg": encoded(rgb_photo("coffee.png"), "JPEG"),
    "jpeg in Adobe RGB": photo("rocket.jpg"),
    "jpeg on its side": turned(rgb_photo("coffee.png"), 6),
    "png on its side": turned(rgb_photo("coffee.png"), 8, "PNG"),
    "webp on its head": turned(rgb_photo("coffee.png"), 3, "WEBP"),
    "webp": encoded(rgb_photo("chelsea.png"), "WEBP"),
    "gif": encoded(rgb_photo("chelsea.png"), "GIF"),
    "transparent": encoded(CLEAR),
    "16 bits": encoded(SIXTEEN_BITS),
    "smaller than a copy": encoded(red(20, 10)),
}


def given(folder: Path, data: bytes) -> Path:
    path = folder / "result"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("data", DELIVERED.values(), ids=DELIVERED)
def test_what_is_made_of_one_decode_is_what_the_kept_bytes_give(data: bytes, tmp_path: Path) -> None:
    came = proven(given(tmp_path, data), copy_px=256, preview_px=384)
    assert came.facts == images.read_facts(data)
    assert came.preview == prints.preview(data, 384)
    copy = prints.print_of(data, 256)
    assert came.copy is not None
    assert (came.copy.width, came.copy.height) == (copy.width, copy.height)
    assert came.copy.image.tobytes() == copy.image.tobytes()


@pytest.mark.parametrize("size", [(1024, 1024), (1600, 1600), (2400, 1600), (4000, 3000)])
def test_a_copy_of_a_large_jpeg_differs_from_the_kept_bytes_by_what_no_report_sees(
    size: tuple[int, int], tmp_path: Path
) -> None:
    # Of the kept bytes a copy is decoded at a fraction of the size; here all pixels are at hand.
    data = encoded(rgb_photo("coffee.png").resize(size), "JPEG", quality=90)
    copy = proven(given(tmp_path, data), copy_px=256, preview_px=0).copy
    assert copy is not None
    change = compare(copy_of(data), copy)
    assert (change.percent, change.where) == (0.0, "nowhere")
    assert change.sharpness == pytest.approx(1.0, abs=0.011)


def test_the_pixels_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = list[str]()
    load = PngImageFile.load_prepare

    def counted(image: PngImageFile) -> None:
        decoded.append(image.mode)
        load(image)

    monkeypatch.setattr(PngImageFile, "load_prepare", counted)
    proven(given(tmp_path, photo("coffee.png")), copy_px=256, preview_px=384)
    assert decoded == ["RGB"]


def test_a_preview_that_nobody_wants_is_not_made(tmp_path: Path) -> None:
    assert proven(given(tmp_path, photo("coffee.png")), copy_px=256, preview_px=0).preview is None


def test_a_sound_picture_is_kept_whatever_becomes_of_its_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(pixels, "rgb", breaks)
    came = proven(given(tmp_path, photo("coffee.png")), copy_px=256, preview_px=384)
    assert came == Delivered(facts=images.read_facts(photo("coffee.png")), copy=None, preview=None)


@pytest.mark.parametrize(
    "data",
    [
        b"<html>gone</html>",
        photo("coffee.png")[:-4000],
        photo("rocket.jpg")[:-4000],
        huge_png(8_000),
        photo("rocket.jpg") + bytes(images.MAX_OUTPUT_BYTES),
    ],
    ids=["html", "truncated png", "truncated jpeg", "64 megapixels", "64 MB"],
)
def test_a_delivered_file_that_is_no_sound_picture_is_told_as_charged(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(ResultInvalid) as caught:
        proven(given(tmp_path, data), copy_px=256, preview_px=384)
    assert caught.value.failure.billed == "yes"
    assert caught.value.failure.fix
