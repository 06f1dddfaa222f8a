"""Pillow, held in one place: opened by one decoder, decoded under guard, any picture turned into plain RGB.

What this is: the only door to Pillow's decoders; what comes through it is within the pixel cap, and whatever
a decoder raises leaves as one of two errors. What it is not: words for a caller (`images`), nor effects
(`providers.painting`). Importing it loads Pillow, so others import it inside their functions. Above: images,
changes, providers.painting. Below: formats.
"""

# Pillow's signatures name numpy, which is not installed.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import math
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageCms, JpegImagePlugin

from kontext_tools.formats import EXIF_MAGIC, GIF, JPEG, MAX_PIXELS, PNG, WEBP

# Pillow only warns between its limit and twice that; here, beyond ours, it stops.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)

PILLOW_NAMES = {JPEG: "JPEG", PNG: "PNG", WEBP: "WEBP", GIF: "GIF"}
WHITE = (255, 255, 255)
SHEET_GAP_PX = 8
FAIR_GAP = 3
"""So many times as large as wanted is what a cheap scaling may leave for the fair one: less is softer to the eye, and
read as sharper by a measure (Pillow's documentation of `reducing_gap`; at 2 a JPEG of 1024 px was off by 0.03)."""

_TURNS = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_270,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_90,),
}
"""What makes a picture of each EXIF orientation upright."""


class Unreadable(Exception):
    """No decoder makes a picture of these bytes."""


class TooManyPixels(Exception):
    """The header announces more than `MAX_PIXELS`; nothing was decoded."""


@contextmanager
def guarded() -> Generator[None]:
    """Translate whatever a decoder raises over bytes of strangers into `Unreadable` or `TooManyPixels`."""
    try:
        yield
    except (Unreadable, TooManyPixels):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooManyPixels from error
    except Exception as error:  # codecs raise a dozen kinds, SyntaxError and struct.error among them
        raise Unreadable from error


@contextmanager
def opened(source: bytes | Path, media_type: str) -> Generator[Image.Image]:
    """Open a picture by its one decoder, without decoding; close it after.

    Args:
        source: the bytes, or the file that holds them.
        media_type: what the first bytes announce; no other decoder runs.

    Raises:
        Unreadable: no picture of that kind, or the block raised over it.
        TooManyPixels: over `MAX_PIXELS`, told from the header.
    """
    with (
        guarded(),
        Image.open(
            BytesIO(source) if isinstance(source, bytes) else source, formats=[PILLOW_NAMES[media_type]]
        ) as image,
    ):
        if image.width * image.height > MAX_PIXELS:
            raise TooManyPixels
        yield image


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """Give the picture upright, from its EXIF orientation (1 to 8)."""
    for turn in _TURNS.get(orientation, ()):
        image = image.transpose(turn)
    return image


def bare(image: Image.Image) -> Image.Image:
    """Give the picture without anything that Pillow would write beside the pixels, transparency aside."""
    copy = image.copy()
    transparency = copy.info.get("transparency")
    copy.info = {} if transparency is None else {"transparency": transparency}
    return copy


def eight_bit(image: Image.Image) -> Image.Image:
    """Give a mode that resizes well: L, RGB, RGBA or CMYK, from palettes, bit maps and 16-bit pictures."""
    if image.mode.startswith(("I", "F")):
        # Pillow clips when it converts 16 bits; PNG, the only source of them here, means 0 to 65535.
        return image.point(lambda value: value * (1 / 256)).convert("L")
    if image.mode in ("P", "PA", "LA", "La", "RGBa", "1") or "transparency" in image.info:
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image if image.mode in ("L", "RGB", "RGBA", "CMYK") else image.convert("RGB")


def in_srgb(image: Image.Image, icc_profile: object) -> Image.Image:
    """Give an `eight_bit` picture as RGB or RGBA in the colours that its ICC profile means."""
    plain = "RGBA" if image.mode == "RGBA" else "RGB"
    if isinstance(icc_profile, bytes) and icc_profile:
        try:
            profile = ImageCms.ImageCmsProfile(BytesIO(icc_profile))
            if image.mode == plain and "sRGB" in ImageCms.getProfileDescription(profile):
                return image
            converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode=plain)
            return image.convert(plain) if converted is None else converted
        except Exception:  # noqa: BLE001, S110 - a broken or foreign profile costs its colours, never the picture
            pass
    return image.convert(plain)


def on_white(image: Image.Image) -> Image.Image:
    """Give RGB; what is transparent shows white."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    ground = Image.new("RGB", image.size, WHITE)
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def rgb(image: Image.Image, orientation: int, longest_px: int | None = None) -> Image.Image:
    """Give an opened picture as plain RGB: upright, sRGB, on white, and no larger than asked.

    Args:
        image: as `opened` gave it, first frame.
        orientation: from its EXIF.
        longest_px: longest side of what is wanted; a smaller picture stays as it is. A JPEG is then
            decoded at a fraction of its size.
    """
    icc_profile = image.info.get("icc_profile")
    if longest_px is not None:
        image.draft(None, (FAIR_GAP * longest_px, FAIR_GAP * longest_px))
    plain = eight_bit(image)
    if longest_px is not None:
        plain = fitted(plain, longest_px, longest_px)
    return turned(on_white(in_srgb(plain, icc_profile)), orientation)


def fitted(image: Image.Image, width_px: int, height_px: int) -> Image.Image:
    """Give the picture scaled down into a box, never up, its ratio kept."""
    scale = min(width_px / image.width, height_px / image.height)
    if scale >= 1:
        return image
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=FAIR_GAP)


def sheet(pictures: Sequence[Image.Image], longest_px: int) -> Image.Image:
    """Lay RGB pictures out on white, as wide as high, each in the middle of its cell, never enlarged."""
    columns = max(2, math.isqrt(len(pictures) - 1) + 1)
    rows = -(-len(pictures) // columns)
    box = [max(1, (longest_px - SHEET_GAP_PX * (count - 1)) // count) for count in (columns, rows)]
    cells = [fitted(picture, box[0], box[1]) for picture in pictures]
    width, height = (max(side) + SHEET_GAP_PX for side in zip(*(cell.size for cell in cells), strict=True))
    laid = Image.new("RGB", (columns * width - SHEET_GAP_PX, rows * height - SHEET_GAP_PX), WHITE)
    for n, cell in enumerate(cells):
        row, column = divmod(n, columns)
        left, top = (width - SHEET_GAP_PX - cell.width) // 2, (height - SHEET_GAP_PX - cell.height) // 2
        laid.paste(cell, (column * width + left, row * height + top))
    return laid


def upright_encoding(image: Image.Image, media_type: str, orientation: int, *, lossless: bool, exif: bytes) -> bytes:
    """Encode a decoded picture anew, upright, as close to what it was as the format allows.

    Args:
        image: as `opened` gave it, decoded.
        media_type: to encode as: PNG, JPEG or WebP.
        orientation: from its EXIF.
        lossless: for WebP, whether it was so before.
        exif: to keep, from its TIFF header on; may be empty.
    """
    options: dict[str, object] = {}
    if media_type == JPEG:
        sampling = JpegImagePlugin.get_sampling(image)
        # Turned on its side, 4:2:2 would become 4:4:0, which the encoder does not know.
        options = {"quality": 95, "subsampling": sampling if sampling in (0, 2) else 0}
    if media_type == WEBP:
        options = {"lossless": lossless, "quality": 95, "exact": True}
    if isinstance(icc_profile := image.info.get("icc_profile"), bytes):
        options["icc_profile"] = icc_profile
    if exif:
        options["exif"] = EXIF_MAGIC + exif
    return encoded(turned(bare(image), orientation), media_type, **options)


def resized(data: bytes, media_type: str, longest_px: int) -> bytes:
    """Give a picture in its own format, its longest side at most so long, its profile kept."""
    with opened(data, media_type) as image:
        profile = image.info.get("icc_profile")
        image.load()
        image.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS)
        options = {"quality": 92} if media_type in (JPEG, WEBP) else {}
        return encoded(image, media_type, icc_profile=profile, **options)


def encoded(image: Image.Image, media_type: str, **options: object) -> bytes:
    """Encode a picture; options are Pillow's. Only what is named there is written beside the pixels."""
    buffer = BytesIO()
    image.save(buffer, PILLOW_NAMES[media_type], **options)
    return buffer.getvalue()
