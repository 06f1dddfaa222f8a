"""What a host's call leads to: a look with our key, once, whatever the call says and however often it comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from kontext_tools.callbacks import OF_ONE_SEND, Callbacks
from kontext_tools.errors import OutcomeUnknown, ProviderUnavailable
from kontext_tools.hooks import Hooks, Place
from kontext_tools.jobs import Job, JobStatus, SendState
from kontext_tools.providers.base import FetchFailed, Lost, Phase, Snapshot, SubmitFailed, Verdict
from kontext_tools.providers.hooks import Heard, Knock, heard
from support.scripted import OFFER, Scripted, Step, waiting
from support.workshop import Workshop, output, workshop

pytestmark = pytest.mark.anyio

DONE = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
LOST = SubmitFailed(Verdict.UNKNOWN, OutcomeUnknown("lost", fix="look").failure)
UNREACHED = FetchFailed(ProviderUnavailable("not reached", fix="call again").failure)
HOOKS = Hooks("https://kontext.example", b"s" * 32, ["core.today"])


class Calling(Scripted):
    """A host that calls back.

    Attributes:
        asked: what it was asked about jobs that its calls named.
        knows: what it says of one.
    """

    def __init__(self, *, creates: list[Step], looks: list[Step]) -> None:
        super().__init__(creates=creates, looks=looks, offer=replace(OFFER, call_bytes=100))
        self.asked: list[tuple[Lost, str]] = []
        self.knows: list[bool | FetchFailed] = [True]

    async def hear(self, knock: Knock, secret: str) -> Heard | None:
        """Believe whoever bears the secret."""
        proven = knock.header("x-secret") == secret
        return heard(knock, "id") if proven else None

    async def made(self, lost: Lost, remote_id: str) -> bool:
        """Say what the list says."""
        self.asked.append((lost, remote_id))
        answer = self.knows.pop(0) if len(self.knows) > 1 else self.knows[0]
        if isinstance(answer, FetchFailed):
            raise answer
        return answer


@asynccontextmanager
async def hearing(folder: Path, host: Calling) -> AsyncGenerator[tuple[Workshop, Callbacks]]:
    with anyio.fail_after(20):
        async with workshop(folder, host, hooks=HOOKS) as shop:
            yield shop, Callbacks(HOOKS, {"core.today": host.offer}, shop.engine, shop.clock)


def place_of(job: Job) -> Place:
    return Place.of(job.sends[0])


async def call(ears: Callbacks, job: Job, body: bytes = b'{"id": "r1"}') -> bool:
    place = place_of(job)
    return await ears.take(place, {"x-secret": HOOKS.secret(place)}, body)


async def looked(shop: Workshop, host: Calling, times: int) -> None:
    """Wait, while time stands still, until the host was looked at so often and the engine rests."""
    while host.looks < times or shop.clock.busy:
        await shop.store.next_due(())
    assert host.looks == times


async def test_a_call_is_followed_by_a_look_before_that_was_due(tmp_path: Path) -> None:
    host = Calling(creates=[waiting()], looks=[DONE])
    async with hearing(tmp_path, host) as (shop, ears):
        job = await shop.until((await shop.generate()).job.id, SendState.SUBMITTED)
        with shop.engine.news_of(job.id) as news:
            before = shop.clock.now()
            assert await call(ears, job)
            await news.wait()
        job = await shop.store.any_job(job.id) or job
        passed = shop.clock.now() - before
    assert (job.status, host.looks, passed.total_seconds()) == (JobStatus.COMPLETED, 1, 0)
    assert job.sends[0].hooked


async def test_an_unproven_call_changes_nothing(tmp_path: Path) -> None:
    host = Calling(creates=[waiting()], looks=[DONE])
    async with hearing(tmp_path, host) as (shop, ears):
        job = await shop.until((await shop.generate()).job.id, SendState.SUBMITTED)
        assert not await ears.take(place_of(job), {"x-secret": "whk_guessed"}, b'{"id": "r1"}')
        await shop.let_pass(1.0)
        assert await shop.store.any_job(job.id) == job
    assert host.looks == 0


async def test_a_call_amid_a_look_is_followed_by_another_look(tmp_path: Path) -> None:
    """What that look asked for may have been answered before the host had finished."""

    async def interrupted() -> Snapshot:
        job = await shop.store.any_job(job_id)
        assert job is not None
        assert await call(ears, job)
        return waiting()

    host = Calling(creates=[waiting()], looks=[interrupted, DONE])
    async with hearing(tmp_path, host) as (shop, ears):
        job_id = (await shop.generate()).job.id
        await shop.until(job_id, SendState.SUBMITTED)
        while not host.looks:
            shop.clock.advance(0.5)
            await shop.store.next_due(())
        at = shop.clock.now()
        await looked(shop, host, 2)
        assert shop.clock.now() == at
    assert host.looks == 2


async def test_a_lost_create_is_bound_to_the_job_that_its_hosts_call_names(tmp_path: Path) -> None:
    host = Calling(creates=[LOST], looks=[DONE])
    async with hearing(tmp_path, host) as (shop, ears):
        job = await shop.until((await shop.generate()).job.id, SendState.UNKNOWN)
        assert await call(ears, job)
        found = await shop.until(job.id, SendState.COMPLETED)
    ((lost, remote_id),) = host.asked
    assert (lost.order.key, lost.sent_at, remote_id) == (f"{job.id}:1", job.sends[0].sent_at, "r1")
    assert (found.status, found.sends[0].remote_id, len(host.creates)) == (JobStatus.COMPLETED, "r1", 1)


async def test_a_job_that_another_send_holds_is_not_bound_again(tmp_path: Path) -> None:
    host = Calling(creates=[waiting(), LOST], looks=[waiting()])
    async with hearing(tmp_path, host) as (shop, ears):
        await shop.until((await shop.generate()).job.id, SendState.SUBMITTED)
        job = await shop.until((await shop.generate("a blue car")).job.id, SendState.UNKNOWN)
        assert await call(ears, job)
        assert await shop.store.any_job(job.id) == job
    assert host.asked == []


@pytest.mark.parametrize("body", [b"", b"{}", b'{"id": ".."}', b'{"id": 7}', b"[]"])
async def test_a_call_that_names_no_job_leaves_a_lost_create_as_it_is(tmp_path: Path, body: bytes) -> None:
    host = Calling(creates=[LOST], looks=[DONE])
    async with hearing(tmp_path, host) as (shop, ears):
        job = await shop.until((await shop.generate()).job.id, SendState.UNKNOWN)
        assert await call(ears, job, body)
        assert await shop.store.any_job(job.id) == job
    assert host.asked == []


async def test_a_job_that_the_host_does_not_know_or_that_differs_is_not_bound(tmp_path: Path) -> None:
    host = Calling(creates=[LOST], looks=[DONE])
    host.knows = [False]
    async with hearing(tmp_path, host) as (shop, ears):
        job = await shop.until((await shop.generate()).job.id, SendState.UNKNOWN)
        assert await call(ears, job)
        assert await shop.store.any_job(job.id) == job
    assert len(host.asked) == 1


async def test_a_host_that_calls_and_does_not_answer_is_asked_three_times_and_may_call_again(tmp_path: Path) -> None:
    host = Calling(creates=[LOST], looks=[DONE])
    host.knows = [UNREACHED, UNREACHED, UNREACHED, True]
    async with hearing(tmp_path, host) as (shop, ears):
        job = await shop.until((await shop.generate()).job.id, SendState.UNKNOWN)
        ended: list[bool] = []

        async def first() -> None:
            with pytest.raises(FetchFailed):
                await call(ears, job)
            ended.append(True)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first)
            while not ended:
                shop.clock.advance(0.5)
                await shop.store.next_due(())
        assert await call(ears, job)
        found = await shop.until(job.id, SendState.COMPLETED)
    assert (found.status, len(host.asked)) == (JobStatus.COMPLETED, 4)


async def test_the_same_call_again_leads_to_nothing(tmp_path: Path) -> None:
    host = Calling(creates=[waiting()], looks=[waiting()])
    async with hearing(tmp_path, host) as (shop, ears):
        job = await shop.until((await shop.generate()).job.id, SendState.SUBMITTED)
        assert await call(ears, job)
        await looked(shop, host, 1)
        looked_at = await shop.store.any_job(job.id)
        assert await call(ears, job)
        assert await shop.store.any_job(job.id) == looked_at
        assert await call(ears, job, b'{"id": "r1" }')
        await looked(shop, host, 2)


async def test_calls_for_one_send_are_borne_ten_at_once_and_one_a_second(tmp_path: Path) -> None:
    host = Calling(creates=[waiting()], looks=[waiting()])
    async with hearing(tmp_path, host) as (shop, ears):
        job = await shop.until((await shop.generate()).job.id, SendState.SUBMITTED)
        place = place_of(job)
        at_once = [ears.lets(place) for _ in range(OF_ONE_SEND.burst + 2)]
        other = ears.lets(replace(place, n=2))
        shop.clock.advance(2.5)
        later = [ears.lets(place) for _ in range(4)]
    assert at_once == [True] * OF_ONE_SEND.burst + [False] * 2
    assert (other, later) == (True, [True, True, False, False])


async def test_an_address_is_for_a_host_that_calls_and_is_configured(tmp_path: Path) -> None:
    host = Calling(creates=[waiting()], looks=[waiting()])
    async with hearing(tmp_path, host) as (shop, ears):
        hook = HOOKS.hook((await shop.generate()).job.sends[0], host)
        assert hook is not None
        told = hook.url.rsplit("/", 4)[1:]
        here = ears.place(*told)
        nowhere = Callbacks(HOOKS, {}, shop.engine, shop.clock).place(*told)
        assert (here and ears.most_bytes(here), nowhere) == (100, None)
