"""Prints: the small copies of pictures that people and models look at, and that changes are measured on.

What this is: a picture as the eye has it, upright, in sRGB, on white, no larger than asked. All of it is synchronous:
callers run it in a worker thread. What it is not: what goes out or is kept (`images`), nor where copies are held
(`shelf`). Above: delivered, changes, shelf, gallery, providers.painting. Below: images, pixels, formats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kontext_tools.formats import JPEG, WEBP
from kontext_tools.images import opened

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Print:
    """A copy for the eye, and how large its picture is.

    Attributes:
        image: RGB.
        width: of the picture itself as it is seen, pixels.
        height: likewise.
    """

    image: Image.Image
    width: int
    height: int


def printed(image: Image.Image, orientation: int, longest_px: int | None = None) -> Print:
    """Make a print of an opened picture, decoded or not; of one decode as many as are wanted can be made.

    Args:
        image: as `pixels.opened` gave it, first frame.
        orientation: from its EXIF.
        longest_px: its longest side at most; `None` leaves it as it is. It is never enlarged.
    """
    from kontext_tools import pixels

    width, height = image.size
    copy = pixels.rgb(image, orientation, longest_px)
    if orientation >= 5:
        width, height = height, width
    return Print(image=copy, width=width, height=height)


def print_of(data: bytes, longest_px: int | None = None) -> Print:
    """Decode a picture and make a print of it.

    Raises:
        SourceUnreadable, SourceTooLarge: as `images.cleaned`.
    """
    with opened(data) as (image, orientation):
        return printed(image, orientation, longest_px)


def plain(data: bytes, longest_px: int | None = None) -> Image.Image:
    """Decode a picture for those who work on pixels; otherwise as `print_of`."""
    return print_of(data, longest_px).image


def preview(data: bytes, longest_px: int) -> bytes:
    """Make a JPEG (quality 85) without metadata; otherwise as `print_of`."""
    return jpeg(plain(data, longest_px))


def thumbnail(data: bytes, longest_px: int = 256) -> bytes:
    """Make a small WebP (quality 80), otherwise as `preview`."""
    from kontext_tools import pixels

    return pixels.encoded(plain(data, longest_px), WEBP, quality=80, method=2)


def contact_sheet(pictures: Sequence[bytes], longest_px: int) -> bytes:
    """Put pictures on one white JPEG sheet (quality 85): two side by side, more in a grid as wide as high.

    Args:
        pictures: two or more, in the order of their numbers (a plan has up to 20).
        longest_px: the sheet's longest side at most.

    Raises:
        SourceUnreadable, SourceTooLarge: as `images.cleaned`.
    """
    from kontext_tools import pixels

    return jpeg(pixels.sheet([plain(data, longest_px) for data in pictures], longest_px))


def jpeg(image: Image.Image) -> bytes:
    """Encode a print (quality 85)."""
    from kontext_tools import pixels

    return pixels.encoded(image, JPEG, quality=85, optimize=True)
