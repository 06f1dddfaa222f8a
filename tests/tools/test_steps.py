"""One step of a send, by DESIGN.md section 3: what a failure means for the money, and what is written when."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from inline_snapshot import snapshot

from kontext_tools.budget import Unit
from kontext_tools.errors import (
    AuthFailed,
    Billed,
    Failure,
    OutcomeUnknown,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from kontext_tools.jobs import JobStatus, SendState
from kontext_tools.providers.base import FetchFailed, Phase, RemoteOutput, Snapshot, SubmitFailed, Verdict
from support.scripted import Scripted, waiting
from support.workshop import OWNER, output, png, workshop

pytestmark = pytest.mark.anyio

ENDED = (SendState.COMPLETED, SendState.FAILED, SendState.CANCELLED, SendState.UNKNOWN)
DONE = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
UNREACHED = ProviderUnavailable("not reached", fix="call again").failure
LOST = OutcomeUnknown("lost", fix="look").failure
TODAY = "2026-11-20"


def _limited(wait_s: float | None) -> Failure:
    return RateLimited("wait", fix="wait", retry_after_s=wait_s).failure


async def test_a_create_that_is_taken_is_looked_at_until_it_is_done(tmp_path: Path) -> None:
    looks = [waiting(), Snapshot(phase=Phase.WORKING, remote_id="r1", progress=0.5), DONE]
    provider = Scripted(creates=[waiting()], looks=list(looks))
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            view = await shop.generate()
            job = await shop.until(view.job.id, *ENDED)
            spent = await shop.store.spent(OWNER, day=TODAY, unit=Unit.CREDIT)
    assert job.status is JobStatus.COMPLETED
    assert [kept.blob for kept in job.outputs] == [f"images/{job.id}-1.png"]
    assert (tmp_path / job.outputs[0].blob).read_bytes() == png(colour="red")
    assert (len(provider.creates), provider.looks) == (1, 3)
    assert spent == 120


async def test_the_intent_is_in_the_database_before_the_create_goes_out(tmp_path: Path) -> None:
    seen: list[SendState] = []

    async def create() -> Snapshot:
        job = await shop.store.any_job(view.job.id)
        assert job is not None
        seen.append(job.sends[0].state)
        return DONE

    with anyio.fail_after(20):
        async with workshop(tmp_path, Scripted(creates=[create])) as shop:
            view = await shop.generate()
            await shop.until(view.job.id, *ENDED)
    assert seen == [SendState.INTENT]


async def test_what_was_proven_not_taken_is_sent_again_and_charged_once(tmp_path: Path) -> None:
    refused = SubmitFailed(Verdict.NOT_TAKEN, UNREACHED)
    provider = Scripted(creates=[refused, refused, DONE])
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            view = await shop.generate()
            job = await shop.until(view.job.id, *ENDED)
    assert job.status is JobStatus.COMPLETED
    assert job.sends[0].attempts == 3


async def test_after_five_attempts_it_fails_with_the_money_released(tmp_path: Path) -> None:
    provider = Scripted(creates=[SubmitFailed(Verdict.NOT_TAKEN, UNREACHED)])
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            view = await shop.generate()
            job = await shop.until(view.job.id, *ENDED)
            spent = await shop.store.spent(OWNER, day=TODAY, unit=Unit.CREDIT)
    assert (job.status, job.failure) == (JobStatus.FAILED, UNREACHED)
    assert len(provider.creates) == 5
    assert spent == 0


async def test_a_failed_upload_is_never_unknown_because_nothing_was_created(tmp_path: Path) -> None:
    provider = Scripted(creates=[DONE])
    provider.before_intent = SubmitFailed(Verdict.UNKNOWN, LOST)
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            view = await shop.generate()
            job = await shop.until(view.job.id, *ENDED)
    assert job.status is JobStatus.FAILED
    assert provider.creates == []


async def test_a_wait_that_the_provider_asks_for_is_honoured(tmp_path: Path) -> None:
    provider = Scripted(creates=[SubmitFailed(Verdict.NOT_TAKEN, _limited(3.0)), DONE])
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            view = await shop.generate()
            queued = await shop.until(view.job.id, SendState.QUEUED)
            while queued.sends[0].attempts == 0:
                queued = await shop.until(view.job.id, SendState.QUEUED)
            wait_s = (queued.sends[0].due_at - shop.clock.now()).total_seconds()
            job = await shop.until(view.job.id, *ENDED)
    assert wait_s == 3.0
    assert job.status is JobStatus.COMPLETED


async def test_a_wait_beyond_a_minute_is_told_instead_of_waited(tmp_path: Path) -> None:
    provider = Scripted(creates=[SubmitFailed(Verdict.NOT_TAKEN, _limited(100_000.0))])
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            view = await shop.generate()
            job = await shop.until(view.job.id, *ENDED)
    assert job.failure == _limited(100_000.0)


async def test_a_refusal_fails_at_once_and_releases_the_money(tmp_path: Path) -> None:
    failure = AuthFailed("no", fix="set the key").failure
    provider = Scripted(creates=[SubmitFailed(Verdict.REFUSED, failure)])
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            view = await shop.generate()
            job = await shop.until(view.job.id, *ENDED)
            spent = await shop.store.spent(OWNER, day=TODAY, unit=Unit.CREDIT)
    assert (job.status, job.failure, len(provider.creates), spent) == (JobStatus.FAILED, failure, 1, 0)


@pytest.mark.parametrize("error", [SubmitFailed(Verdict.UNKNOWN, LOST), RuntimeError("a bug in an adapter")])
async def test_a_lost_reply_is_unknown_with_its_money_reserved_and_never_sent_again(
    tmp_path: Path, error: Exception
) -> None:
    provider = Scripted(creates=[error])
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            view = await shop.generate()
            job = await shop.until(view.job.id, *ENDED)
            shop.clock.advance(3600)
            with pytest.raises(OutcomeUnknown):
                await shop.generate()
            spent = await shop.store.spent(OWNER, day=TODAY, unit=Unit.CREDIT)
    assert job.status is JobStatus.UNKNOWN
    assert job.failure is not None
    assert job.failure.billed is Billed.UNKNOWN
    assert (len(provider.creates), spent) == (1, 120)


async def test_a_bug_before_the_create_fails_the_job_and_charges_nothing(tmp_path: Path) -> None:
    provider = Scripted(creates=[DONE])
    provider.before_intent = RuntimeError("a bug in an adapter")
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            view = await shop.generate()
            job = await shop.until(view.job.id, *ENDED)
    assert job.failure == snapshot(
        Failure(
            code="provider_error",
            message="The request could not be made; nothing was sent and nothing charged.",
            fix="Call again, or set provider to another one.",
        )
    )


async def test_looks_that_fail_do_not_fail_the_job(tmp_path: Path) -> None:
    nothing = FetchFailed(UNREACHED)
    provider = Scripted(creates=[waiting()], looks=[nothing, nothing, nothing, nothing, DONE])
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            view = await shop.generate()
            job = await shop.until(view.job.id, *ENDED)
    assert (job.status, provider.looks) == (JobStatus.COMPLETED, 5)


async def test_a_job_that_the_provider_does_not_know_is_given_up_after_three_looks(tmp_path: Path) -> None:
    provider = Scripted(creates=[waiting()], looks=[FetchFailed(UNREACHED, gone=True)])
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            view = await shop.generate()
            job = await shop.until(view.job.id, *ENDED)
            spent = await shop.store.spent(OWNER, day=TODAY, unit=Unit.CREDIT)
    assert (job.status, provider.looks, spent) == (JobStatus.FAILED, 3, 120)
    assert job.failure is not None
    assert job.failure.billed is Billed.UNKNOWN


async def test_a_job_that_never_ends_is_given_up_after_a_day(tmp_path: Path) -> None:
    odd = Snapshot(phase=Phase.WORKING, remote_id="r1", raw_status="odd", odd_word='"odd"')
    provider = Scripted(creates=[waiting()], looks=[odd])
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            view = await shop.generate()
            await shop.until(view.job.id, SendState.SUBMITTED)
            shop.clock.advance(86_401)
            job = await shop.until(view.job.id, *ENDED)
    assert job.failure is not None
    assert (job.failure.code, job.failure.billed) == ("provider_error", Billed.UNKNOWN)
    assert '(it calls it "odd")' in job.failure.message


async def test_a_failure_and_a_cancel_at_the_provider_end_the_job_in_its_words(tmp_path: Path) -> None:
    failure = ProviderError('core.today failed at the work ("no GPU").', fix="again", billed=Billed.UNKNOWN).failure
    failed = Scripted(creates=[waiting()], looks=[Snapshot(phase=Phase.FAILED, remote_id="r1", failure=failure)])
    cancelled = Scripted(creates=[waiting()], looks=[Snapshot(phase=Phase.CANCELLED, remote_id="r1")])
    with anyio.fail_after(20):
        async with workshop(tmp_path / "one", failed) as shop:
            first = await shop.until((await shop.generate()).job.id, *ENDED)
        async with workshop(tmp_path / "two", cancelled) as shop:
            second = await shop.until((await shop.generate()).job.id, *ENDED)
    assert (first.status, first.failure) == (JobStatus.FAILED, failure)
    assert second.status is JobStatus.CANCELLED


async def test_four_images_are_four_sends_with_seeds_that_follow(tmp_path: Path) -> None:
    provider = Scripted(creates=[DONE])
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            view = await shop.generate(num_images=4, seed=7)
            job = await shop.until(view.job.id, *ENDED)
    assert sorted((order.seed, order.count) for order in provider.creates) == [(7, 1), (8, 1), (9, 1), (10, 1)]
    assert [kept.n for kept in job.outputs] == [1, 2, 3, 4]


async def test_one_send_that_fails_leaves_the_others_completed(tmp_path: Path) -> None:
    refused = SubmitFailed(Verdict.REFUSED, AuthFailed("no", fix="set the key").failure)
    provider = Scripted(creates=[refused, DONE])
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            view = await shop.generate(num_images=3)
            job = await shop.until(view.job.id, *ENDED)
            spent = await shop.store.spent(OWNER, day=TODAY, unit=Unit.CREDIT)
    assert job.status is JobStatus.COMPLETED
    assert (len(job.outputs), spent) == (2, 240)


async def test_an_end_without_an_output_is_a_failure_and_no_success(tmp_path: Path) -> None:
    provider = Scripted(creates=[waiting()], looks=[Snapshot(phase=Phase.DONE, remote_id="r1")])
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            job = await shop.until((await shop.generate()).job.id, *ENDED)
    assert job.failure is not None
    assert (job.status, job.failure.code) == (JobStatus.FAILED, "result_expired")


async def test_bytes_that_are_no_picture_are_not_kept(tmp_path: Path) -> None:
    broken = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(RemoteOutput(data=png()[:60]),))
    with anyio.fail_after(20):
        async with workshop(tmp_path, Scripted(creates=[broken])) as shop:
            job = await shop.until((await shop.generate()).job.id, *ENDED)
    assert job.failure is not None
    assert (job.failure.code, job.failure.billed) == ("result_invalid", Billed.YES)
    assert not (tmp_path / "images").exists()
    assert list((tmp_path / ".tmp").iterdir()) == []  # a test may wait for its own disk
