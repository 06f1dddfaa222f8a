"""The sandbox's painter: reads a few words out of a prompt and applies them to real pixels.

What this is: prompt, picture and seed in, encoded picture out; the same bytes for the same three. Effects
follow each other in the order of their words. What it is not: understanding. A prompt without a known word
gets a gentle grade, and nothing is drawn that was not quoted. Every output bears a small mark. It takes up to
a second of a worker thread. Importing it loads Pillow. Above: sandbox. Below: brushes, landscape, prints,
pixels.
"""

# Pillow's signatures name numpy, which is not installed.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import re
from functools import lru_cache
from random import Random

from PIL import Image, ImageDraw, ImageFont

from kontext_tools.edits import MATCH_INPUT
from kontext_tools.formats import JPEG, PNG
from kontext_tools.pixels import encoded
from kontext_tools.prints import plain
from kontext_tools.providers import brushes
from kontext_tools.providers.brushes import Brush
from kontext_tools.providers.landscape import landscape

MAX_SIDE_PX = 1568
MARK = "sandbox"
_MARK_GROUND, _MARK_INK = (34, 32, 40), (240, 238, 232)
_SMALLEST_FONT_PX = 8

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

# What is to stay, or is not wanted, names no effect: "keep the black and white floor".
_UNTOUCHED = re.compile(r"\b(?:keep|keeping|preserv\w*|retain\w*|maintain\w*|without|don't|do not|not|no)\b[^.,;!?\n]*")
_QUOTED = re.compile(
    r"(?<!\w)(?:"
    r'"([^"\n]{1,200})"'
    r"|'((?:[^'\n]|\b'\b){1,200})'(?!\w)"
    r"|\u201c([^\u201d\n]{1,200})\u201d"
    r"|\u2018((?:[^\u2019\n]|\b\u2019\b){1,200})\u2019(?!\w)"
    r"|\u00ab([^\u00bb\n]{1,200})\u00bb)"
)
"""Words in straight, curly or angle quotes; an apostrophe within a word is none."""
_GOING = frozenset({"remove", "delete", "erase", "replace", "change", "instead of", "from"})
_LAST_VERB = re.compile(
    r"(?s:.*)\b(remove|delete|erase|replace|change|instead of|from|with|to|by|into|write|add|says?)\b"
    r"[^\"'\u201c\u2018\u00ab.;]*$"
)

_EFFECTS: tuple[tuple[str, Brush], ...] = (
    (
        r"black[\s-]+and[\s-]+white|black ?& ?white|b&w|gr[ae]y[\s-]?scale|monochrome|desaturat\w*",
        brushes.grey,
    ),
    (r"sepia|vintage|antique|old photo\w*", brushes.sepia),
    (r"cartoon\w*|comic\w*|anime|manga|cel[\s-]shad\w*", brushes.cartoon),
    (r"water[\s-]?colou?r\w*|paint(?:ing|ed|erly)|aquarelle|impressionis\w*", brushes.watercolour),
    (r"golden|sunsets?|sunrise|dusk|dawn|autumn\w*", brushes.golden),
    (r"warm\w*", brushes.warm),
    (r"night\w*|midnight|moonlit|moonlight", brushes.night),
    (r"cool(?:er)?|cold\w*|winter\w*|snow\w*|ic[ey]|frost\w*", brushes.cool),
    (r"bright\w*|lighter|lighten\w*|sunny", brushes.bright),
    (r"dark(?:er|en\w*)?|dimm?(?:er|ed)?|gloomy", brushes.dark),
    (r"upside[\s-]down|flip\w*[^.,;]{0,20}\bvertical\w*", brushes.upside_down),
    (r"mirror\w*|flip\w*(?![^.,;]{0,20}\bvertical)", brushes.mirror),
)
_COMPILED = tuple((re.compile(rf"(?<![\w-])(?:{words})(?![\w-])"), brush) for words, brush in _EFFECTS)


def painted(data: bytes, prompt: str, ratio: str, seed: int, output_format: str) -> bytes:
    """Edit a picture by the words of a prompt.

    Args:
        data: the source; no side of the output is longer than 1568 pixels.
        prompt: as the caller wrote it.
        ratio: one of `edits.ASPECT_RATIOS`; the picture is cropped around its centre.
        seed: of everything that is drawn by chance.
        output_format: `png` or `jpg`.

    Raises:
        SourceUnreadable, SourceTooLarge: the source is no picture within the limits.
    """
    random = Random(f"{seed}:{prompt}")  # noqa: S311 - chance for painting, reproducible on purpose
    picture = _cropped(plain(data, MAX_SIDE_PX), ratio)
    texts, chosen = quoted_texts(prompt), chosen_brushes(prompt)
    if not texts and not chosen and ratio == MATCH_INPUT:
        chosen = [brushes.grade]
    for brush in chosen:
        picture = brush(picture, random)
    return _signed(picture, texts, output_format)


def generated(prompt: str, ratio: str, seed: int, output_format: str) -> bytes:
    """Make a picture without a source: a landscape in the prompt's colours, its quoted words written on it.

    Args:
        prompt: as the caller wrote it.
        ratio: one of `edits.ASPECT_RATIOS`; `match_input_image` means 1:1.
        seed: of everything that is drawn by chance.
        output_format: `png` or `jpg`.
    """
    random = Random(f"{seed}:{prompt}")  # noqa: S311 - the same
    picture = landscape(prompt, "1:1" if ratio == MATCH_INPUT else ratio, random)
    return _signed(picture, quoted_texts(prompt), output_format)


def chosen_brushes(prompt: str) -> list[Brush]:
    """Give the brushes that a prompt's words name, in the order of their first appearance."""
    words = _UNTOUCHED.sub(" ", _QUOTED.sub(" ", prompt).lower())
    found = [(match.start(), brush) for pattern, brush in _COMPILED if (match := pattern.search(words))]
    return [brush for _, brush in sorted(found, key=lambda pair: pair[0])]


def quoted_texts(prompt: str) -> list[str]:
    """Give the quoted words that are to be written: not those that are to be replaced or removed.

    >>> quoted_texts("Replace 'OPEN' with 'CLOSED'"), quoted_texts('write "It is spring"')
    (['CLOSED'], ['It is spring'])
    """
    texts: list[str] = []
    for match in _QUOTED.finditer(prompt):
        verb = _LAST_VERB.match(prompt[: match.start()].lower())
        if verb is None or verb[1] not in _GOING:
            texts.append(" ".join(next(filter(None, match.groups())).split()))
    return [text for text in texts if text]


def _cropped(picture: Image.Image, ratio: str) -> Image.Image:
    if ratio == MATCH_INPUT:
        return picture
    across, down = map(int, ratio.split(":"))
    width = max(1, min(picture.width, round(picture.height * across / down)))
    height = max(1, min(picture.height, round(picture.width * down / across)))
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))


def _signed(picture: Image.Image, texts: list[str], output_format: str) -> bytes:
    """Write the texts and the mark, and encode; nothing is written beside the pixels."""
    if texts:
        _write(picture, "\n".join(texts))
    _mark(picture)
    if output_format == "jpg":
        return encoded(picture, JPEG, quality=92, subsampling=0)
    return encoded(picture, PNG, compress_level=4)


@lru_cache(maxsize=64)
def _font(size_px: int) -> _Font:
    """Pillow's own typeface, so that no font of the machine shows in the result."""
    return ImageFont.load_default(size_px)


def _write(picture: Image.Image, text: str) -> None:
    """Write in white with a dark outline at the bottom centre, as large as fits, on several lines if need be."""
    draw = ImageDraw.Draw(picture)
    size_px = max(_SMALLEST_FONT_PX, round(0.14 * min(picture.height, picture.width)))
    while True:
        font, outline_px = _font(size_px), max(1, round(size_px / 11))
        lines = _wrapped(draw, text, font, 0.9 * picture.width - 2 * outline_px)
        box = draw.multiline_textbbox((0, 0), lines, font=font, align="center", stroke_width=outline_px)
        fits = box[2] - box[0] <= 0.92 * picture.width and box[3] - box[1] <= 0.36 * picture.height
        if fits or size_px <= _SMALLEST_FONT_PX:
            break
        size_px = max(_SMALLEST_FONT_PX, int(size_px * 0.93))
    corner = (picture.width - box[2] - box[0]) / 2, 0.95 * picture.height - box[3]
    draw.multiline_text(
        corner,
        lines,
        font=font,
        align="center",
        fill=(255, 255, 255),
        stroke_width=outline_px,
        stroke_fill=(24, 22, 28),
    )


def _wrapped(draw: ImageDraw.ImageDraw, text: str, font: _Font, room_px: float) -> str:
    """Break a text between words, so that no line is wider than the room if words allow."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and draw.textlength(longer, font=font) > room_px:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return "\n".join(lines)


def _mark(picture: Image.Image) -> None:
    """Put the mark in the top right corner: opaque, so that the next edit's mark covers it exactly."""
    draw = ImageDraw.Draw(picture)
    size_px = max(9, round(0.02 * max(picture.size)))
    font, padding_px = _font(size_px), round(0.45 * size_px)
    left, top, right, bottom = draw.textbbox((0, 0), MARK, font=font)
    width, height = round(right - left) + 2 * padding_px, round(bottom - top) + 2 * padding_px
    edge = picture.width
    if 2 * width > edge or 2 * height > picture.height:
        # Too small to read anything: a dot says that something is there. A single pixel is left alone.
        dot_px = min(edge, picture.height) // 4
        if min(edge, picture.height) > 1:
            draw.rectangle((edge - 1 - dot_px, 0, edge - 1, dot_px), fill=_MARK_GROUND)
        return
    inset = padding_px
    box = (edge - width - inset, inset, edge - inset, inset + height)
    draw.rounded_rectangle(box, radius=height // 3, fill=_MARK_GROUND)
    draw.text((box[0] + padding_px - left, inset + padding_px - top), MARK, font=font, fill=_MARK_INK)
