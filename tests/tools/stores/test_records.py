"""Values to documents and back: nothing is lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from kontext_tools.budget import Basis, Cost, Price, Unit
from kontext_tools.changes import Change
from kontext_tools.edits import ASPECT_RATIOS, Edit
from kontext_tools.errors import Billed, Failure
from kontext_tools.images import ImageFacts
from kontext_tools.jobs import Job, Send, SendState, Source, SourceKind
from kontext_tools.stores import records
from support.fake_clock import START
from support.rows import FOUR_CENTS, a_job, a_send

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # bounds
AMOUNTS = st.none() | st.decimals(0, 10**6, places=9)
SEEDS = st.none() | st.integers(0, 2**32 - 1)
FACTS = st.builds(
    ImageFacts,
    media_type=st.sampled_from(["image/png", "image/jpeg"]),
    width=st.integers(1, 9000),
    height=st.integers(1, 9000),
    size_bytes=st.integers(1, 10**8),
    sha256=TEXT,
)
SOURCES = st.builds(
    Source,
    kind=st.sampled_from(SourceKind),
    facts=st.none() | FACTS,
    blob=st.none() | TEXT,
    url=st.none() | TEXT,
    parent=st.none() | TEXT,
)
FAILURES = st.builds(
    Failure,
    code=TEXT,
    message=TEXT,
    fix=TEXT,
    field=st.none() | TEXT,
    retryable=st.booleans(),
    retry_after_s=st.none() | st.floats(0, 1e6),
    billed=st.sampled_from(Billed),
    job_id=st.none() | TEXT,
)
COSTS = st.builds(Cost, amount=AMOUNTS, unit=st.sampled_from(Unit), basis=st.sampled_from(Basis))
SENDS = st.builds(
    Send,
    job_id=st.just("red-car-4k7q"),
    n=st.integers(1, 4),
    state=st.sampled_from(SendState),
    seed=SEEDS,
    count=st.integers(1, 4),
    price=st.builds(Price, amount=AMOUNTS, unit=st.sampled_from(Unit)),
    first_output=st.integers(1, 4),
    due_at=MOMENTS,
    attempts=st.integers(0, 9),
    first_attempt_at=st.none() | MOMENTS,
    remote_id=st.none() | TEXT,
    working=st.booleans(),
    progress=st.none() | st.floats(0, 1),
    pending_urls=st.lists(st.tuples(TEXT, SEEDS), max_size=3).map(tuple),
    reasks=st.integers(0, 3),
    odd_word=TEXT,
    refetches=st.integers(0, 3),
    misses=st.integers(0, 9),
    sent_at=st.none() | MOMENTS,
    ended_at=st.none() | MOMENTS,
    cost=st.none() | COSTS,
    failure=st.none() | FAILURES,
    fence=st.integers(0, 99),
)
EDITS = st.builds(
    Edit,
    prompt=TEXT,
    image=st.none() | TEXT,
    keep=TEXT,
    num_images=st.integers(1, 4),
    aspect_ratio=st.sampled_from(ASPECT_RATIOS),
    seed=SEEDS,
    output_format=st.sampled_from(["png", "jpg"]),
    safety_tolerance=st.integers(0, 6),
    prompt_upsampling=st.booleans(),
    guidance_scale=st.none() | st.floats(1, 20),
    label=TEXT,
    given=st.frozensets(st.sampled_from(["seed", "aspect_ratio", "label"])),
)
CHANGES = st.builds(
    Change,
    percent=st.integers(0, 1000).map(lambda tenth: tenth / 10),
    where=st.just("top"),
    sharpness=st.integers(0, 300).map(lambda hundredth: hundredth / 100),
    resized=st.none() | TEXT,
)
REQUESTS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(TEXT, TEXT | st.integers() | st.booleans(), max_size=3)
JOBS = st.builds(
    Job,
    id=st.just("red-car-4k7q"),
    owner=TEXT,
    tool=TEXT,
    edit=EDITS,
    source=st.none() | SOURCES,
    sent_prompt=TEXT,
    request=REQUESTS,
    provider=TEXT,
    model=TEXT,
    created_at=MOMENTS,
    depth=st.integers(0, 9),
    fingerprint=TEXT,
    change=st.none() | CHANGES,
    warnings=st.lists(TEXT, max_size=3).map(tuple),
    agreed=st.none() | st.builds(Price, amount=AMOUNTS, unit=st.sampled_from(Unit)),
)


@given(MOMENTS)
def test_a_moment_is_kept_to_the_microsecond(moment: datetime) -> None:
    assert records.from_us(records.to_us(moment)) == moment


def test_a_moment_of_another_zone_is_kept_as_utc() -> None:
    seoul = datetime(2026, 11, 20, 21, 0, tzinfo=timezone(timedelta(hours=9)))
    kept = records.from_us(records.to_us(seoul))
    assert kept == START and kept.tzinfo is UTC


@given(SENDS)
def test_a_send_comes_back_as_it_went(send: Send) -> None:
    due_us = records.to_us(send.due_at)
    back = records.send_from(send.job_id, send.n, send.state.value, due_us, send.fence, records.send_doc(send))
    assert back == send


@given(JOBS)
def test_a_jobs_document_comes_back_as_it_went(job: Job) -> None:
    back = records.job_fields(records.job_doc(job))
    assert back == {name: getattr(job, name) for name in back}
    assert sorted(back) == snapshot(
        ["agreed", "change", "depth", "edit", "model", "part", "plan", "request", "sent_prompt", "source", "warnings"]
    )


def test_a_job_of_before_there_was_a_question_was_agreed_to_by_nobody() -> None:
    doc: dict[str, Any] = json.loads(records.job_doc(a_job(agreed=FOUR_CENTS)))
    assert doc.pop("agreed") == ["0.04", "usd"]
    assert records.job_fields(json.dumps(doc))["agreed"] is None


@given(SOURCES)
def test_a_source_comes_back_as_it_went(source: Source) -> None:
    assert records.source_from_dict(records.source_to_dict(source)) == source


def test_money_in_a_document_is_text_so_that_no_float_ever_touches_it() -> None:
    price = Price(amount=Decimal("0.100000001"), unit=Unit.USD)
    doc = records.send_doc(a_send("red-car-4k7q", price=price))
    assert '"price": ["0.100000001", "usd"]' in doc
