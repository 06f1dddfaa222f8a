"""The shelf: our kept bytes, read back only with the proof that they are unchanged.

What this is: sources kept by their sha-256, and every read of what a row vouches for. What it is not: bytes on their
way from a provider (`archive`). Above: archive, originals, inputs, studio. Below: blobs.base, images.
"""

from __future__ import annotations

import hashlib

import anyio.to_thread

from kontext_tools.blobs.base import Blobs
from kontext_tools.errors import ResultInvalid
from kontext_tools.images import ImageFacts


class Shelf:
    """Keeps sources, and reads what is kept."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def keep_source(self, data: bytes, facts: ImageFacts) -> str:
        """Keep a cleaned source by its sha-256; give its key. Raises `StorageFull`."""
        key = f"sources/{facts.sha256}.{facts.extension}"
        if await self._unchanged(key, facts) is None:
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

    async def _unchanged(self, key: str, facts: ImageFacts) -> bytes | None:
        data = await self._blobs.read(key)
        if data is None:
            return None
        sha256 = await anyio.to_thread.run_sync(lambda: hashlib.sha256(data).hexdigest())
        return data if sha256 == facts.sha256 else None
