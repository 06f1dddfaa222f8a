"""Users' own keys: entered by a person, kept under our seal, and turned into an adapter for their own jobs alone.

What this is: what can be done with a key. There is no way to read one: it goes in, it is used, it is removed; of what
was entered only the last four characters are ever shown. What it is not: who serves whom (`accounts`), the page where a
key is entered (`kontext_server.web.key_page`), or the seal (`sealing`). Above: accounts, app. Below: stores.keys,
sealing, providers.base.

An adapter lives with the key that it was made with; the row is looked up for each use, so that a key which was removed
or replaced, here or by another process, is used for no further request.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from kontext_tools.clocks import Clock
from kontext_tools.errors import InvalidArgument, NotConfigured
from kontext_tools.providers.base import Offer, Provider
from kontext_tools.redaction import learn
from kontext_tools.sealing import Broken, Seal
from kontext_tools.stores.keys import KeyStore, SealedKey

ID_BYTES = 16
MIN_CHARS, MAX_CHARS = 16, 512
"""Every provider's keys are longer than the one, and a quarter as long as the other at most; what is shorter than the
one would leave little to guess beside the four characters that are shown."""
SHOWN_CHARS = 4
MOST_ADAPTERS = 256
"""So many are kept at hand; another is made where it is used again."""

Make = Callable[[str, str], Provider | None]
"""Makes a provider's adapter, by name, with a key; `None` where it has not the operator's model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One of an owner's keys, as it may be shown.

    Attributes:
        provider: what it is for.
        tail: its last four characters; `None` where it does not open under this server's secret key.
        entered_at: UTC.
    """

    provider: str
    tail: str | None
    entered_at: datetime


class Keyring:
    """Every owner's own keys.

    Args:
        store: where they are kept.
        seal: what they are kept under.
        make: makes adapters.
        names: of the providers that take a key, in our order.
        clock: what times are from.
        page: where people enter keys, as an address; empty where this process serves no page.
    """

    def __init__(
        self, store: KeyStore, seal: Seal, make: Make, names: Sequence[str], clock: Clock, *, page: str = ""
    ) -> None:
        self._store = store
        self._seal = seal
        self._make = make
        self._names = tuple(names)
        self._clock = clock
        self.page = page
        self._offers: dict[str, Offer] | None = None
        self._adapters: OrderedDict[tuple[str, str], tuple[str, Provider]] = OrderedDict()

    @property
    def offers(self) -> dict[str, Offer]:
        """What each provider that a key may be entered for can do and costs, in our order."""
        if self._offers is None:
            made = {name: self._make(name, "") for name in self._names}
            self._offers = {name: provider.offer for name, provider in made.items() if provider is not None}
        return self._offers

    def check(self, provider: str, key: str) -> str:
        """Give the key as it would be kept.

        Raises:
            InvalidArgument: no such provider, or no text that could be a key; it is not told.
        """
        if provider not in self.offers:
            raise InvalidArgument("There is no provider of that name.", fix="Choose one of the list.", field="provider")
        key = key.strip()
        if not MIN_CHARS <= len(key) <= MAX_CHARS or not key.isascii() or not key.isprintable() or " " in key:
            raise InvalidArgument(
                "That is no key: it takes 16 to 512 characters without blanks.",
                fix="Copy the whole key, and nothing else.",
                field="key",
            )
        return key

    async def keep(self, owner: str, provider: str, key: str) -> None:
        """Keep a key under the seal, in the place of the one before. Raises `InvalidArgument`."""
        key = self.check(provider, key)
        key_id = secrets.token_hex(ID_BYTES)
        sealed = self._seal.sealed(key, key_id, owner, provider)
        await self._store.keep_key(
            SealedKey(id=key_id, owner=owner, provider=provider, sealed=sealed, entered_at=self._clock.now())
        )

    async def drop(self, owner: str, provider: str) -> bool:
        """Remove a key at once; false where there is none."""
        self._adapters.pop((owner, provider), None)
        return await self._store.drop_key(owner, provider)

    async def held(self, owner: str) -> list[Held]:
        """Give an owner's keys as they may be shown."""
        return [
            Held(provider=row.provider, tail=self._tail(row), entered_at=row.entered_at)
            for row in await self._store.own_keys(owner)
        ]

    async def names(self, owner: str) -> frozenset[str]:
        """Give the providers that an owner has a key for."""
        return frozenset(row.provider for row in await self._store.own_keys(owner)) & frozenset(self.offers)

    async def adapter(self, owner: str, provider: str) -> Provider:
        """Give the adapter that uses an owner's own key.

        Raises:
            NotConfigured: there is no such key any more, or it does not open.
        """
        row = await self._store.own_key(owner, provider)
        if row is None:
            self._adapters.pop((owner, provider), None)
            raise self._needed(provider, "The key of your own is not there any more")
        kept = self._adapters.get((owner, provider))
        if kept is None or kept[0] != row.id:
            kept = (row.id, self._made(row))
            self._adapters[owner, provider] = kept
            while len(self._adapters) > MOST_ADAPTERS:
                self._adapters.popitem(last=False)
        self._adapters.move_to_end((owner, provider))
        return kept[1]

    def _made(self, row: SealedKey) -> Provider:
        try:
            key = self._opened(row)
        except Broken:
            raise self._needed(
                row.provider, "Your key cannot be opened: this server's KONTEXT_SECRET_KEY is another one now"
            ) from None
        provider = self._make(row.provider, key)
        if provider is None:
            raise NotConfigured(
                f"{row.provider} has not the model that this server's operator chose; nothing was sent.",
                fix="The operator of this server must set another KONTEXT_MODEL.",
                field="provider",
            )
        learn(key, provider)
        return provider

    def _tail(self, row: SealedKey) -> str | None:
        try:
            return self._opened(row)[-SHOWN_CHARS:]
        except Broken:
            return None

    def _opened(self, row: SealedKey) -> str:
        return self._seal.opened(row.sealed, row.id, row.owner, row.provider)

    def mending(self, provider: str, what: str) -> str:
        """Give what a person does who has to enter a key."""
        where = f"at {self.page}" if self.page else "on this server's page for keys"
        return f"The person enters {what} for {provider} {where}"

    def _needed(self, provider: str, what: str) -> NotConfigured:
        needed = NotConfigured(
            f"{what}; nothing more is asked of {provider}.",
            fix=f"{self.mending(provider, 'their key')}; a job that waits for it goes on by itself then.",
            field="provider",
        )
        needed.by_key_for(provider)
        return needed
