"""Users' own keys: kept sealed, used as adapters, forgotten at once; tickets, which work once and end."""

from __future__ import annotations

import gc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from kontext_tools.errors import InvalidArgument, NotConfigured
from kontext_tools.keyring import MOST_ADAPTERS, Held, Keyring
from kontext_tools.providers.base import Provider
from kontext_tools.redaction import Redactor
from kontext_tools.sealing import Seal
from kontext_tools.stores.sqlite import SqliteStore
from kontext_tools.tickets import Tickets
from support.fake_clock import START, FakeClock
from support.scripted import OFFER, Scripted, waiting

pytestmark = pytest.mark.anyio

KEY, OTHER = "r8_0123456789abcdefWXYZ", "r8_another-key-of-hers"
REDACT = Redactor([])


@dataclass(slots=True)
class Desk:
    keyring: Keyring
    store: SqliteStore
    clock: FakeClock
    made: list[tuple[str, str]]

    def under(self, secret: bytes) -> Keyring:
        """Give the keys as a process with another secret key has them."""
        return Keyring(self.store, Seal(lambda: secret), self.make, ("fal", "bfl"), self.clock, page="https://k/keys")

    def make(self, name: str, key: str) -> Provider | None:
        self.made.append((name, key))
        return None if name == "bfl" else Scripted(creates=[waiting()], offer=replace(OFFER, name=name))


@asynccontextmanager
async def desk(folder: Path) -> AsyncGenerator[Desk]:
    store, clock = SqliteStore(folder / "kontext.db"), FakeClock()
    given = Desk(keyring=None, store=store, clock=clock, made=[])  # type: ignore[arg-type]
    given.keyring = given.under(bytes(32))
    with anyio.fail_after(20):
        yield given
    await store.close()


async def test_a_key_is_its_owners_and_serves_until_it_is_removed(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        await d.keyring.keep("ann", "fal", f" {KEY}\n")
        assert await d.keyring.held("ann") == [Held(provider="fal", tail="WXYZ", entered_at=START)]
        assert (await d.keyring.names("ann"), await d.keyring.names("bob")) == (frozenset({"fal"}), frozenset())
        d.made.clear()
        adapter = await d.keyring.adapter("ann", "fal")
        assert await d.keyring.adapter("ann", "fal") is adapter
        assert d.made == [("fal", KEY)]
        with pytest.raises(NotConfigured):
            await d.keyring.adapter("bob", "fal")
        assert await d.keyring.drop("ann", "fal")
        with pytest.raises(NotConfigured) as caught:
            await d.keyring.adapter("ann", "fal")
        assert not await d.keyring.drop("ann", "fal")
    assert caught.value.key_for == "fal" and "https://k/keys" in caught.value.failure.fix


async def test_a_key_that_was_replaced_or_removed_by_another_process_is_used_no_more(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        elsewhere = d.under(bytes(32))
        await d.keyring.keep("ann", "fal", KEY)
        await d.keyring.adapter("ann", "fal")
        await elsewhere.keep("ann", "fal", OTHER)
        await d.keyring.adapter("ann", "fal")
        assert d.made[-1] == ("fal", OTHER)
        await elsewhere.drop("ann", "fal")
        with pytest.raises(NotConfigured):
            await d.keyring.adapter("ann", "fal")


async def test_a_key_under_another_secret_key_is_not_configured_in_words_that_say_so(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        await d.keyring.keep("ann", "fal", KEY)
        changed = d.under(b"2" * 32)
        with pytest.raises(NotConfigured) as caught:
            await changed.adapter("ann", "fal")
        assert [held.tail for held in await changed.held("ann")] == [None]
    assert "KONTEXT_SECRET_KEY" in caught.value.failure.message


@pytest.mark.parametrize(
    ("provider", "key", "field"),
    [("sandbox", KEY, "provider"), ("bfl", KEY, "provider"), ("fal", "x" * 15, "key"), ("fal", "x" * 513, "key")]
    + [("fal", f"{KEY}{odd}{KEY}", "key") for odd in (" ", "\n", "\x00", "é")],
)
async def test_what_is_no_key_is_refused_and_not_repeated(tmp_path: Path, provider: str, key: str, field: str) -> None:
    async with desk(tmp_path) as d:
        with pytest.raises(InvalidArgument) as caught:
            await d.keyring.keep("ann", provider, key)
        assert await d.keyring.held("ann") == []
    assert caught.value.failure.field == field
    assert key not in str(caught.value.failure)


async def test_a_key_in_use_is_taken_out_of_every_text_and_forgotten_with_its_last_use(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        await d.keyring.keep("ann", "fal", KEY)
        adapter = await d.keyring.adapter("ann", "fal")
        assert REDACT(f"bad {KEY}") == "bad [key]"
        await d.keyring.drop("ann", "fal")
        assert REDACT(f"bad {KEY}") == "bad [key]", "a call that is under way may still tell it"
        del adapter
        gc.collect()
        assert REDACT(f"bad {KEY}") == f"bad {KEY}"


async def test_adapters_at_hand_are_bounded(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        await d.keyring.keep("first", "fal", KEY)
        first = await d.keyring.adapter("first", "fal")
        for n in range(MOST_ADAPTERS):
            await d.keyring.keep(f"o{n}", "fal", OTHER)
            await d.keyring.adapter(f"o{n}", "fal")
        assert await d.keyring.adapter("first", "fal") is not first


async def test_a_ticket_works_once_for_its_purpose_until_it_ends(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        tickets, elsewhere = Tickets(d.store, d.clock), Tickets(d.store, d.clock)
        one, two = [await tickets.issue("ann", "key", lasts=timedelta(minutes=10), about="fal") for _ in range(2)]
        assert one != two and len(one) >= 43
        d.clock.advance(599)
        seen = await tickets.seen(one, "key")
        assert seen is not None and (seen.owner, seen.about) == ("ann", "fal")
        assert await tickets.seen(one, "other") is await tickets.taken(one, "other") is None
        taken = [await who.taken(one, "key") for who in (elsewhere, tickets)]
        assert [ticket is None for ticket in taken] == [False, True]
        assert await tickets.seen(one, "key") is None
        d.clock.advance(1)
        assert await tickets.seen(two, "key") is await tickets.taken(two, "key") is None
        assert await tickets.seen("\ud800", "key") is None
