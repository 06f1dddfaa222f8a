"""Recording jobs, joining them, cancelling them: the rules that hold between processes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import anyio
import pytest

from kontext_tools.budget import Unit
from kontext_tools.changes import Change
from kontext_tools.errors import Cancelled, ConfirmationNeeded, IdempotencyConflict, OutcomeUnknown
from kontext_tools.images import ImageFacts
from kontext_tools.jobs import JobStatus, SendState, Source, SourceKind
from kontext_tools.stores.base import JobNews
from kontext_tools.stores.finds import Page
from support.fake_clock import START
from support.places import AnyStore, Place
from support.rows import a_job, admit, claim_all

pytestmark = pytest.mark.anyio

LATER = START + timedelta(minutes=1)
LEASE = START + timedelta(minutes=5)


async def end(store: AnyStore, job_id: str, state: SendState) -> None:
    """Bring a job's only send to an end, as the engine would."""
    (claim,) = await claim_all(store, lease_until=LEASE)
    assert claim.send.job_id == job_id
    path = {
        SendState.UNKNOWN: (SendState.INTENT, SendState.UNKNOWN),
        SendState.COMPLETED: (SendState.INTENT, SendState.SUBMITTED, SendState.READY, SendState.COMPLETED),
        SendState.FAILED: (SendState.FAILED,),
    }[state]
    for step in path:
        assert await store.save(replace(claim.send, state=step), now=START, release=step is state)


async def test_a_job_comes_back_as_it_was_recorded(store: AnyStore) -> None:
    job = a_job(sends=3)
    admission = await admit(store, job)
    assert not admission.joined and admission.job == job
    assert await store.job("ann", job.id) == job
    assert await store.any_job(job.id) == job


async def test_anothers_job_and_one_that_does_not_exist_read_the_same(store: AnyStore) -> None:
    await admit(store, a_job(request_key="mine"))
    assert await store.job("bob", "red-car-4k7q") is None
    assert await store.job_of_key("bob", "mine") is None
    assert await store.jobs("bob", limit=10) == []
    assert await store.recent_ids("bob") == []
    assert await store.images("bob", limit=10) == Page()
    assert await store.request_cancel("bob", "red-car-4k7q", now=LATER) is None
    still = await store.job("ann", "red-car-4k7q")
    assert still is not None and not still.cancel_requested


async def test_an_id_that_is_taken_asks_for_another_draw_and_records_nothing(store: AnyStore) -> None:
    await admit(store, a_job(owner="ann"))
    with pytest.raises(LookupError):
        await admit(store, a_job(owner="bob", fingerprint="other", sends=2))
    assert await store.jobs("bob", limit=10) == []
    assert len((await store.jobs("ann", limit=10))[0].sends) == 1


async def test_the_same_key_gives_the_same_job_whatever_became_of_it(store: AnyStore) -> None:
    await admit(store, a_job(request_key="mine", key_digest="d"))
    await end(store, "red-car-4k7q", SendState.COMPLETED)
    await store.mark_delivered("red-car-4k7q")
    again = await admit(
        store, a_job("new-one-0000", request_key="mine", key_digest="d"), now=START + timedelta(days=90)
    )
    assert again.joined and again.job.id == "red-car-4k7q"
    assert await store.job("ann", "new-one-0000") is None


async def test_the_same_key_with_other_arguments_is_a_conflict(store: AnyStore) -> None:
    await admit(store, a_job(request_key="mine", key_digest="d"))
    with pytest.raises(IdempotencyConflict) as caught:
        await admit(store, a_job("new-one-0000", request_key="mine", key_digest="e"))
    assert caught.value.failure.job_id == "red-car-4k7q"


async def test_keys_of_two_owners_are_two_keys(store: AnyStore) -> None:
    await admit(store, a_job(request_key="mine", key_digest="d"))
    other = await admit(store, a_job("new-one-0000", owner="bob", request_key="mine", key_digest="e"))
    assert not other.joined


async def test_a_key_of_its_own_makes_a_variant_of_an_identical_call(store: AnyStore) -> None:
    await admit(store, a_job(fingerprint="same"))
    variant = a_job("new-one-0000", fingerprint="same", request_key="variant")
    assert not (await admit(store, variant)).joined


async def test_an_identical_call_joins_the_job_while_it_runs(store: AnyStore) -> None:
    await admit(store, a_job(fingerprint="same"))
    twin = await admit(store, a_job("new-one-0000", fingerprint="same"), now=START + timedelta(hours=2))
    assert twin.joined and twin.job.id == "red-car-4k7q"


async def test_an_identical_call_of_another_owner_joins_nothing(store: AnyStore) -> None:
    await admit(store, a_job(fingerprint="same"))
    assert not (await admit(store, a_job("new-one-0000", owner="bob", fingerprint="same"))).joined


async def test_an_ended_job_is_joined_only_while_nobody_has_read_its_answer(store: AnyStore) -> None:
    await admit(store, a_job(fingerprint="same"))
    await end(store, "red-car-4k7q", SendState.COMPLETED)
    twin = await admit(store, a_job("new-one-0000", fingerprint="same"), now=START + timedelta(minutes=9))
    assert twin.joined
    await store.mark_delivered("red-car-4k7q")
    fresh = await admit(store, a_job("new-two-0000", fingerprint="same"), now=START + timedelta(minutes=9))
    assert not fresh.joined


async def test_an_undelivered_job_is_joined_no_longer_than_ten_minutes(store: AnyStore) -> None:
    await admit(store, a_job(fingerprint="same"))
    await end(store, "red-car-4k7q", SendState.COMPLETED)
    late = await admit(store, a_job("new-one-0000", fingerprint="same"), now=START + timedelta(minutes=10))
    assert not late.joined


async def test_an_identical_call_after_unknown_is_refused_for_a_day_and_records_nothing(store: AnyStore) -> None:
    await admit(store, a_job(fingerprint="same"))
    await end(store, "red-car-4k7q", SendState.UNKNOWN)
    await store.mark_delivered("red-car-4k7q")
    with pytest.raises(OutcomeUnknown) as caught:
        await admit(store, a_job("new-one-0000", fingerprint="same"), now=START + timedelta(hours=23))
    assert caught.value.failure.job_id == "red-car-4k7q"
    assert await store.job("ann", "new-one-0000") is None
    on_purpose = a_job("new-two-0000", fingerprint="same", request_key="again")
    assert not (await admit(store, on_purpose, now=START + timedelta(hours=23))).joined


async def test_an_identical_call_a_day_after_unknown_is_sent(store: AnyStore) -> None:
    await admit(store, a_job(fingerprint="same"))
    await end(store, "red-car-4k7q", SendState.UNKNOWN)
    assert not (await admit(store, a_job("new-one-0000", fingerprint="same"), now=START + timedelta(hours=24))).joined


async def test_an_answer_counts_as_delivered_only_once_the_job_has_ended(store: AnyStore) -> None:
    await admit(store, a_job())
    await store.mark_delivered("red-car-4k7q")
    running = await store.job("ann", "red-car-4k7q")
    assert running is not None and not running.delivered


async def test_a_cancel_ends_what_is_queued_at_once(store: AnyStore) -> None:
    await admit(store, a_job(sends=2))
    job = await store.request_cancel("ann", "red-car-4k7q", now=LATER)
    assert job is not None
    assert job.status is JobStatus.CANCELLED and job.cancel_requested and job.ended_at == LATER
    assert [send.failure.code for send in job.sends if send.failure] == [Cancelled.code, Cancelled.code]
    assert await claim_all(store, lease_until=LEASE, now=LATER) == []


async def test_no_intent_is_written_after_a_cancel(store: AnyStore) -> None:
    await admit(store, a_job())
    (claim,) = await claim_all(store, lease_until=LEASE)
    await store.request_cancel("ann", "red-car-4k7q", now=LATER)
    assert not await store.save(replace(claim.send, state=SendState.INTENT), now=LATER, release=False)
    job = await store.job("ann", "red-car-4k7q")
    assert job is not None and job.status is JobStatus.CANCELLED


async def test_a_cancel_leaves_what_is_already_sent_to_the_engine(store: AnyStore) -> None:
    await admit(store, a_job(sends=2))
    first, _ = await claim_all(store, lease_until=LEASE)
    assert await store.save(replace(first.send, state=SendState.INTENT), now=START, release=False)
    job = await store.request_cancel("ann", "red-car-4k7q", now=LATER)
    assert job is not None and job.cancel_requested
    assert {send.n: send.state for send in job.sends} == {
        first.send.n: SendState.INTENT,
        3 - first.send.n: SendState.CANCELLED,
    }


async def test_a_send_that_was_not_taken_is_not_tried_again_after_a_cancel(store: AnyStore) -> None:
    await admit(store, a_job())
    (claim,) = await claim_all(store, lease_until=LEASE)
    assert await store.save(replace(claim.send, state=SendState.INTENT), now=START, release=False)
    await store.request_cancel("ann", "red-car-4k7q", now=LATER)
    assert await store.save(claim.send, now=LATER, release=False)
    assert not await store.save(replace(claim.send, state=SendState.INTENT), now=LATER, release=False)
    job = await store.job("ann", "red-car-4k7q")
    assert job is not None and job.sends[0].state is SendState.QUEUED


async def test_news_of_the_job_is_written_with_the_send_that_brought_it(store: AnyStore) -> None:
    await admit(store, a_job())
    (claim,) = await claim_all(store, lease_until=LEASE)
    sent = replace(claim.send, state=SendState.INTENT)
    assert await store.save(sent, now=START, release=False, news=JobNews(warnings=("scaled down",)))
    job = await store.job("ann", "red-car-4k7q")
    assert job is not None and job.warnings == ("scaled down",) and job.sends[0].state is SendState.INTENT


async def test_a_cancel_of_an_ended_job_changes_nothing(store: AnyStore) -> None:
    await admit(store, a_job())
    await end(store, "red-car-4k7q", SendState.COMPLETED)
    job = await store.request_cancel("ann", "red-car-4k7q", now=LATER)
    assert job is not None and job.status is JobStatus.COMPLETED and not job.cancel_requested


async def test_what_is_learnt_about_a_job_is_kept_and_a_warning_is_told_once(store: AnyStore) -> None:
    facts = ImageFacts(media_type="image/png", width=2, height=2, size_bytes=3, sha256="cd" * 32)
    source = Source(kind=SourceKind.URL, facts=facts, blob="sources/cd.png", url="https://example.com/a.png")
    change = Change(percent=12.5, where="top", sharpness=1.0)
    await admit(store, a_job(warnings=("old",)))
    await store.add_news("red-car-4k7q", JobNews(warnings=("old", "new")))
    await store.add_news("red-car-4k7q", JobNews(source=source, change=change, warnings=("new",)))
    await store.add_news("red-car-4k7q", JobNews())
    await store.add_news("no-such-0000", JobNews(warnings=("lost",)))
    job = await store.job("ann", "red-car-4k7q")
    assert job is not None
    assert (job.source, job.change, job.warnings) == (source, change, ("old", "new"))


async def test_a_yes_is_burnt_with_the_job_that_it_bought_and_buys_no_other(store: AnyStore) -> None:
    await admit(store, a_job("red-car-4k7q"), nonce="n")
    with pytest.raises(ConfirmationNeeded, match="has bought its picture already"):
        await admit(store, a_job("new-one-0000"), nonce="n")
    assert await store.recent_ids("ann") == ["red-car-4k7q"]
    assert await store.spent("ann", day="2026-11-20", unit=Unit.USD) == Decimal("0.04")


async def test_where_nothing_was_recorded_no_yes_is_burnt(store: AnyStore) -> None:
    await admit(store, a_job(fingerprint="same"))
    assert (await admit(store, a_job("new-one-0000", fingerprint="same"), nonce="n")).joined
    with pytest.raises(LookupError):
        await admit(store, a_job("red-car-4k7q", fingerprint="other"), nonce="n")
    assert not (await admit(store, a_job("new-one-0000"), nonce="n")).joined


async def test_of_two_processes_with_one_yes_one_records_its_job(place: Place, store: AnyStore) -> None:
    other = place.store()
    told: list[str] = []

    async def one(of: AnyStore, job_id: str) -> None:
        try:
            told.append((await admit(of, a_job(job_id), nonce="n")).job.id)
        except ConfirmationNeeded:
            told.append("asked again")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one, store, "red-car-4k7q")
        tasks.start_soon(one, other, "new-one-0000")
    await other.close()
    assert sorted(told, key=lambda word: word == "asked again")[1:] == ["asked again"]
    assert len(await store.recent_ids("ann")) == 1
