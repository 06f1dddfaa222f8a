"""Pictures that must share one answer: quality goes first, then size."""

from __future__ import annotations

import io
from random import Random

from PIL import Image

from kontext_tools.fitting import QUALITIES, SMALLEST_PX, fit


def noise(px: int) -> Image.Image:
    return Image.frombytes("RGB", (px, px), Random(7).randbytes(3 * px * px))


def size_of(jpeg: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
        return image.size


def test_what_fits_is_shown_at_full_quality_and_never_larger_than_it_is() -> None:
    fitted = fit([Image.new("RGB", (64, 48), "teal"), Image.new("RGB", (1000, 500), "red")], 512, 480_000)
    assert (fitted.quality, fitted.longest_px) == (85, 512)
    assert [size_of(jpeg) for jpeg in fitted.jpegs] == [(64, 48), (512, 256)]


def test_quality_is_lowered_before_size_and_for_all_alike() -> None:
    pictures = [noise(256), noise(256)]
    whole = sum(map(len, fit(pictures, 256, 10**9).jpegs))
    softer = fit(pictures, 256, whole - 1)
    assert (softer.quality, softer.longest_px) == (QUALITIES[1], 256)
    smaller = fit(pictures, 256, whole // 6)
    assert smaller.longest_px < 256
    assert sum(map(len, smaller.jpegs)) <= whole // 6
    assert {size_of(jpeg) for jpeg in smaller.jpegs} == {(smaller.longest_px, smaller.longest_px)}


def test_where_nothing_fits_the_smallest_is_given() -> None:
    fitted = fit([noise(256)], 256, 1)
    assert (fitted.quality, fitted.longest_px) == (QUALITIES[-1], SMALLEST_PX)
