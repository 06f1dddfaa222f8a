"""When to ask again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from kontext_tools import pacing

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def test_the_looks_of_one_job_follow_the_pinned_sequence() -> None:
    waited, looks = 0.0, list[float]()
    while waited < 60:
        wait = pacing.next_look_s(waited, 0)
        waited += wait
        looks.append(round(wait, 2))
    assert looks[:14] == snapshot([0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.53, 0.6, 0.69, 0.8, 0.92, 1.06, 1.21])
    assert looks[14:] == snapshot([1.4, 1.61, 1.85, 2.12, 2.44, 2.81, 3.23, 3.71, 4.27, 4.91, 5.0, 5.0, 5.0, 5.0, 5.0])


def test_the_looks_of_a_job_whose_host_is_to_call_are_few() -> None:
    waited, looks = 0.0, list[float]()
    while waited < 180:
        waited += pacing.next_look_s(waited, 0, called=True)
        looks.append(waited)
    assert looks == snapshot([2.0, 4.0, 8.0, 16.0, 32.0, 62.0, 92.0, 122.0, 152.0, 182.0])


@given(st.floats(-10, 1e9), st.floats(-1, 1))
def test_a_look_is_never_sooner_than_half_a_second_nor_later_than_five_give_or_take_a_tenth(
    waited_s: float, jitter: float
) -> None:
    assert 0.45 <= pacing.next_look_s(waited_s, jitter) <= 5.5


def test_backing_off_doubles_up_to_half_a_minute() -> None:
    assert [pacing.back_off_s(attempt, 0) for attempt in range(8)] == [1, 1, 2, 4, 8, 16, 30, 30]


@given(st.integers(0, 50), st.floats(-1, 1))
def test_backing_off_stays_within_its_bounds(attempt: int, jitter: float) -> None:
    assert 0.9 <= pacing.back_off_s(attempt, jitter) <= 33


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("0", 0.5),
        ("-5", 0.5),
        ("86400", 86400.0),
        ("Fri, 20 Nov 2026 12:00:30 GMT", 30.0),
        ("Fri, 20 Nov 2026 12:00:30", 30.0),
        ("Fri, 20 Nov 2026 21:01:00 +0900", 60.0),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 0.5),
        ("Friday, 20-Nov-26 12:00:30 GMT", 30.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date(header: str, seconds: float) -> None:
    assert pacing.retry_after_s(header, NOW) == seconds


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "  ",
        "soon",
        "nan",
        "inf",
        "-inf",
        "1e400",
        "7 s",
        "Fri, 99 Nov 2026 12:00:30 GMT",
        "Fri, 20 Nov 99999999999 07:28:00 GMT",
    ],
)
def test_a_senseless_retry_after_says_nothing(header: str | None) -> None:
    assert pacing.retry_after_s(header, NOW) is None


DATES = st.builds(
    "{} {} {} {}:{}:{} {}".format,
    st.integers(0, 99),
    st.sampled_from(["Jan", "Nov", "Foo"]),
    st.integers(0, 10**12),
    st.integers(0, 99),
    st.integers(0, 99),
    st.integers(0, 10**12),
    st.sampled_from(["GMT", "+0900", "-9999", "+99999999999999", ""]),
)


@given(st.text(max_size=30) | DATES)
def test_any_header_gives_a_bearable_number_or_nothing(header: str) -> None:
    seconds = pacing.retry_after_s(header, NOW)
    assert seconds is None or 0.5 <= seconds < 1e300


def test_the_searches_for_a_lost_job_follow_the_pinned_sequence() -> None:
    waits = [pacing.next_search_s(searches, 0) for searches in range(pacing.SEARCHES)]
    assert waits == snapshot([2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 120.0, 120.0, 120.0, 120.0])
    assert sum(waits) >= 600


@given(st.integers(0, 10_000), st.floats(-1, 1))
def test_a_search_never_waits_longer_than_two_minutes(searches: int, jitter: float) -> None:
    assert 1.8 <= pacing.next_search_s(searches, jitter) <= 120
