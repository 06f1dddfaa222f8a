"""The four picture formats: their names, their first bytes, and which way up EXIF says they stand.

What this is: facts about formats, read from bytes without a decoder. What it is not: cutting a file
(`trimming`), decoding (`pixels`) or a judgement (`images`). Above: trimming, pixels, images. Below: nothing.
"""

from __future__ import annotations

from typing import Literal

JPEG, PNG, WEBP, GIF = "image/jpeg", "image/png", "image/webp", "image/gif"
INPUT_MEDIA_TYPES = (JPEG, PNG, WEBP, GIF)
EXTENSIONS = {JPEG: "jpg", PNG: "png", WEBP: "webp", GIF: "gif"}
MAX_PIXELS = 50_000_000

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
EXIF_MAGIC = b"Exif\x00\x00"

_ByteOrder = Literal["little", "big"]
_BYTE_ORDERS: dict[bytes, _ByteOrder] = {b"II": "little", b"MM": "big"}
_ORIENTATION_TAG = 0x0112
_SHORT, _LONG = 3, 4
_ENTRY_BYTES = 12
_MAX_ENTRIES = 1000


def sniff(head: bytes) -> str | None:
    """Give the media type that the first bytes announce, `None` for anything but our four.

    Args:
        head: the beginning of the file; 16 bytes are enough.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(PNG_MAGIC):
        return PNG
    if head.startswith((b"GIF87a", b"GIF89a")):
        return GIF
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    return None


def orientation_of(exif: bytes) -> int:
    """Give the EXIF orientation, 1 (upright) to 8; 1 where it is missing or senseless.

    Args:
        exif: the block from its TIFF header on.
    """
    found = _orientation_entry(exif)
    return 1 if found is None else found[1]


def upright_exif(exif: bytes) -> bytes:
    """Give the same EXIF block with orientation 1, for a picture that was turned."""
    found = _orientation_entry(exif)
    if found is None:
        return exif
    at, _, order = found
    return exif[:at] + (1).to_bytes(2, order) + exif[at + 2 :]


def _orientation_entry(tiff: bytes) -> tuple[int, int, _ByteOrder] | None:
    """Find the orientation in the first directory: where its two bytes lie, its value, the byte order."""
    order = _BYTE_ORDERS.get(tiff[:2])
    if order is None:
        return None
    directory = int.from_bytes(tiff[4:8], order)
    count = int.from_bytes(tiff[directory : directory + 2], order)
    for n in range(min(count, _MAX_ENTRIES)):
        at = directory + 2 + _ENTRY_BYTES * n
        if at + _ENTRY_BYTES > len(tiff):
            return None
        if int.from_bytes(tiff[at : at + 2], order) == _ORIENTATION_TAG:
            kind = int.from_bytes(tiff[at + 2 : at + 4], order)
            # The value's low half: of a LONG in big-endian order it is the second.
            low = at + 8 + (2 if kind == _LONG and order == "big" else 0)
            value = int.from_bytes(tiff[low : low + 2], order)
            return (low, value, order) if kind in (_SHORT, _LONG) and 1 <= value <= 8 else None
    return None
