"""What an edit changed: so that an agent that sees no picture can judge.

What this is: facts measured on two small copies: the share of pixels that changed, where they lie, how sharp
the result is beside the source. The same pictures always give the same facts. `compare` works on pixels, so callers
run it in a worker thread. What it is not: a verdict; the model often frames anew, and six pixels of shift
already change a fifth of a photograph. Above: jobs, archive. Below: prints.
"""

# Pillow's signatures name numpy, which is not installed.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kontext_tools.prints import Print, print_of

if TYPE_CHECKING:
    from PIL import Image

COPY_PX = 256
"""Longest side of what is measured on."""
THRESHOLD = 14
"""Of 255, after a 3 x 3 blur: above what saving a photograph as JPEG again changes."""
DEGRADED_BELOW = 0.8

_NO_CHANGE = "No visible change: the picture looks as it did before; reword the prompt."
_DEGRADED = (
    "The result is softer than its input (sharpness {:.2f}, 1 is equal); unless that was asked for, go back "
    "to an earlier reference and put the edits into one prompt."
)

NOWHERE, EVERYWHERE = "nowhere", "everywhere"
_WORDS = {
    ("all", "all"): EVERYWHERE,
    ("all", "low"): "top",
    ("all", "mid"): "centre",
    ("all", "high"): "bottom",
    ("low", "all"): "left",
    ("low", "low"): "top left",
    ("low", "mid"): "left",
    ("low", "high"): "bottom left",
    ("mid", "all"): "centre",
    ("mid", "low"): "top",
    ("mid", "mid"): "centre",
    ("mid", "high"): "bottom",
    ("high", "all"): "right",
    ("high", "low"): "top right",
    ("high", "mid"): "right",
    ("high", "high"): "bottom right",
}
"""Across and down in words. A box that reaches over a whole axis is named by the other."""
_HALF = {"left", "right", "top", "bottom"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What differs between an edit's input and its output.

    Attributes:
        percent: share of pixels that changed, 0 to 100.
        where: the box around them in words; `nowhere` when no pixel did.
        sharpness: edge contrast of the output divided by that of the input; below 1 is softer.
        resized: `451x300 -> 1248x832` where the size differs.
    """

    percent: float
    where: str
    sharpness: float
    resized: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the stored and the public form, rounded; `resized` only where it is known."""
        facts: dict[str, Any] = {
            "percent": round(self.percent, 1),
            "where": self.where,
            "sharpness": round(self.sharpness, 2),
        }
        return facts if self.resized is None else {**facts, "resized": self.resized}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Change:
        """Read what `to_dict` gave."""
        return cls(**data)


def copy_of(data: bytes) -> Print:
    """Decode a picture and make the copy that is measured on. Raises as `print_of`."""
    return print_of(data, COPY_PX)


def compare(before: Print, after: Print) -> Change:
    """Measure what an edit changed, on what `copy_of` gave of the source as it was sent, and of the result."""
    from PIL import Image, ImageChops, ImageFilter

    old, new = before.image, after.image
    if new.size != old.size:
        new = new.resize(old.size, Image.Resampling.LANCZOS)
    blur = ImageFilter.BoxBlur(1)
    difference = ImageChops.difference(old.filter(blur), new.filter(blur))
    red, green, blue = difference.split()
    largest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    changed = _without_specks(largest.point([255 if level > THRESHOLD else 0 for level in range(256)]))
    share = changed.histogram()[255] / (changed.width * changed.height)
    sizes = [f"{one.width}x{one.height}" for one in (before, after)]
    return Change(
        percent=round(100 * share, 1),
        where=_where(changed),
        sharpness=round((_edges(new) + _FLAT) / (_edges(old) + _FLAT), 2),
        resized=None if sizes[0] == sizes[1] else " -> ".join(sizes),
    )


def warnings(change: Change) -> tuple[str, ...]:
    """Give the sentences that a change deserves; none for most."""
    if change.where == NOWHERE:
        return (_NO_CHANGE,)
    if change.sharpness < DEGRADED_BELOW:
        return (_DEGRADED.format(change.sharpness),)
    return ()


_FLAT = 0.1
"""Edge contrast, of 255, of a picture that is as good as flat; keeps the ratio of two flat pictures at 1."""


def _without_specks(mask: Image.Image) -> Image.Image:
    """Drop what has fewer than three of nine: an edit of one pixel was blurred into nine, JPEG noise stands alone."""
    from PIL import ImageChops, ImageFilter

    crowded = mask.filter(ImageFilter.BoxBlur(1)).point([255 if level >= 3 * 255 // 9 else 0 for level in range(256)])
    return ImageChops.darker(mask, crowded)


def _edges(image: Image.Image) -> float:
    from PIL import ImageFilter, ImageStat

    edges = image.convert("L").filter(ImageFilter.FIND_EDGES)
    # The filter leaves the outermost pixels as they are: they are no edges.
    inner = edges.crop((1, 1, edges.width - 1, edges.height - 1)) if min(edges.size) > 2 else edges
    return float(ImageStat.Stat(inner).mean[0]) if min(image.size) > 2 else 0.0


def _where(changed: Image.Image) -> str:
    box = changed.getbbox()
    if box is None:
        return NOWHERE
    left, top, right, bottom = box
    across, down = (
        _part(left / changed.width, right / changed.width),
        _part(top / changed.height, bottom / changed.height),
    )
    word = _WORDS[across, down]
    wide = (right - left) / changed.width > 1 / 3 and (bottom - top) / changed.height > 2 / 3
    tall = (bottom - top) / changed.height > 1 / 3 and (right - left) / changed.width > 2 / 3
    return f"{word} half" if word in _HALF and (wide or tall) else word


def _part(start: float, end: float) -> str:
    """Name the part of an axis, 0 to 1, that a stretch of it takes."""
    if start <= 0.25 and end >= 0.75:
        return "all"
    middle = (start + end) / 2
    return "low" if middle < 0.4 else "high" if middle > 0.6 else "mid"
