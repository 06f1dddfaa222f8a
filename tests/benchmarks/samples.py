"""Pictures to measure with: photographs in all that a codec sees, and files of a size in bytes.

Above: what works on pictures. Below: nothing of ours.
"""

from __future__ import annotations

import io
import os

from PIL import Image

from support.stdio_server import PHOTOS

MEGAPIXEL = (1248, 832)
"""A size that FLUX.1 Kontext gives."""


def photo(name: str = "coffee.png", *, size: tuple[int, int] = MEGAPIXEL, kind: str = "PNG") -> bytes:
    """Give a photograph at a size in pixels, with the grain of a camera, so that it packs no better than one does."""
    with Image.open(PHOTOS / name) as opened:
        enlarged = opened.convert("RGB").resize(size, Image.Resampling.BICUBIC)  # pyright: ignore[reportUnknownMemberType]  # as it is typed
    grain = Image.effect_noise(size, 12).convert("RGB")
    out = io.BytesIO()
    Image.blend(enlarged, grain, 0.15).save(out, kind, quality=90)
    return out.getvalue()


def heavy(size_bytes: int) -> bytes:
    """Give a PNG of about so many bytes, unlike every other: its pixels are noise, which nothing packs."""
    side = int((size_bytes / 3) ** 0.5)
    out = io.BytesIO()
    Image.frombytes("RGB", (side, side), os.urandom(3 * side * side)).save(out, "PNG", compress_level=0)
    return out.getvalue()
