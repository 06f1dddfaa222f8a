"""Uploads: a picture that a person or their client puts where we can read it, for an edit that names it.

What this is: an address of ours that takes one picture, once, within an hour, and that then is the picture's own
reference for a day, for its owner alone. It is known by its beginning, before anything else looks at it, and is never
fetched: so it works on loopback too, and opens no way to an address of anybody else's. What it is not: the page at that
address (`kontext_server.web.uploads`). Above: inputs, app. Below: tickets, sources, shelf, trash.

Who holds the address before it was used may put a picture there, and learns nothing by it: whose it is stands in the
row, and the picture is read by that owner alone. Once it was used the address is no secret. A picture is kept like any
other source, by its sha-256; when its day ends its key goes into the trash, from where a job that refers to it, or
another upload of the same bytes, keeps it.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta

from kontext_tools.errors import KontextError, NotFound, SourceNotAllowed, SourceTooLarge, UnknownRef
from kontext_tools.images import MAX_INPUT_BYTES, ImageFacts
from kontext_tools.pictures import Source, SourceKind
from kontext_tools.shelf import Shelf
from kontext_tools.sources import Sources
from kontext_tools.tickets import Tickets
from kontext_tools.trash import Trash

OPEN, KEPT = "upload", "uploaded"
"""Purposes of its ticket: while it takes a picture, and while it stands for one."""
OPEN_FOR = timedelta(hours=1)
KEPT_FOR = timedelta(hours=24)


class Uploads:
    """Uploads of every owner.

    Args:
        tickets: what an address stands for.
        sources: proves and cleans what comes.
        shelf: keeps it.
        trash: what is left of those whose day is over.
        place: where the addresses are, without a slash at its end; such as `https://kontext.example/uploads`.
    """

    def __init__(self, tickets: Tickets, sources: Sources, shelf: Shelf, trash: Trash, *, place: str) -> None:
        self._tickets = tickets
        self._trash = trash
        self._sources = sources
        self._shelf = shelf
        self._place = place

    def names(self, text: str) -> bool:
        """Whether an image argument is an address of ours, by its text alone."""
        return text.startswith(f"{self._place}/")

    def address(self, words: str) -> str:
        """Give the address that words are at the end of."""
        return f"{self._place}/{words}"

    async def instead(self, owner: str, refusal: SourceNotAllowed) -> SourceNotAllowed:
        """Give the refusal of a file of this machine with a new address for it, which is its reference from then on."""
        told, way = refusal.failure, await self._way(owner)
        return SourceNotAllowed(told.message, fix=f"{way} Or {told.fix[0].lower()}{told.fix[1:]}", field=told.field)

    async def is_open(self, words: str) -> bool:
        """Whether an address takes a picture."""
        return await self._tickets.seen(words, OPEN) is not None

    async def take(self, words: str, data: bytes) -> ImageFacts:
        """Keep what came at an address, which takes nothing more then; give what the picture is.

        Raises:
            NotFound: nothing is taken there, or not any more.
            SourceUnreadable: it is no picture; the address stays open.
            SourceTooLarge: over 50 MB or 50 megapixels; likewise.
            StorageFull, StorageBusy: likewise.
        """
        ticket = await self._tickets.seen(words, OPEN)
        if ticket is None:
            raise over()
        if len(data) > MAX_INPUT_BYTES:
            raise too_large()
        picture = await self._sources.cleaned(data)
        blob = await self._shelf.keep_source(picture.data, picture.facts)
        about = json.dumps({"blob": blob, "facts": picture.facts.to_dict()})
        if not await self._tickets.become(words, OPEN, KEPT, lasts=KEPT_FOR, about=about):
            raise over()
        with suppress(KontextError):  # what is not removed now is at the next upload, or start
            await self._trash.empty()
        return picture.facts

    async def source(self, owner: str, text: str) -> Source:
        """Give the source that an address stands for, to whoever asked for the address.

        Raises:
            UnknownRef: it stands for none yet, not any more, or for another's: these read the same, but for one's own
                that is still open.
        """
        words = text.removeprefix(f"{self._place}/")
        kept = await self._tickets.seen(words, KEPT)
        if kept is not None and kept.owner == owner:
            told = json.loads(kept.about)
            return Source(kind=SourceKind.FILE, facts=ImageFacts.from_dict(told["facts"]), blob=told["blob"])
        waits = await self._tickets.seen(words, OPEN)
        mine = waits is not None and waits.owner == owner
        raise UnknownRef(
            "No picture was uploaded at that address; nothing was sent.",
            fix=_way_by(text) if mine else await self._way(owner),
            field="image",
        )

    async def _way(self, owner: str) -> str:
        return _way_by(self.address(await self._tickets.issue(owner, OPEN, lasts=OPEN_FOR)))


def _way_by(address: str) -> str:
    return (
        f"PUT the file to {address} or let the person open that page and choose it (once, within an hour); then call "
        f"again with image='{address}'."
    )


def over() -> NotFound:
    """Give the refusal of an address that takes nothing: used, over, or never given."""
    return NotFound(
        "This address takes no picture: it works once, within an hour.",
        fix="Name the file as image in a call; its refusal gives a new address.",
    )


def too_large() -> SourceTooLarge:
    """Give the refusal of a file over 50 MB."""
    return SourceTooLarge("The image is over 50 MB; it was not kept.", fix="Upload a smaller copy.", field="image")
