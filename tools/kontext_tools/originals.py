"""Originals: the picture that a job starts from, as it goes out and as we keep it.

What this is: what a provider is given (an address or bytes), and our own copy of an https source, fetched while the
provider works. What it is not: reading an argument (`inputs`). Above: archive, steps. Below: sources, shelf,
providers.base, stores.base.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import anyio
import anyio.to_thread

from kontext_tools import darkroom
from kontext_tools.blobs.base import Blobs
from kontext_tools.errors import KontextError
from kontext_tools.jobs import Job, Source, SourceKind
from kontext_tools.providers.base import Attachment, Offer
from kontext_tools.references import parse_ref
from kontext_tools.scaling import scaled
from kontext_tools.shelf import Shelf
from kontext_tools.sources import Sources
from kontext_tools.stores.base import JobNews, Store

ADDRESS_S = 24 * 3600.0
"""So long an address of our own kept bytes holds. It is made when a job is drafted, and fetched when the host begins:
between lie our line for a slot, a gate that stays closed, a restart, and the host's own line. A day covers these; the
host has the picture anyway, and nobody else is told the address."""


def can_go(offer: Offer, source: Source | None) -> bool:
    """Whether a source can reach a host, by its address or as bytes."""
    if source is None:
        return True
    return (offer.takes_url and source.url is not None) or (offer.takes_bytes and source.blob is not None)


class Originals:
    """Gives jobs their pictures."""

    def __init__(self, store: Store, blobs: Blobs, sources: Sources, shelf: Shelf) -> None:
        self._store = store
        self._blobs = blobs
        self._sources = sources
        self._shelf = shelf
        self._copies: dict[str, anyio.Event] = {}

    async def attachment(self, job: Job, offer: Offer) -> Attachment | None:
        """Give the picture that goes out with a job: its address where that goes, else our kept bytes.

        Bytes over the host's stated limit are scaled down; drafting told it. Raises `ResultInvalid`.
        """
        source = job.source
        if source is None:
            return None
        if source.url is not None and offer.takes_url and (source.kind is SourceKind.URL or not offer.takes_bytes):
            return Attachment(url=source.url, facts=source.facts)
        blob, facts = source.blob, source.facts
        assert blob is not None and facts is not None
        if not offer.is_too_large(facts):
            return Attachment(facts=facts, read=partial(self._shelf.read, blob, facts))
        async with darkroom.slot():
            kept = await self._shelf.read(blob, facts)
            data, facts = await anyio.to_thread.run_sync(
                partial(scaled, kept, longest_px=offer.max_input_px, most_bytes=offer.max_input_bytes)
            )

        async def read() -> bytes:
            return data

        return Attachment(facts=facts, read=read)

    async def addressed(self, owner: str, source: Source) -> Source | None:
        """Give a source an address for a host that takes no upload; `None` where there is none that it can fetch.

        The earlier result's own goes first, then one of the place where pictures are kept (`Blobs.address`), each
        proven by one GET through the guard: an address within the operator's own network is none for a host.
        """
        if source.url is not None:
            return source
        for address in (self._of_earlier, self._of_blobs):
            url = await address(owner, source)
            if url is not None and await self._sources.is_alive(url):
                return replace(source, url=url)
        return None

    async def _of_earlier(self, owner: str, source: Source) -> str | None:
        ref = None if source.parent is None else parse_ref(source.parent)
        job = None if ref is None else await self._store.job(owner, ref.job_id)
        if ref is None or job is None:
            return None
        return next((output.remote_url for output in job.outputs if output.n == (ref.n or 1)), None)

    async def _of_blobs(self, _: str, source: Source) -> str | None:
        return None if source.blob is None else await self._blobs.address(source.blob, expires_s=ADDRESS_S)

    async def copy(self, job: Job) -> Source | None:
        """Fetch our own copy of an https source, once per process; a failure is told as a warning.

        Gives the source as it stands afterwards.
        """
        source = job.source
        if source is None or source.url is None or source.blob is not None:
            return source
        under_way = self._copies.get(job.id)
        if under_way is not None:
            await under_way.wait()
            stored = await self._store.any_job(job.id)
            return None if stored is None else stored.source
        done = self._copies[job.id] = anyio.Event()
        try:
            picture = await self._sources.from_url(source.url, self._blobs.temporary())
            source = replace(
                source, facts=picture.facts, blob=await self._shelf.keep_source(picture.data, picture.facts)
            )
            news = JobNews(source=source)
        except KontextError:
            news = JobNews(
                warnings=("The source could not be fetched by us, so there is no 'before' and no change report.",)
            )
        finally:
            done.set()
        await self._store.add_news(job.id, news)
        return source
