"""Gates: a provider that asked to wait or does not answer is left alone, by every process on one store."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from kontext_tools.errors import ProviderUnavailable, RateLimited
from kontext_tools.gates import CLOSED_S, FAILURES_TO_CLOSE, Gates
from kontext_tools.jobs import JobStatus, SendState
from kontext_tools.providers.base import FetchFailed, Phase, Snapshot, SubmitFailed, Verdict
from kontext_tools.views import Call
from support.fake_clock import FakeClock
from support.scripted import OFFER, Scripted, waiting
from support.workshop import OWNER, output, workshop

pytestmark = pytest.mark.anyio

ENDED = (SendState.COMPLETED, SendState.FAILED, SendState.CANCELLED, SendState.UNKNOWN)
DONE = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
DEAD_S, JOBS = 600, 10
UNREACHED = ProviderUnavailable("not reached", fix="call again").failure


async def test_after_five_failures_in_a_row_a_provider_is_asked_once_in_a_window(tmp_path: Path) -> None:
    """RELIABILITY.md R03: dead for ten minutes, jobs waiting on it."""
    provider = Scripted(creates=[waiting()], looks=[FetchFailed(UNREACHED)], offer=replace(OFFER, concurrency=20))
    with anyio.fail_after(60):
        async with workshop(tmp_path, provider) as shop:
            views = [await shop.generate(f"car {n}") for n in range(JOBS)]
            for view in views:
                await shop.until(view.job.id, SendState.SUBMITTED)
            provider.looks = 0
            for _ in range(DEAD_S // 5):
                await shop.let_pass(5)
            looks_while_dead = provider.looks
            status = await shop.studio.get_status(views[0].job.id, Call(owner=OWNER))
    assert status.job.status is JobStatus.PENDING
    # Those that were under way when the gate closed, and then one in each window.
    assert looks_while_dead <= JOBS + DEAD_S / CLOSED_S


async def test_the_first_answer_opens_the_gate_for_all(tmp_path: Path) -> None:
    looks: list[Snapshot | FetchFailed] = [FetchFailed(UNREACHED)] * (FAILURES_TO_CLOSE + 1)
    provider = Scripted(creates=[waiting()], looks=[*looks, DONE])
    with anyio.fail_after(60):
        async with workshop(tmp_path, provider) as shop:
            first, second = await shop.generate("one"), await shop.generate("two")
            jobs = [await shop.until(view.job.id, *ENDED) for view in (first, second)]
    assert {job.status for job in jobs} == {JobStatus.COMPLETED}


async def test_a_429_holds_back_every_create_of_the_provider(tmp_path: Path) -> None:
    limited = SubmitFailed(Verdict.NOT_TAKEN, RateLimited("wait", fix="wait", retry_after_s=20).failure)
    provider = Scripted(creates=[limited, DONE])
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            first = await shop.generate("one")
            while len(provider.creates) < 1:
                await anyio.lowlevel.checkpoint()
            job = await shop.until(first.job.id, SendState.QUEUED)
            while job.sends[0].attempts == 0:
                job = await shop.until(first.job.id, SendState.QUEUED)
            second = await shop.generate("two")
            for _ in range(10):
                await shop.let_pass(1)
            held = len(provider.creates)
            jobs = [await shop.until(view.job.id, *ENDED) for view in (first, second)]
    assert held == 1
    assert {job.status for job in jobs} == {JobStatus.COMPLETED}


async def test_a_gate_closed_by_one_process_is_tried_and_opened_by_another(tmp_path: Path) -> None:
    clock = FakeClock()
    provider = Scripted(creates=[DONE])
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider, clock=clock, running=False) as shop:
            gates = Gates(shop.store, clock)
            for _ in range(FAILURES_TO_CLOSE):
                await gates.failed("core.today", UNREACHED)
            view = await shop.generate()
            (claim,) = await shop.store.claim(
                "one", now=clock.now(), lease_until=clock.now(), limit=9, slots={"core.today": 4}
            )
            assert (claim.barred, claim.probe) == (True, False)
            await shop.steps.drive(claim)
        async with workshop(tmp_path, provider, clock=clock) as shop:
            job = await shop.until(view.job.id, *ENDED)
            later = clock.now() + timedelta(seconds=CLOSED_S)
            again = await shop.generate("another")
            (claim,) = await shop.store.claim(
                "two", now=later, lease_until=later, limit=9, slots={"core.today": 4}
            ) or [None]
            assert claim is None or not claim.barred
            await shop.until(again.job.id, *ENDED)
    assert job.status is JobStatus.COMPLETED
