"""Originals: the picture that a job starts from, as it goes out and as we keep it.

What this is: what a provider is given (an address or bytes), and our own copy of an https source, fetched while the
provider works. What it is not: reading an argument (`inputs`). Above: archive, steps. Below: sources, shelf,
providers.base, stores.base.
"""

from __future__ import annotations

from dataclasses import replace

import anyio

from kontext_tools.blobs.base import Blobs
from kontext_tools.errors import KontextError
from kontext_tools.jobs import Job, Source, SourceKind
from kontext_tools.providers.base import Attachment, Offer
from kontext_tools.shelf import Shelf
from kontext_tools.sources import Sources
from kontext_tools.stores.base import JobNews, Store


class Originals:
    """Gives jobs their pictures."""

    def __init__(self, store: Store, blobs: Blobs, sources: Sources, shelf: Shelf) -> None:
        self._store = store
        self._blobs = blobs
        self._sources = sources
        self._shelf = shelf
        self._copies: dict[str, anyio.Event] = {}

    def attachment(self, job: Job, offer: Offer) -> Attachment | None:
        """Give the picture that goes out with a job: its address where the host fetches, else our kept bytes."""
        source = job.source
        if source is None:
            return None
        if source.kind is SourceKind.URL and offer.takes_url:
            return Attachment(url=source.url, facts=source.facts)
        blob, facts = source.blob, source.facts
        assert blob is not None and facts is not None

        async def read() -> bytes:
            return await self._shelf.read(blob, facts)

        return Attachment(facts=facts, read=read)

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
