"""A picture file cut down to its first picture, without touching a pixel.

What this is: JPEG, PNG, WebP and GIF taken apart into segments, chunks and blocks, and put together without
metadata, further frames and tails. It reads bytes of strangers: every length is checked against what is
there, every loop is counted. What it is not: decoding (`pixels`) or a judgement (`images`). Above: images.
Below: formats.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kontext_tools.formats import EXIF_MAGIC, GIF, JPEG, PNG, PNG_MAGIC, WEBP

MAX_PARTS = 250_000
"""Segments, chunks or blocks of one file. A sound file of 50 MB has fewer, a hostile one millions."""


class Malformed(Exception):
    """The bytes are not cut as their format demands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trimmed:
    """A file reduced to its first picture.

    Attributes:
        data: the bytes that remain; what trailed the picture is gone.
        complete: whether the picture's end mark was there.
        exif: the EXIF block as found, from its TIFF header on; empty where there is none.
        animated: whether further frames are still inside, because cutting them needs a decoder (WebP).
        lossless: whether the picture was encoded without a loss, for those who have to encode it anew.
    """

    data: bytes
    complete: bool
    exif: bytes = b""
    animated: bool = False
    lossless: bool = True


def trim(data: bytes, media_type: str, *, keep_metadata: bool = False) -> Trimmed:
    """Cut a file down to its first picture, losslessly.

    Args:
        data: the whole file.
        media_type: one of the four, as `formats.sniff` told it.
        keep_metadata: whether EXIF, XMP, comments and the like stay. Tails and further frames never do.

    Raises:
        Malformed: the bytes are not cut as the format demands.
    """
    return _TRIMMERS[media_type](data, keep_metadata)


# JPEG (ITU T.81, annex B): segments, each FF, marker, length; a scan follows SOS up to the next true marker.
_SOS, _EOI, _APP0, _APP1, _APP2, _APP14 = 0xDA, 0xD9, 0xE0, 0xE1, 0xE2, 0xEE
_TRUE_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
"""Within a scan FF00 is data, FFD0 to FFD7 restart it and FFFF fills; a second start means nothing."""
_PICTURE_MARKERS = frozenset({*range(0xC0, 0xC8), *range(0xC9, 0xD0), 0xDA, 0xDB, 0xDC, 0xDD})
_JFIF_BYTES, _ADOBE_BYTES = 18, 16


def _jpeg_parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each segment with its marker, scans with their data, up to EOI or where the file breaks off."""
    at = 2
    for _ in range(MAX_PARTS):
        found = _TRUE_MARKER.search(data, at)
        if found is None:
            return
        start, marker = found.start(), data[found.start() + 1]
        if marker == _EOI:
            yield marker, data[start : start + 2]
            return
        length = int.from_bytes(data[start + 2 : start + 4], "big")
        at = start + 2 + length
        if length < 2 or at > len(data):
            return
        if marker == _SOS:
            following = _TRUE_MARKER.search(data, at)
            at = len(data) if following is None else following.start()
        yield marker, data[start:at]
    raise Malformed


def _jpeg_part_kept(marker: int, part: bytes, *, keep_metadata: bool) -> bytes:
    """Give what is kept of one segment; empty where it goes."""
    if marker in _PICTURE_MARKERS or marker == _EOI:
        return part
    body = part[4:]
    if marker == _APP2 and body.startswith(b"MPF\x00"):
        return b""  # points at further pictures, which trail this one and are cut
    if keep_metadata or (marker == _APP2 and body.startswith(b"ICC_PROFILE\x00")):
        return part
    if marker == _APP0 and body.startswith(b"JFIF\x00") and len(part) >= _JFIF_BYTES:
        # Its own thumbnail may show what was cropped away: its two sides become 0.
        return b"\xff\xe0\x00\x10" + body[:12] + b"\x00\x00"
    if marker == _APP14 and body.startswith(b"Adobe") and len(part) >= _ADOBE_BYTES:
        return b"\xff\xee\x00\x0e" + body[:12]
    return b""


def _trim_jpeg(data: bytes, keep_metadata: bool) -> Trimmed:
    kept, exif, complete = [data[:2]], b"", False
    for marker, part in _jpeg_parts(data):
        complete = marker == _EOI
        if marker == _APP1 and part[4:].startswith(EXIF_MAGIC) and not exif:
            exif = part[4 + len(EXIF_MAGIC) :]
        kept.append(_jpeg_part_kept(marker, part, keep_metadata=keep_metadata))
    return Trimmed(data=b"".join(kept), complete=complete, exif=exif, lossless=False)


# PNG (W3C, third edition): chunks, each length, type, body, CRC.
_PNG_KEPT = frozenset(
    {
        b"PLTE",
        b"IDAT",
        b"IEND",
        b"tRNS",
        b"gAMA",
        b"cHRM",
        b"sRGB",
        b"iCCP",
        b"cICP",
        b"sBIT",
        b"bKGD",
        b"pHYs",
    }
)
_APNG = frozenset({b"acTL", b"fcTL", b"fdAT"})


def _png_parts(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield each chunk with its type; stops after IEND or where the file breaks off."""
    at = len(PNG_MAGIC)
    for _ in range(MAX_PARTS):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if at + 12 > len(data) or end > len(data):
            return
        kind = data[at + 4 : at + 8]
        yield kind, data[at:end]
        if kind == b"IEND":
            return
        at = end
    raise Malformed


def _trim_png(data: bytes, keep_metadata: bool) -> Trimmed:
    kept, exif, complete = [PNG_MAGIC], b"", False
    for n, (kind, part) in enumerate(_png_parts(data)):
        if (kind == b"IHDR") is not (n == 0):
            raise Malformed  # a second header could announce another size than the one that was checked
        complete = kind == b"IEND"
        if kind == b"eXIf" and not exif:
            exif = part[8:-4]
        if n == 0 or kind in _PNG_KEPT or (keep_metadata and kind not in _APNG):
            kept.append(part)
    return Trimmed(data=b"".join(kept), complete=complete, exif=exif)


# WebP (RFC 9649): RIFF chunks, each type, length (little-endian), body, padded to an even length.
_WEBP_KEPT = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ICCP"})
_WEBP_METADATA = {b"EXIF": 0x08, b"XMP ": 0x04, b"ICCP": 0x20}
_VP8X_ANIMATION, _VP8X_ALPHA = 0x02, 0x10


def _webp_parts(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield each chunk with its type; stops at the RIFF's own end or where the file breaks off."""
    at, riff_end = 12, min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    for _ in range(MAX_PARTS):
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 > riff_end or end > riff_end:
            return
        yield data[at : at + 4], data[at:end] + b"\x00" * (end % 2)
        at = end + end % 2
    raise Malformed


def _trim_webp(data: bytes, keep_metadata: bool) -> Trimmed:
    chunks: dict[bytes, bytes] = {}
    for kind, part in _webp_parts(data):
        chunks.setdefault(kind, part)
    exif = chunks.get(b"EXIF", b"")[8:].removeprefix(EXIF_MAGIC)
    extended = chunks.get(b"VP8X", b"")
    if b"ANMF" in chunks or (len(extended) > 8 and extended[8] & _VP8X_ANIMATION):
        whole = data[: 8 + int.from_bytes(data[4:8], "little")]
        return Trimmed(data=whole, complete=True, exif=exif, animated=True)
    wanted = _WEBP_KEPT | _WEBP_METADATA.keys() if keep_metadata else _WEBP_KEPT
    kept = {kind: part for kind, part in chunks.items() if kind in wanted}
    if len(extended) > 8:
        flags = extended[8] & _VP8X_ALPHA | sum(flag for kind, flag in _WEBP_METADATA.items() if kind in kept)
        kept[b"VP8X"] = extended[:8] + bytes([flags]) + extended[9:]
    body = b"WEBP" + b"".join(kept.values())
    lossless = b"VP8L" in kept
    return Trimmed(
        data=b"RIFF" + len(body).to_bytes(4, "little") + body,
        complete=lossless or b"VP8 " in kept,
        exif=exif,
        lossless=lossless,
    )


# GIF (89a): a screen, then extensions (!) and images (,), both ending in blocks of at most 255 bytes.
_EXTENSION, _GRAPHIC_CONTROL, _IMAGE, _TRAILER = b"!", b"\xf9", b",", b";"
_SCREEN_END = 13


def _palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _blocks_end(data: bytes, at: int) -> int:
    """Give the position after a chain of blocks; the file's end where it breaks off."""
    for _ in range(MAX_PARTS):
        if at >= len(data):
            return len(data)
        if data[at] == 0:
            return at + 1
        at += 1 + data[at]
    raise Malformed


def _trim_gif(data: bytes, _keep_metadata: bool) -> Trimmed:
    """Keep the screen, the palette, the last graphic control and the first image."""
    if len(data) < _SCREEN_END:
        raise Malformed
    at = _SCREEN_END + _palette_bytes(data[10])
    palette, control = data[_SCREEN_END:at], b""
    for _ in range(MAX_PARTS):
        kind = data[at : at + 1]
        if kind == _EXTENSION:
            end = _blocks_end(data, at + 2)
            if data[at + 1 : at + 2] == _GRAPHIC_CONTROL:
                control = data[at:end]
            at = end
        elif kind == _IMAGE:
            return _gif_of(data, at, palette + control)
        else:
            raise Malformed
    raise Malformed


def _gif_of(data: bytes, at: int, before: bytes) -> Trimmed:
    head = data[at : at + 10]
    if len(head) < 10:
        raise Malformed
    left, top, width, height = (int.from_bytes(head[n : n + 2], "little") for n in (1, 3, 5, 7))
    end = _blocks_end(data, at + 11 + _palette_bytes(head[9]))
    # A frame may reach beyond the screen, and a decoder would grow it after the size was checked.
    screen_width = max(int.from_bytes(data[6:8], "little"), left + width)
    screen_height = max(int.from_bytes(data[8:10], "little"), top + height)
    if max(screen_width, screen_height) > 0xFFFF:
        raise Malformed
    screen = data[:6] + screen_width.to_bytes(2, "little") + screen_height.to_bytes(2, "little") + data[10:_SCREEN_END]
    complete = end <= len(data) and data[end - 1 : end] == b"\x00"
    return Trimmed(data=screen + before + data[at:end] + _TRAILER, complete=complete)


_TRIMMERS = {JPEG: _trim_jpeg, PNG: _trim_png, WEBP: _trim_webp, GIF: _trim_gif}
