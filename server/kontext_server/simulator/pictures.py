"""Pictures: what the simulator hands back, painted from the prompt, the seed and the picture that was sent.

What this is: sizes as FLUX.1 Kontext gives them, a check that sent bytes are a picture, and a painter that
gives the same bytes for the same recipe. What it is not: an edit. A picture made from another shows it,
tinted and framed, so that eyes and tests can tell that it was used. Above: the wires, `state`. Below: Pillow.
"""

from __future__ import annotations

import functools
import hashlib
import io
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageDraw, ImageFont, ImageOps

SIZES = {
    "1:1": (1024, 1024),
    "16:9": (1392, 752),
    "9:16": (752, 1392),
    "4:3": (1184, 880),
    "3:4": (880, 1184),
    "3:2": (1248, 832),
    "2:3": (832, 1248),
    "4:5": (944, 1104),
    "5:4": (1104, 944),
    "21:9": (1568, 672),
    "9:21": (672, 1568),
    "2:1": (1456, 720),
    "1:2": (720, 1456),
}
"""Width and height in pixels for each aspect ratio: about one megapixel, sides multiples of 16."""

_TALL = (
    (672, 1568),
    (688, 1504),
    (720, 1456),
    (752, 1392),
    (800, 1328),
    (832, 1248),
    (880, 1184),
    (944, 1104),
)
PREFERRED = (*_TALL, (1024, 1024), *((tall, wide) for wide, tall in reversed(_TALL)))
"""The 17 sizes that the model was trained on, width and height in pixels, narrowest first."""

FORMATS = ("JPEG", "PNG", "GIF", "WEBP")
MAX_PIXELS = 50_000_000

Colour = tuple[int, int, int]


class NotAPictureError(ValueError):
    """Bytes that are no JPEG, PNG, GIF or WebP picture of a sane size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that a painted picture depends on.

    Attributes:
        prompt: as sent.
        seed: as sent, or any other text that tells two jobs apart.
        size: width and height in pixels.
        source: the bytes of the picture to edit; empty for none.
        format: of the file made.
    """

    prompt: str
    seed: str
    size: tuple[int, int]
    source: bytes
    format: Literal["png", "jpg", "webp"]

    @property
    def media_type(self) -> str:
        """As an HTTP header says it."""
        return "image/jpeg" if self.format == "jpg" else f"image/{self.format}"


def measure(content: bytes) -> tuple[int, int]:
    """Width and height of a sent picture, as viewers show it, in pixels; NotAPictureError if undecodable."""
    return _decode(content).size


def size_for(aspect_ratio: str, source: tuple[int, int] | None) -> tuple[int, int]:
    """Width and height of the output, in pixels: the ratio's, else of PREFERRED the nearest to the source."""
    if aspect_ratio in SIZES:
        return SIZES[aspect_ratio]
    if source is None:
        return SIZES["1:1"]
    ratio = source[0] / source[1]
    return min(PREFERRED, key=lambda size: abs(size[0] / size[1] - ratio))


@functools.lru_cache(maxsize=32)
def paint(recipe: Recipe) -> bytes:
    """The picture's file, the same bytes for the same recipe; takes some ten milliseconds of a processor."""
    dice = hashlib.sha256(f"{recipe.seed}\n{recipe.prompt}".encode("utf-8", "surrogatepass")).digest()
    if recipe.source:
        picture = ImageOps.fit(_decode(recipe.source), recipe.size, Image.Resampling.BILINEAR)
        picture = Image.blend(picture, Image.new("RGB", recipe.size, _colour(dice, 0)), 0.25)
    else:
        picture = _imagined(dice, recipe.size)
    draw = ImageDraw.Draw(picture)
    width, height = recipe.size
    frame = min(recipe.size) // 40
    draw.rectangle((0, 0, width - 1, height - 1), outline=_colour(dice, 3), width=frame)
    # The small built-in font is the same on every machine; it has no letters beyond ASCII.
    caption = recipe.prompt.encode("ascii", "replace").decode()[:120]
    draw.text((2 * frame, height - 3 * frame), caption, fill="white", font=ImageFont.load_default_imagefont())
    file = io.BytesIO()
    if recipe.format == "png":
        picture.save(file, "PNG", compress_level=1)
    else:
        picture.save(file, {"jpg": "JPEG", "webp": "WEBP"}[recipe.format], quality=90)
    return file.getvalue()


def _imagined(dice: bytes, size: tuple[int, int]) -> Image.Image:
    """A sky, a ground and a few round things: something to look at where nothing was sent."""
    shade = ImageOps.fit(Image.linear_gradient("L"), size)
    picture = ImageOps.colorize(shade, black=_colour(dice, 6), white=_colour(dice, 9))
    draw = ImageDraw.Draw(picture)
    width, height = size
    for throw in range(12, 30, 3):
        x, y, r = dice[throw] * width // 255, dice[throw + 1] * height // 255, 20 + dice[throw + 2] // 2
        draw.ellipse((x - r, y - r, x + r, y + r), fill=_colour(dice, throw - 11))
    return picture


def _colour(dice: bytes, at: int) -> Colour:
    return dice[at], dice[at + 1], dice[at + 2]


def _decode(content: bytes) -> Image.Image:
    """The picture in RGB, turned upright, its first frame, on white where it was see-through."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise NotAPictureError(f"the picture has more than {MAX_PIXELS} pixels")
            upright = ImageOps.exif_transpose(opened).convert("RGBA")
    except NotAPictureError:
        raise
    except (
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise NotAPictureError("the bytes are no jpeg, png, gif or webp picture") from error
    ground = Image.new("RGBA", upright.size, "white")
    ground.alpha_composite(upright)
    return ground.convert("RGB")
