"""Image: bytes and their facts.

What this is: what may come in (four formats, 50 MB, 50 megapixels), made harmless without a loss where that
is possible. All of it is synchronous and some takes a second: callers run it in a worker thread. What it is not:
where bytes come from (`sources`) or are kept (`blobs`), what came back (`delivered`) or small copies (`prints`), nor
Pillow itself (`pixels`, loaded on first use). Above: everything that knows a picture. Below: trimming, pixels,
formats, errors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from kontext_tools.errors import SourceTooLarge, SourceUnreadable
from kontext_tools.formats import EXTENSIONS, GIF, PNG, orientation_of, sniff, upright_exif
from kontext_tools.formats import INPUT_MEDIA_TYPES as INPUT_MEDIA_TYPES
from kontext_tools.formats import MAX_PIXELS as MAX_PIXELS
from kontext_tools.trimming import Malformed, Trimmed, trim

if TYPE_CHECKING:
    from PIL import Image

MAX_INPUT_BYTES = 50_000_000
MAX_DATA_URI_BYTES = 10_000_000
MAX_OUTPUT_BYTES = 64_000_000
SNIFF_BYTES = 16
_EXPORT = "Export it as PNG, JPEG, WebP or GIF and pass the exported picture."


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What is known of a picture's bytes.

    Attributes:
        media_type: told from the bytes, never from a name or a header.
        width: pixels.
        height: pixels.
        size_bytes: of the encoded picture.
        sha256: of the encoded picture, hexadecimal.
    """

    media_type: str
    width: int
    height: int
    size_bytes: int
    sha256: str

    @property
    def extension(self) -> str:
        """The file name's ending, without its dot: png, jpg, webp or gif."""
        return EXTENSIONS[self.media_type]

    def to_dict(self) -> dict[str, Any]:
        """Give the stored form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ImageFacts:
        """Read what `to_dict` gave."""
        return cls(**data)


def read_facts(data: bytes) -> ImageFacts:
    """Read a picture's facts from its header; no pixel is decoded.

    Raises:
        SourceUnreadable: none of the four formats, or the header is broken.
        SourceTooLarge: over 50 MB or 50 megapixels.
    """
    media_type = _accepted(data)
    with _taught():
        return _facts(data, media_type, trim(data, media_type).data)


def cleaned(data: bytes, *, keep_metadata: bool) -> tuple[bytes, ImageFacts]:
    """Make an input ready to be sent: sound, upright, one frame, no tail, no metadata unless asked.

    What needs no new pixels is done without a loss; a picture that lies on its side, a GIF and an animated
    WebP are encoded anew (the last two as PNG).

    Args:
        data: the picture as it was given.
        keep_metadata: whether EXIF, GPS, XMP and text stay (a turned picture keeps its EXIF alone).

    Raises:
        SourceUnreadable: none of the four formats, truncated or broken.
        SourceTooLarge: over 50 MB or 50 megapixels; nothing was decoded then.
    """
    from kontext_tools import pixels

    media_type = _accepted(data)
    with _taught():
        # The decoder sees only what is picture: no EXIF, no text, no further frame to stumble over.
        bare = trim(data, media_type)
        with pixels.opened(bare.data, media_type) as image:
            if not bare.complete:
                raise Malformed
            image.load()
            clean, media_type = _sendable(data, media_type, bare, image, keep_metadata=keep_metadata)
        return clean, _facts(clean, media_type, trim(clean, media_type).data)


@contextmanager
def opened(data: bytes) -> Generator[tuple[Image.Image, int]]:
    """Open a picture, not decoded, with its EXIF orientation. Raises as `cleaned`."""
    from kontext_tools import pixels

    media_type = _sniffed(data)
    with _taught():
        bare = trim(data, media_type)
        with pixels.opened(bare.data, media_type) as image:
            yield image, orientation_of(bare.exif)


def _sendable(
    data: bytes, media_type: str, bare: Trimmed, image: Image.Image, *, keep_metadata: bool
) -> tuple[bytes, str]:
    """Choose between the bytes as they are and an encoding anew; `image` is decoded."""
    from kontext_tools import pixels

    orientation = orientation_of(bare.exif)
    stills = media_type == GIF or bare.animated
    if stills or orientation != 1:
        target = PNG if stills else media_type
        exif = upright_exif(bare.exif) if keep_metadata else b""
        return pixels.upright_encoding(image, target, orientation, lossless=bare.lossless, exif=exif), target
    return (trim(data, media_type, keep_metadata=True).data if keep_metadata else bare.data), media_type


def _facts(data: bytes, media_type: str, picture: bytes) -> ImageFacts:
    """Give the facts of `data`; its sides are read from `picture`, the part of it that a decoder may see."""
    from kontext_tools import pixels

    with pixels.opened(picture, media_type) as image:
        width, height = image.size
    sha256 = hashlib.sha256(data).hexdigest()
    return ImageFacts(media_type=media_type, width=width, height=height, size_bytes=len(data), sha256=sha256)


def _accepted(data: bytes) -> str:
    """Check what can be checked before the header is read; give the media type."""
    if len(data) > MAX_INPUT_BYTES:
        raise SourceTooLarge(
            f"The picture is {len(data) / 1e6:.1f} MB, over the 50 MB that are taken; nothing was sent.",
            fix="Export it smaller, such as 2000 pixels on its longest side, and pass the exported picture.",
            field="image",
        )
    return _sniffed(data)


def _sniffed(data: bytes) -> str:
    media_type = sniff(data[:SNIFF_BYTES])
    if media_type is None:
        what = "is empty" if not data else "is not a PNG, JPEG, WebP or GIF picture"
        raise SourceUnreadable(f"The image {what}; nothing was sent.", fix=_EXPORT, field="image")
    return media_type


@contextmanager
def _taught() -> Generator[None]:
    """Tell a decoder's refusal as a refusal of the source. Nothing of the file's contents is repeated."""
    from kontext_tools import pixels

    try:
        yield
    except pixels.TooManyPixels:
        raise SourceTooLarge(
            "The picture has more than 50 megapixels; it was not decoded and nothing was sent.",
            fix="Export it smaller, such as 2000 pixels on its longest side, and pass the exported picture.",
            field="image",
        ) from None
    except (Malformed, pixels.Unreadable):
        raise SourceUnreadable(
            "The picture is truncated or broken and cannot be decoded; nothing was sent.",
            fix=f"Open it in an image program. {_EXPORT}",
            field="image",
        ) from None
