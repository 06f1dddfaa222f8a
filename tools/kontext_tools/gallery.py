"""Past results: found, looked at, traced. The reading verbs' work.

What this is: everything that reads images and changes nothing. What it is not: the reading of a search (`finding`) or
of a reference (`inputs`), nor what a model sees of it (`kontext_server.surface`). Above: studio. Below: finding,
lineage, fitting, inputs, prints, shelf, stores.base.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING

import anyio.to_thread

from kontext_tools import darkroom, prints
from kontext_tools.clocks import Clock
from kontext_tools.errors import NotFound, ResultInvalid
from kontext_tools.finding import Search, cursor_of, parse_cursor, readings
from kontext_tools.fitting import Fitted, fit
from kontext_tools.images import ImageFacts
from kontext_tools.inputs import Found, Inputs
from kontext_tools.jobs import Job
from kontext_tools.lineage import Lineage, Relative, rooted, trace
from kontext_tools.references import Ref, parse_ref
from kontext_tools.runs import shown
from kontext_tools.shelf import Shelf
from kontext_tools.stores.base import Store
from kontext_tools.stores.finds import ImageRow

if TYPE_CHECKING:
    from PIL import Image

MOST_RELATIVES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Finds:
    """A page of what a search found.

    Attributes:
        rows: newest first.
        next_cursor: of the next page, where there is one.
        told: what the search was not read as it was written.
    """

    rows: tuple[ImageRow, ...] = ()
    next_cursor: str | None = None
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One of the owner's images, or the source of one (`n` 0), with its facts and the key of its bytes."""

    ref: Ref
    facts: ImageFacts
    blob: str


class Gallery:
    """Reads one store's images."""

    def __init__(self, store: Store, inputs: Inputs, shelf: Shelf, clock: Clock, *, zone: tzinfo = UTC) -> None:
        self._store = store
        self._inputs = inputs
        self._shelf = shelf
        self._clock = clock
        self._zone = zone

    async def find_images(self, owner: str, search: Search, *, limit: int, cursor: str = "") -> Finds:
        """Give a page of the owner's images that a search means, newest first.

        All its words first; where nothing holds them, a day among them is read as the time; then any of them.

        Raises:
            InvalidArgument: `since` is no time, or the cursor is none of this search.
            UnknownRef: `derived_from` names no image of this owner.
        """
        derived_from = None
        if search.derived_from:
            derived_from = (await self._inputs.named(owner, search.derived_from, field="derived_from")).ref
        ways, before = readings(search, self._clock.now(), self._zone), None
        if cursor:
            reading, before = parse_cursor(search, cursor)
            ways = (reading,)
        for reading in ways:
            wanted = replace(reading.wanted, derived_from=derived_from, provider=search.provider or None)
            page = await self._store.images(owner, wanted, limit=limit, before=before)
            if page.rows:
                following = None if page.last is None else cursor_of(search, reading, page.last)
                return Finds(rows=page.rows, next_cursor=following, told=reading.told)
        return Finds()

    async def view_images(
        self, owner: str, refs: Sequence[str], *, longest_px: int, most_bytes: int
    ) -> tuple[tuple[Picture, ...], Fitted]:
        """Give own images and a JPEG of each, in order, together at most so many bytes.

        Raises:
            UnknownRef: one names no image of this owner.
            ResultInvalid: a kept file was changed or removed; the fix names the others.
        """
        pictures = [_picture(await self._inputs.named(owner, text, field="refs")) for text in refs]
        plain: list[Image.Image | None] = [await self._plain(picture, longest_px) for picture in pictures]
        sound = [image for image in plain if image is not None]
        if len(sound) < len(pictures):
            raise _changed([str(picture.ref) for picture in pictures], [image is not None for image in plain])
        return tuple(pictures), await darkroom.work(fit, sound, longest_px, most_bytes)

    async def image(self, owner: str, text: str) -> tuple[bytes, str]:
        """Give an own image's bytes as delivered, and their media type. Raises `UnknownRef`, `ResultInvalid`."""
        picture = await self.picture(owner, text)
        return await self._shelf.read(picture.blob, picture.facts), picture.facts.media_type

    async def picture(self, owner: str, text: str) -> Picture:
        """Give an own image's facts without reading its bytes. Raises `UnknownRef`."""
        return _picture(await self._inputs.find(owner, _ref(text)))

    async def thumb(self, owner: str, text: str) -> bytes:
        """Give a WebP of an own image, its longest side at most 256 px. Raises `UnknownRef`, `ResultInvalid`."""
        picture = await self.picture(owner, text)
        return await self._shelf.thumb(picture.blob, picture.facts)

    async def preview(self, job: Job, longest_px: int) -> bytes | None:
        """Give one JPEG of a job's images, several on a contact sheet; `None` where there is none to show."""
        pictures = shown(job)
        return await self._shelf.preview([(one.blob, one.facts) for one in pictures], longest_px) if pictures else None

    async def preview_of(self, owner: str, text: str, longest_px: int) -> bytes:
        """Give a JPEG of an own image. Raises `UnknownRef`, `ResultInvalid`."""
        picture = await self.picture(owner, text)
        return await self._shelf.preview([(picture.blob, picture.facts)], longest_px)

    async def lineage(self, owner: str, text: str) -> Lineage:
        """Give what an image was made from, and what was made from it.

        Raises:
            UnknownRef: no such image of this owner.
        """
        found = await self._inputs.find(owner, _ref(text))
        job = found.job
        rows = await self._store.kin(owner, found.ref, limit=MOST_RELATIVES + 2)
        parent = None if job.source is None else job.source.parent
        traced = trace(found.ref, parent, rows, most=MOST_RELATIVES)
        if traced.ancestors:
            first = await self._store.job(owner, traced.ancestors[0].ref.job_id)
        else:
            first = None if found.ref.n == 0 else job
        if (
            first is None
            or first.source is None
            or first.source.blob is None
            or len(traced.ancestors) == MOST_RELATIVES
        ):
            return traced
        source = Relative(ref=Ref(job_id=first.id, n=0), prompt="", created_at=first.created_at, parent=None)
        return rooted(traced, source)

    async def _plain(self, picture: Picture, longest_px: int) -> Image.Image | None:
        async with darkroom.slot():
            try:
                data = await self._shelf.read(picture.blob, picture.facts)
            except ResultInvalid:
                return None
            return await anyio.to_thread.run_sync(prints.plain, data, longest_px)


def _ref(text: str) -> Ref:
    ref = parse_ref(text)
    if ref is None:
        raise NotFound("There is no such image.", fix="Take a reference from an earlier answer.")
    return ref


def _picture(found: Found) -> Picture:
    if found.output is not None:
        return Picture(ref=found.ref, facts=found.output.facts, blob=found.output.blob)
    source = found.job.source
    assert source is not None and source.blob is not None and source.facts is not None
    return Picture(ref=found.ref, facts=source.facts, blob=source.blob)


def _changed(refs: Sequence[str], sound: Sequence[bool]) -> ResultInvalid:
    gone = [ref for ref, is_sound in zip(refs, sound, strict=True) if not is_sound]
    others = [ref for ref, is_sound in zip(refs, sound, strict=True) if is_sound]
    return ResultInvalid(
        f"The kept file of {', '.join(gone)} was changed or removed since it was written, so it is not served.",
        fix=f"Call again with refs={others}." if others else "Find another image with find_images, or make it again.",
        field="refs",
    )
