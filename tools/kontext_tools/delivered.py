"""What a provider delivered: proven to be a picture, and all that is made of its pixels, by one decode.

What this is: the judgement over a file of strangers that was paid for. It is synchronous: callers run it in a worker
thread. What it is not: where the file comes from or goes (`archive`), nor what may come in (`images`). Above: archive.
Below: images, prints, pixels, formats.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kontext_tools.errors import Billed, ResultInvalid
from kontext_tools.formats import EXIF_MAGIC, orientation_of, sniff
from kontext_tools.images import MAX_OUTPUT_BYTES, SNIFF_BYTES, ImageFacts
from kontext_tools.prints import Print, jpeg, printed

if TYPE_CHECKING:
    from PIL import Image

_HASH_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A sound picture.

    Attributes:
        facts: what is known of its bytes.
        copy: a small print to measure on; `None` where none can be made of it.
        preview: a JPEG to look at; `None` likewise, and where none was wanted.
    """

    facts: ImageFacts
    copy: Print | None
    preview: bytes | None


def proven(path: Path, *, copy_px: int, preview_px: int) -> Delivered:
    """Prove that a delivered file is a sound picture, and make what is wanted of it; the hash is streamed.

    Args:
        path: the file.
        copy_px: the copy's longest side at most.
        preview_px: the preview's; 0 for none.

    Raises:
        ResultInvalid: no picture of ours, over 64 MB or 50 megapixels, truncated or broken. Told as charged.
    """
    from kontext_tools import pixels

    size_bytes, sha256, head = _hashed(path)
    if size_bytes > MAX_OUTPUT_BYTES:
        raise _invalid(f"is {size_bytes / 1e6:.1f} MB, over the 64 MB that are kept")
    media_type = sniff(head)
    if media_type is None:
        raise _invalid("is neither PNG, JPEG, WebP nor GIF")
    try:
        with pixels.opened(path, media_type) as image:
            width, height = image.size
            image.load()
            copy, preview = _made(image, copy_px, preview_px)
    except pixels.TooManyPixels:
        raise _invalid("has more than 50 megapixels") from None
    except pixels.Unreadable:
        raise _invalid("is truncated or broken") from None
    facts = ImageFacts(media_type=media_type, width=width, height=height, size_bytes=size_bytes, sha256=sha256)
    return Delivered(facts=facts, copy=copy, preview=preview)


def _made(image: Image.Image, copy_px: int, preview_px: int) -> tuple[Print | None, bytes | None]:
    """Make what is wanted of a decoded picture. One that decodes is kept, whatever becomes of its copies."""
    from kontext_tools import pixels

    try:
        with pixels.guarded():
            exif = image.info.get("exif", b"")
            orientation = orientation_of(exif.removeprefix(EXIF_MAGIC)) if isinstance(exif, bytes) else 1
            copy = printed(image, orientation, copy_px)
            return copy, jpeg(printed(image, orientation, preview_px).image) if preview_px else None
    except pixels.Unreadable:
        return None, None


def _hashed(path: Path) -> tuple[int, str, bytes]:
    """Stream a file: its size, its hash, its first bytes."""
    digest, size_bytes, head = hashlib.sha256(), 0, b""
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK_BYTES):
            head = head or block[:SNIFF_BYTES]
            digest.update(block)
            size_bytes += len(block)
    return size_bytes, digest.hexdigest(), head


def _invalid(what: str) -> ResultInvalid:
    return ResultInvalid(
        f"The provider finished, and may have charged, but what it delivered {what}.",
        fix="Ask a person to look at the job at the provider; a new call is charged again.",
        billed=Billed.YES,
    )
