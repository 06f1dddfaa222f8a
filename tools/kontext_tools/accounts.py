"""Accounts: at which provider, and by whose key, one owner's jobs are served.

What this is: the one place that turns an owner and a provider's name into an adapter. A job bears whose key it was
recorded with (`Send.own_key`), and is driven, asked for and cancelled with that owner's key or with the operator's, and
never with the other: not when one is missing, not when an owner enters or removes a key meanwhile. What it is not: the
choice among providers (`choosing`) or the keys (`keyring`). Above: serving, steps, engine, passing, seeking. Below:
choosing, keyring, providers.base.

Rules, in this order: a provider that an owner has a key for serves them by that key; any other serves them by the
operator's where that is shared with them (`choosing.for_guests`). Under `auto` whoever has keys of their own is served
by these alone, so that nobody spends the operator's money without having asked for it by name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from kontext_tools.choosing import auto_order
from kontext_tools.errors import AuthFailed, Failure, NotConfigured
from kontext_tools.jobs import Send
from kontext_tools.keyring import Keyring
from kontext_tools.providers.base import (
    CancelOutcome,
    FetchFailed,
    Intent,
    Offer,
    Order,
    Provider,
    Snapshot,
    SubmitFailed,
    Verdict,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Who would serve one owner.

    Attributes:
        offers: of every provider that does, by name.
        order: the names that `auto` tries, of these.
        own: those that do it by the owner's own key.
        withheld: names that would with a key, and do not.
        page: where the owner enters a key; empty where they cannot.
    """

    offers: Mapping[str, Offer]
    order: tuple[str, ...]
    own: frozenset[str] = frozenset()
    withheld: frozenset[str] = frozenset()
    page: str = ""


class Accounts:
    """Adapters by whose key they use.

    Args:
        configured: those with the operator's keys, and the sandbox, by name.
        order: the names that `auto` tries of them.
        preferred: those that the operator named, which go first among an owner's own too.
        operator: the one owner whom all of them serve.
        guests: the names that serve every other owner; `None` for all.
        keyring: users' own keys; without one there are none.
        faces_guests: whether this process looks after every provider that somebody may have a key for.
    """

    def __init__(
        self,
        configured: Mapping[str, Provider],
        *,
        order: Sequence[str] = (),
        preferred: Sequence[str] = (),
        operator: str = "",
        guests: Collection[str] | None = None,
        keyring: Keyring | None = None,
        faces_guests: bool = False,
    ) -> None:
        self._configured = configured
        self._order = tuple(order)
        self._preferred = tuple(preferred)
        self._operator = operator
        self._guests = frozenset(configured) if guests is None else frozenset(guests)
        self._keyring = keyring
        self._faces_guests = faces_guests

    @property
    def offers(self) -> dict[str, Offer]:
        """What each provider can do and costs that this process may ask anything of, the sandbox last."""
        offers = {name: provider.offer for name, provider in self._configured.items()}
        if self._keyring is None or not self._faces_guests:
            return offers
        return {**self._keyring.offers, **offers}

    async def party(self, owner: str) -> Party:
        """Give who would serve an owner."""
        configured = {name: provider.offer for name, provider in self._configured.items()}
        if owner == self._operator or self._keyring is None:
            names = frozenset(configured) if owner == self._operator else self._guests
            return Party(
                offers={name: offer for name, offer in configured.items() if name in names},
                order=tuple(name for name in self._order if name in names),
                withheld=frozenset(configured) - names,
            )
        every = {**self._keyring.offers, **configured}
        own = await self._keyring.names(owner)
        offers = {name: offer for name, offer in every.items() if name in own | self._guests}
        order = self._order
        if own:
            order = tuple(dict.fromkeys((*auto_order(sorted(own), self._preferred), *auto_order(sorted(own), ()))))
        return Party(
            offers=offers,
            order=tuple(name for name in order if name in offers),
            own=own,
            withheld=frozenset(every) - frozenset(offers),
            page=self._keyring.page,
        )

    async def adapter(self, owner: str, send: Send) -> Provider:
        """Give the adapter that a send of an owner's job is driven by, and no other.

        Raises:
            NotConfigured: the key that it was recorded with is not there.
        """
        return await self.by_name(owner, send.provider, own_key=send.own_key)

    def told(self, send: Send, failure: Failure) -> Failure:
        """Give a send's failure as its owner can mend it: they enter a key of their own, no operator sets it."""
        if not send.own_key or failure.code != AuthFailed.code or self._keyring is None:
            return failure
        return replace(failure, fix=f"{self._keyring.mending(send.provider, 'a valid key')}; then call again.")

    async def by_name(self, owner: str, name: str, *, own_key: bool) -> Provider:
        """Give a provider's adapter, by whose key it is asked. Raises `NotConfigured`."""
        if own_key and self._keyring is not None:
            return await self._keyring.adapter(owner, name)
        provider = None if own_key else self._configured.get(name)
        if provider is None:
            raise NotConfigured(
                f"{name} has no key here any more; nothing more is asked of it.",
                fix=f"The operator of this server must set the key of {name} again; the job goes on by itself then.",
                field="provider",
            )
        return provider


def waits_for_key(send: Send) -> bool:
    """Whether a send that has not ended waits for the key that it was recorded with."""
    return not send.state.ended and send.failure is not None and send.failure.code == NotConfigured.code


class Locked:
    """A provider whose key is not there: whatever would need one fails, and nothing is sent.

    What needs none goes on: a result that is ready is fetched by its address.
    """

    def __init__(self, offer: Offer, failure: Failure) -> None:
        self.offer = offer
        self._failure = failure

    def request(self, order: Order) -> dict[str, object]:  # noqa: ARG002  # the seam's signatures
        """Give nothing: nothing is sent."""
        return {}

    async def submit(self, order: Order, intent: Intent) -> Snapshot:  # noqa: ARG002
        """Refuse."""
        raise SubmitFailed(Verdict.NOT_TAKEN, self._failure)

    async def fetch(self, remote_id: str) -> Snapshot:  # noqa: ARG002
        """Tell nothing."""
        raise FetchFailed(self._failure)

    async def cancel(self, remote_id: str) -> CancelOutcome:  # noqa: ARG002
        """Tell nothing."""
        raise FetchFailed(self._failure)
