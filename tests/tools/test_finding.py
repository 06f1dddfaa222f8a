"""How a search is read, and its cursors: each belongs to one search, none is ever an error of its own."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from kontext_tools.errors import InvalidArgument
from kontext_tools.finding import Form, Reading, Search, cursor_of, parse_cursor, readings
from kontext_tools.stores.finds import Wanted

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


def read(query: str = "", since: str = "") -> list[Reading]:
    return list(readings(Search(query=query, since=since), NOW, UTC))


def test_a_search_is_read_as_written_then_with_its_day_as_the_time_then_by_any_of_its_words() -> None:
    assert read("yesterday's red car") == [
        Reading(form=Form.ALL, wanted=Wanted(words=("yesterday's", "red", "car"))),
        Reading(form=Form.DAY, wanted=Wanted(words=("red", "car"), since=datetime(2026, 11, 19, tzinfo=UTC))),
        Reading(form=Form.ANY, wanted=Wanted(words=("yesterday's", "red", "car"), any_word=True)),
    ]


def test_a_day_is_read_once_and_one_word_or_none_in_one_way() -> None:
    week = NOW - timedelta(days=7)
    assert read() == [Reading(form=Form.ALL, wanted=Wanted())]
    assert read(" car ") == [Reading(form=Form.ALL, wanted=Wanted(words=("car",)))]
    assert [one.form for one in read("car from today", "7d")] == [Form.ALL, Form.ANY]
    assert read("car", " 7d ") == [Reading(form=Form.ALL, wanted=Wanted(words=("car",), since=week))]
    # A day that there is not is a word like any other.
    assert [one.form for one in read("car 2026-02-31")] == [Form.ALL, Form.ANY]


def test_what_was_not_read_as_written_is_told() -> None:
    assert [one.told for one in read("car from yesterday")] == snapshot(
        [
            (),
            ("The day in the query was read as since=2026-11-19T00:00+00:00.",),
            ("No image holds all of these words; these hold at least one.",),
        ]
    )


@pytest.mark.parametrize("form", range(3))
def test_a_cursor_goes_on_with_the_reading_and_the_moment_that_it_came_from(form: int) -> None:
    search = Search(query="car from yesterday")
    reading = read(search.query)[form]
    cursor = cursor_of(search, reading, 1234567890123456)
    assert parse_cursor(search, cursor) == (reading, 1234567890123456)
    assert parse_cursor(Search(query=" Car  from YESTERDAY "), cursor)[1] == 1234567890123456
    week = Search(query="car", since="7d")
    (now,) = readings(week, NOW, UTC)
    assert list(readings(week, LATER, UTC)) != [now]
    assert parse_cursor(week, cursor_of(week, now, 1))[0] == now


OTHERS = [
    Search(),
    Search(query="cat"),
    Search(query="car", since="7d"),
    Search(query="car", derived_from="car-4k7q/1"),
    Search(query="car", provider="bfl"),
]


@pytest.mark.parametrize("other", OTHERS)
def test_a_cursor_of_another_search_is_refused_as_what_it_is(other: Search) -> None:
    search = Search(query="car")
    cursor = cursor_of(search, read("car")[0], 7)
    with pytest.raises(InvalidArgument) as refused:
        parse_cursor(other, cursor)
    assert refused.value.failure.to_dict() == snapshot(
        {
            "code": "invalid_argument",
            "message": "cursor belongs to another search; nothing was looked for.",
            "fix": "Call again without cursor, or with the query, since and derived_from of the page that gave it.",
            "field": "cursor",
            "retryable": False,
            "billed": "no",
        }
    )


def forged(*packed: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(packed).encode()).decode().rstrip("=")


MARK = Search(query="car").mark


@pytest.mark.parametrize(
    "cursor",
    [
        "1",
        "x" * 500,
        "é",
        forged(),
        forged(MARK, "all", None),
        forged(MARK, "all", None, "7"),
        forged(MARK, "all", None, -1),
        forged(MARK, "all", None, 2**63),
        forged(MARK, "all", None, True),
        forged(MARK, "some", None, 7),
        forged(MARK, "any", None, 7),
        forged(MARK, "day", None, 7),
        forged(MARK, "all", "x", 7),
        forged(MARK, "all", 10**30, 7),
        forged(MARK, "all", 1.5, 7),
        "W" * 1000,
    ],
)
def test_a_cursor_that_no_list_gave_is_refused_with_the_way_to_the_first_page(cursor: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_cursor(Search(query="car"), cursor)
    assert refused.value.failure.message == "cursor is none that a list gave; nothing was looked for."
    assert refused.value.failure.fix == "Call again without cursor for the first page."


@given(st.text(max_size=80))
def test_any_text_is_a_cursor_or_a_refusal(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_cursor(Search(query="car"), text)
