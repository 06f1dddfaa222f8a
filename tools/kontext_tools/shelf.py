"""The shelf: our kept bytes, read back only with the proof that they are unchanged.

What this is: sources kept by their sha-256, every read of what a row vouches for, and the thumbnails and previews made
of that. What it is not: bytes on their way from a provider (`archive`). Above: archive, originals, inputs, gallery.
Below: blobs.base, darkroom, images, prints.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress

import anyio.to_thread

from kontext_tools import darkroom, images, prints
from kontext_tools.blobs import keys
from kontext_tools.blobs.base import Blobs
from kontext_tools.blobs.keys import THUMB_PX
from kontext_tools.darkroom import Recent
from kontext_tools.errors import KontextError, ResultInvalid, SourceTooLarge, SourceUnreadable
from kontext_tools.formats import WEBP
from kontext_tools.images import ImageFacts

MOST_PREVIEW_BYTES = 8_000_000
"""A preview of 1,024 px is some 100 kB."""


class Shelf:
    """Keeps sources, and reads what is kept."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._previews = Recent(MOST_PREVIEW_BYTES)

    async def keep_source(self, data: bytes, facts: ImageFacts) -> str:
        """Keep a cleaned source by its sha-256; give its key. Raises `StorageFull`."""
        key = keys.source(facts.sha256, facts.extension)
        if await self._unchanged(key, facts) is None or not await self._blobs.renew(key):
            await self._blobs.write(key, data)
        return key

    async def read(self, key: str, facts: ImageFacts) -> bytes:
        """Give kept bytes, proven unchanged.

        Raises:
            ResultInvalid: the file was changed or removed since.
        """
        data = await self._unchanged(key, facts)
        if data is not None:
            return data
        what = "removed" if await self._blobs.read(key) is None else "changed"
        raise ResultInvalid(
            f"The kept file was {what} since it was written, so it is not served.",
            fix="Use another image (find one with `kontext images`), or make the edit again.",
        )

    async def thumb(self, key: str, facts: ImageFacts) -> bytes:
        """Give a small WebP of a kept picture that is proven unchanged; made once, then read.

        One that cannot be kept, or that was damaged since, is made anew each time.

        Raises:
            ResultInvalid: the picture was changed or removed since.
        """
        data = await self.read(key, facts)
        kept_under = keys.thumb(facts.sha256)
        kept = await self._blobs.read(kept_under)
        if kept is not None and await anyio.to_thread.run_sync(_is_thumbnail, kept):
            return kept
        made = await darkroom.work(prints.thumbnail, data, THUMB_PX)
        with suppress(KontextError):
            # A power cut may undo it: a page of fifty would wait for the disk a hundred times.
            await self._blobs.write(kept_under, made, durable=False)
        return made

    def previewed(self, facts: ImageFacts, longest_px: int, jpeg: bytes) -> None:
        """Take a preview that was made of a picture when its pixels were at hand."""
        self._previews.put((longest_px, facts.sha256), jpeg)

    async def preview(self, kept: Sequence[tuple[str, ImageFacts]], longest_px: int) -> bytes:
        """Give one JPEG of kept pictures that are proven unchanged, several on a contact sheet.

        A job is asked for again and again: what was made lately is not made anew.

        Raises:
            ResultInvalid: one was changed or removed since.
        """
        made = [await self._preview(key, facts, longest_px) for key, facts in kept]
        if len(made) == 1:
            return made[0]
        sheet_of = (longest_px, *(facts.sha256 for _, facts in kept))
        sheet = self._previews.get(sheet_of)
        if sheet is None:
            sheet = await darkroom.work(prints.contact_sheet, made, longest_px)
            self._previews.put(sheet_of, sheet)
        return sheet

    async def _preview(self, key: str, facts: ImageFacts, longest_px: int) -> bytes:
        async with darkroom.slot():
            data = await self.read(key, facts)
            made = self._previews.get((longest_px, facts.sha256))
            if made is None:
                made = await anyio.to_thread.run_sync(prints.preview, data, longest_px)
                self.previewed(facts, longest_px, made)
        return made

    async def _unchanged(self, key: str, facts: ImageFacts) -> bytes | None:
        data = await self._blobs.read(key)
        if data is None:
            return None
        sha256 = await anyio.to_thread.run_sync(lambda: hashlib.sha256(data).hexdigest())
        return data if sha256 == facts.sha256 else None


def _is_thumbnail(data: bytes) -> bool:
    try:
        _, facts = images.cleaned(data, keep_metadata=True)
    except (SourceUnreadable, SourceTooLarge):
        return False
    return facts.media_type == WEBP and max(facts.width, facts.height) <= THUMB_PX
