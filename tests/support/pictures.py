"""Pictures to give: photographs, plain colours, headers that announce too much.

What it is not: pictures that mean harm (`hostile`).
"""

# Pillow's signatures name numpy, which is not installed.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

from PIL import Image

from kontext_tools.changes import Change, compare, copy_of

PHOTOS = Path(__file__).parents[1] / "photos"


def photo(name: str) -> bytes:
    """Give the bytes of a photograph."""
    return (PHOTOS / name).read_bytes()


def rgb_photo(name: str) -> Image.Image:
    """Give a photograph's pixels."""
    with Image.open(PHOTOS / name) as picture:
        return picture.convert("RGB")


def encoded(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """Encode a picture; options are Pillow's."""
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def red(width: int, height: int) -> Image.Image:
    """Give a red picture."""
    return Image.new("RGB", (width, height), (200, 30, 30))


def turned(picture: Image.Image, orientation: int, form: str = "JPEG") -> bytes:
    """Encode a picture with an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(picture, form, exif=exif)


def compared(before: bytes, after: bytes) -> Change:
    """Give the change report of two encoded pictures."""
    return compare(copy_of(before), copy_of(after))


def chunk(kind: bytes, body: bytes) -> bytes:
    """Give a chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def huge_png(side: int) -> bytes:
    """Give a PNG whose header announces a square of so many pixels a side."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
