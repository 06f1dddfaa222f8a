"""The icon: one painted landscape, by night and by day, with a slider between. `icon.py FILE` writes it.

What this is: a picture made of the sandbox's own brushes, so that none is drawn or kept by hand. Above: bundle. Below:
Pillow, kontext_tools' painter.
"""

# Pillow's signatures name numpy, which is not installed.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io
import sys
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw

from kontext_tools.providers import brushes
from kontext_tools.providers.landscape import landscape

SIZE_PX = 512
_SEED = 7
# What follows is of the canvas, which is twice as large, so that edges come out smooth.
_CANVAS_PX = 2 * SIZE_PX
_CORNER_PX = 224
_LINE_PX, _KNOB_PX, _ARROW_PX = 20, 116, 40
_WHITE, _INK = (255, 255, 255), (52, 40, 84)


def png() -> bytes:
    """Give the icon as a PNG, its corners transparent."""
    day = landscape("a mountain lake in a warm sunset", "1:1", Random(_SEED))  # noqa: S311  # the same each time
    day = day.resize((_CANVAS_PX, _CANVAS_PX))
    night = brushes.night(day, Random(_SEED))  # noqa: S311  # the same
    middle = _CANVAS_PX // 2
    day.paste(night.crop((0, 0, middle, _CANVAS_PX)), (0, 0))
    _slider(ImageDraw.Draw(day), middle)
    shape = Image.new("L", day.size, 0)
    ImageDraw.Draw(shape).rounded_rectangle((0, 0, *day.size), _CORNER_PX, fill=255)
    day.putalpha(shape)
    out = io.BytesIO()
    day.resize((SIZE_PX, SIZE_PX)).save(out, "PNG")
    return out.getvalue()


def _slider(draw: ImageDraw.ImageDraw, middle: int) -> None:
    draw.rectangle((middle - _LINE_PX // 2, 0, middle + _LINE_PX // 2, _CANVAS_PX), fill=_WHITE)
    draw.circle((middle, middle), _KNOB_PX, fill=_WHITE)
    for way in (-1, 1):
        near, far = middle + way * (_KNOB_PX // 4), middle + way * (_KNOB_PX // 4 + _ARROW_PX)
        draw.polygon([(near, middle - _ARROW_PX), (near, middle + _ARROW_PX), (far, middle)], fill=_INK)


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(png())
