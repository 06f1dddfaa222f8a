"""Words for a moment, in the zone of whoever writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kontext_tools.errors import InvalidArgument
from kontext_tools.since import day_word, parse_since

NEW_YORK, SEOUL = ZoneInfo("America/New_York"), ZoneInfo("Asia/Seoul")
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
"""Still the 19th in New York, noon of the 20th in Seoul."""


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("today", UTC, "2026-11-20T00:00Z"),
        ("today", NEW_YORK, "2026-11-19T05:00Z"),
        ("today", SEOUL, "2026-11-19T15:00Z"),
        ("Yesterday", UTC, "2026-11-19T00:00Z"),
        (" yesterday ", NEW_YORK, "2026-11-18T05:00Z"),
        ("12h", SEOUL, "2026-11-19T15:00Z"),
        ("7d", UTC, "2026-11-13T03:00Z"),
        ("7 days ago", UTC, "2026-11-13T03:00Z"),
        ("last 2 weeks", UTC, "2026-11-06T03:00Z"),
        ("2w", NEW_YORK, "2026-11-06T03:00Z"),
        ("2026-11-18", SEOUL, "2026-11-17T15:00Z"),
        ("2026-11-18T09:30", SEOUL, "2026-11-18T00:30Z"),
        ("2026-11-18 09:30", UTC, "2026-11-18T09:30Z"),
        ("2026-11-18t09:30z", SEOUL, "2026-11-18T09:30Z"),
        ("2026-11-18T09:30+09:00", NEW_YORK, "2026-11-18T00:30Z"),
        # Summer time ended in New York on the first of November.
        ("2026-10-31", NEW_YORK, "2026-10-31T04:00Z"),
        ("2026-11-02", NEW_YORK, "2026-11-02T05:00Z"),
    ],
)
def test_a_moment_is_read_in_the_zone_of_whoever_writes_it(text: str, zone: tzinfo, moment: str) -> None:
    assert parse_since(text, NOW, zone) == datetime.fromisoformat(moment)


@pytest.mark.parametrize(
    "text", ["x", "", "last summer", "7", "d", "7m", "-7d", "2026", "2026-13-01", "7 d w", "\u0667d"]
)
def test_what_is_no_time_is_refused_with_one_that_passes(text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_since(text, NOW, UTC)
    failure = refused.value.failure
    assert (failure.code, failure.field) == ("invalid_argument", "since")
    assert "since='7d'" in failure.fix and "2026-11-20" in failure.fix
    assert parse_since("7d", NOW, UTC) == NOW - timedelta(days=7)


@given(st.one_of(st.text(max_size=30), st.from_regex(r"[0-9T:+Z hdw-]{1,20}", fullmatch=True)))
def test_any_text_is_a_moment_in_utc_or_a_refusal(text: str) -> None:
    for zone in (UTC, SEOUL):
        try:
            moment = parse_since(text, NOW, zone)
        except InvalidArgument:
            continue
        assert moment.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("query", "day", "rest"),
    [
        ("yesterday's car", "yesterday", "car"),
        ("Yesterday\u2019s red car", "yesterday", "red car"),
        ("car from yesterday", "yesterday", "car"),
        ("the car since today with a roof", "today", "the car with a roof"),
        ("car of 2026-11-18", "2026-11-18", "car"),
        ("today", "today", ""),
    ],
)
def test_a_day_in_a_search_is_told_from_its_words(query: str, day: str, rest: str) -> None:
    found = day_word(query)
    assert found is not None
    assert (found[0], " ".join(found[1].split())) == (day, rest)


@pytest.mark.parametrize("query", ["", "a car", "todays", "yesterdays car", "day", "2026-11-181", "x2026-11-18"])
def test_what_only_looks_like_a_day_is_a_word(query: str) -> None:
    assert day_word(query) is None
