"""Whose key serves whose job, from the choice to the end, whatever becomes of the keys meanwhile."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import pytest

from kontext_tools.accounts import Accounts
from kontext_tools.edits import Edit
from kontext_tools.errors import AuthFailed, NotConfigured, RateLimited
from kontext_tools.guard import Guard
from kontext_tools.jobs import Job, JobStatus, SendState
from kontext_tools.keyring import Keyring
from kontext_tools.providers.base import Phase, Provider, RemoteOutput, Snapshot, SubmitFailed, Verdict
from kontext_tools.sealing import Seal
from kontext_tools.stores.sqlite import SqliteStore
from kontext_tools.views import Call, Quote, View
from support.canary import Hit, Told, canary
from support.fake_clock import FakeClock
from support.scripted import OFFER, Scripted, waiting
from support.workshop import Workshop, output, workshop

pytestmark = pytest.mark.anyio

DONE = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
DAY_S = 86_400
KEY = "k_0123456789abcdef"


@dataclass(slots=True, kw_only=True)
class House:
    """A server that faces guests: the operator's fal, and whatever keys people enter."""

    shop: Workshop
    keyring: Keyring
    accounts: Accounts
    operators: Scripted
    own: dict[tuple[str, str], Scripted] = field(default_factory=dict[tuple[str, str], Scripted])

    async def ask(self, owner: str, prompt: str, provider: str = "auto") -> View:
        """Ask for a picture and answer at once."""
        edit = Edit(prompt=prompt, aspect_ratio="1:1", provider=provider)
        view = await self.shop.studio.generate_image(edit, Call(owner=owner))
        assert not isinstance(view, Quote)
        return view


@asynccontextmanager
async def house(
    folder: Path, *, shares: bool = False, preferred: tuple[str, ...] = (), trusted: str = ""
) -> AsyncGenerator[House]:
    clock, store = FakeClock(), SqliteStore(folder / "kontext.db")
    operators = Scripted(creates=[DONE], looks=[DONE], offer=replace(OFFER, name="fal"))
    own: dict[tuple[str, str], Scripted] = {}

    def make(name: str, key: str) -> Provider:
        return own.setdefault((name, key), Scripted(creates=[DONE], looks=[DONE], offer=replace(OFFER, name=name)))

    keyring = Keyring(store, Seal(lambda: bytes(32)), make, ("fal", "bfl"), clock, page="https://k/keys")
    accounts = Accounts(
        {"fal": operators},
        order=("fal",),
        preferred=preferred,
        operator="local",
        guests=("fal",) if shares else (),
        keyring=keyring,
        faces_guests=True,
    )
    guard = Guard(trusted=[trusted]) if trusted else None
    with anyio.fail_after(30):
        async with workshop(folder, operators, clock=clock, accounts=accounts, guard=guard) as shop:
            yield House(shop=shop, keyring=keyring, accounts=accounts, operators=operators, own=own)
    await store.close()


async def test_who_has_keys_is_served_by_them_and_who_has_none_by_what_is_shared(tmp_path: Path) -> None:
    async with house(tmp_path, shares=True, preferred=("bfl",)) as h:
        nobodys = await h.accounts.party("ann")
        await h.keyring.keep("ann", "fal", KEY)
        await h.keyring.keep("ann", "bfl", KEY)
        hers, local = await h.accounts.party("ann"), await h.accounts.party("local")
    assert (nobodys.order, nobodys.own, nobodys.withheld) == (("fal",), frozenset(), frozenset({"bfl"}))
    assert (hers.order, hers.own) == (("bfl", "fal"), {"fal", "bfl"}), "the one that the operator prefers goes first"
    assert (local.order, local.own, local.page) == (("fal",), frozenset(), "")


async def test_without_sharing_a_guest_without_a_key_is_told_where_to_enter_one(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        told: list[NotConfigured] = []
        for provider in ("auto", "fal", "bfl"):
            with pytest.raises(NotConfigured) as caught:
                await h.ask("ann", "a lake", provider)
            told.append(caught.value)
        assert h.operators.creates == []
    assert [one.key_for for one in told] == ["", "fal", "bfl"]
    assert all("https://k/keys" in one.failure.fix for one in told)


async def test_a_job_keeps_to_the_key_that_it_was_recorded_with(tmp_path: Path) -> None:
    """RELIABILITY.md section 8: never another user's key, nor the operator's."""
    async with house(tmp_path, shares=True) as h:
        h.operators._on_create[:] = [waiting()]  # pyright: ignore[reportPrivateUsage]
        h.operators._on_look[:] = [waiting()]  # pyright: ignore[reportPrivateUsage]
        shared = await h.ask("ann", "by the operator's", "fal")
        await h.shop.until(shared.job.id, SendState.SUBMITTED)
        await h.keyring.keep("ann", "fal", KEY)
        h.operators._on_look[:] = [DONE]  # pyright: ignore[reportPrivateUsage]  # so what ends it is asked for after
        ended = await h.shop.until(shared.job.id, SendState.COMPLETED)
        assert ended.status is JobStatus.COMPLETED
        assert ("fal", KEY) not in h.own
        own = await h.ask("ann", "by her own", "fal")
        await h.shop.until(own.job.id, SendState.COMPLETED)
    assert (len(h.operators.creates), len(h.own["fal", KEY].creates)) == (1, 1)


async def test_a_job_without_its_key_waits_says_so_takes_no_slot_and_goes_on(tmp_path: Path) -> None:
    async with house(tmp_path, shares=True) as h:
        await h.keyring.keep("ann", "fal", KEY)
        scripted = Scripted(creates=[waiting()], looks=[waiting()], offer=replace(OFFER, name="fal", concurrency=1))
        h.own["fal", KEY] = scripted
        h.operators.offer = replace(OFFER, name="fal", concurrency=1)
        view = await h.ask("ann", "a long lake", "fal")
        await h.shop.until(view.job.id, SendState.SUBMITTED)
        await h.keyring.drop("ann", "fal")
        waits = await h.shop.when(view.job.id, lambda job: job.failure is not None)
        assert waits.failure is not None
        assert (waits.status, waits.failure.code) == (JobStatus.PENDING, "not_configured")
        looks = scripted.looks
        bobs = await h.ask("bob", "a lake of Bob's", "fal")
        await h.shop.until(bobs.job.id, SendState.COMPLETED)
        assert (scripted.looks, h.operators.looks) == (looks, 0), "nothing was asked about hers"
        _, outcome = await h.shop.studio.cancel_job(view.job.id, Call(owner="ann"))
        assert outcome == "cannot_cancel"
        again = Scripted(creates=[], looks=[DONE], offer=replace(OFFER, name="fal"))
        h.own["fal", KEY] = again
        await h.keyring.keep("ann", "fal", KEY)
        ended = await h.shop.until(view.job.id, SendState.COMPLETED)
    assert ended.status is JobStatus.COMPLETED and ended.failure is None


async def test_a_job_whose_key_does_not_come_back_for_a_day_fails_and_says_what_may_be_charged(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.keyring.keep("ann", "fal", KEY)
        h.own["fal", KEY] = Scripted(creates=[waiting()], looks=[waiting()], offer=replace(OFFER, name="fal"))
        sent = await h.ask("ann", "sent", "fal")
        await h.shop.until(sent.job.id, SendState.SUBMITTED)
        await h.keyring.drop("ann", "fal")
        await h.shop.when(sent.job.id, lambda job: job.failure is not None)
        await h.shop.let_pass(DAY_S)
        ended = await h.shop.until(sent.job.id, SendState.FAILED, step_s=20)
    assert ended.failure is not None
    assert (ended.failure.code, ended.failure.billed.value) == ("not_configured", "unknown")


async def test_a_result_that_is_ready_is_fetched_though_the_key_is_gone(tmp_path: Path) -> None:
    picture = output().data
    assert picture is not None

    def answer(_: Hit) -> Told:
        return Told(status=503) if not serves.is_set() else Told(body=picture, headers={"content-type": "image/png"})

    serves = anyio.Event()
    with canary(answer) as host:
        async with house(tmp_path, trusted=host.base_url) as h:
            await h.keyring.keep("ann", "fal", KEY)
            ready = replace(DONE, outputs=(RemoteOutput(url=f"{host.base_url}/a.png"),))
            own = Scripted(creates=[waiting()], looks=[ready], offer=replace(OFFER, name="fal"))
            h.own["fal", KEY] = own
            view = await h.ask("ann", "a lake", "fal")
            await h.shop.when(view.job.id, _is_missed)
            await h.keyring.drop("ann", "fal")
            looks = own.looks
            serves.set()
            ended = await h.shop.until(view.job.id, SendState.COMPLETED)
    assert (len(ended.outputs), own.looks) == (1, looks)


async def test_a_429_to_an_own_key_holds_back_its_send_alone(tmp_path: Path) -> None:
    limited = SubmitFailed(Verdict.NOT_TAKEN, RateLimited("wait", fix="wait", retry_after_s=20).failure)
    async with house(tmp_path, shares=True) as h:
        await h.keyring.keep("ann", "fal", KEY)
        h.own["fal", KEY] = Scripted(creates=[limited, DONE], offer=replace(OFFER, name="fal"))
        hers = await h.ask("ann", "a lake", "fal")
        await h.shop.when(hers.job.id, _is_queued_again)
        began = h.shop.clock.monotonic()
        his = await h.ask("bob", "a hill", "fal")
        await h.shop.until(his.job.id, SendState.COMPLETED)
        assert h.shop.clock.monotonic() - began < 10
        await h.shop.until(hers.job.id, SendState.COMPLETED)
        assert h.shop.clock.monotonic() - began >= 10


async def test_what_an_own_key_cannot_do_is_passed_on_to_own_keys_alone(tmp_path: Path) -> None:
    refused = SubmitFailed(Verdict.REFUSED, AuthFailed("no", fix="x").failure)
    async with house(tmp_path, shares=True) as h:
        await h.keyring.keep("ann", "bfl", KEY)
        h.own["bfl", KEY] = Scripted(creates=[refused], offer=replace(OFFER, name="bfl"))
        alone = await h.shop.until((await h.ask("ann", "one key")).job.id, SendState.FAILED, SendState.COMPLETED)
        assert alone.failure is not None and alone.failure.code == "auth_failed"
        await h.keyring.keep("ann", "fal", KEY)
        passed = await h.shop.until((await h.ask("ann", "two keys")).job.id, SendState.FAILED, SendState.COMPLETED)
    assert (passed.status, passed.provider, passed.sends[0].own_key) == (JobStatus.COMPLETED, "fal", True)
    assert h.operators.creates == [], "the operator's key serves nobody who has not asked for it"


def _is_queued_again(job: Job) -> bool:
    return job.sends[0].attempts == 1 and job.sends[0].state is SendState.QUEUED


def _is_missed(job: Job) -> bool:
    return job.sends[0].misses > 0 and job.sends[0].state is SendState.READY
