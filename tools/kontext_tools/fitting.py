"""Several pictures as JPEGs that together stay under a number of bytes.

What this is: quality first, then size, lowered for all alike until they fit. Synchronous: callers run it in a worker
thread. Above: gallery. Below: pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kontext_tools.formats import JPEG

if TYPE_CHECKING:
    from PIL import Image

QUALITIES = (85, 70, 55, 40)
SMALLEST_PX = 64
"""Noise itself, at the lowest quality, takes under 4 KB at this size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """Pictures as JPEGs.

    Attributes:
        jpegs: in the order given.
        quality: of all.
        longest_px: longest side at most.
    """

    jpegs: tuple[bytes, ...]
    quality: int
    longest_px: int


def fit(pictures: Sequence[Image.Image], longest_px: int, most_bytes: int) -> Fitted:
    """Encode RGB pictures, at quality 85 where they fit.

    Args:
        pictures: as `prints.plain` gave them.
        longest_px: their longest side at most; the size that is lowered.
        most_bytes: of all together.
    """
    from kontext_tools import pixels

    while True:
        small = [pixels.fitted(picture, longest_px, longest_px) for picture in pictures]
        for quality in QUALITIES:
            jpegs = tuple(pixels.encoded(picture, JPEG, quality=quality, optimize=True) for picture in small)
            fits = sum(map(len, jpegs)) <= most_bytes
            if fits or (longest_px <= SMALLEST_PX and quality == QUALITIES[-1]):
                return Fitted(jpegs=jpegs, quality=quality, longest_px=longest_px)
        longest_px = max(SMALLEST_PX, longest_px * 3 // 4)
