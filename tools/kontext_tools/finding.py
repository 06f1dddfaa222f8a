"""A search as it was written becomes questions to the store, one after the other, and its pages keep together.

What this is: how the words of a search are read (all of them; else a day among them as the time; else any of them), and
the cursor that names a page of one search alone. What it is not: the question's answer (`stores`) or a reference's
(`inputs`). Above: gallery. Below: since, stores.finds.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum

from kontext_tools.errors import InvalidArgument
from kontext_tools.since import day_word, parse_since
from kontext_tools.stores.finds import Wanted
from kontext_tools.stores.records import from_us, to_us

MAX_PLACE = 2**63 - 1


class Form(StrEnum):
    """How the words of a search are read."""

    ALL = "all"
    DAY = "day"
    ANY = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search as it was written; empty texts ask for nothing."""

    query: str = ""
    since: str = ""
    derived_from: str = ""
    provider: str = ""

    @property
    def mark(self) -> str:
        """What a cursor knows it by."""
        texts = [" ".join(text.lower().split()) for text in (self.query, self.since, self.derived_from)]
        return hashlib.sha256(json.dumps([*texts, self.provider]).encode("utf-8", "replace")).hexdigest()[:8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One way to understand a search; `wanted` lacks the descent and the provider, which are the same in all."""

    form: Form
    wanted: Wanted

    @property
    def told(self) -> tuple[str, ...]:
        """What must be told of it: what was not read as it was written."""
        if self.form is Form.DAY and self.wanted.since is not None:
            return (f"The day in the query was read as since={self.wanted.since.isoformat(timespec='minutes')}.",)
        if self.form is Form.ANY:
            return ("No image holds all of these words; these hold at least one.",)
        return ()


def readings(search: Search, now: datetime, zone: tzinfo) -> Generator[Reading]:
    """Give the ways to read a search, the most literal first; the first that finds something counts.

    Args:
        search: as written.
        now: UTC.
        zone: whose days are meant.

    Raises:
        InvalidArgument: its `since` is no time.
    """
    since = parse_since(search.since, now, zone) if search.since.strip() else None
    for form in Form:
        words = _words(search, form)
        if words is None:
            continue
        moment = since
        if form is Form.DAY and (day := day_word(search.query)) is not None:
            try:
                moment = parse_since(day[0], now, zone)
            except InvalidArgument:
                continue
        yield _reading(form, words, moment)


def cursor_of(search: Search, reading: Reading, place: int) -> str:
    """Give the cursor of the page before a place; a time is kept as it was, for `7d` means another moment later."""
    since_us = None if reading.wanted.since is None else to_us(reading.wanted.since)
    packed = json.dumps([search.mark, reading.form.value, since_us, place], separators=(",", ":"))
    return base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")


def parse_cursor(search: Search, cursor: str) -> tuple[Reading, int]:
    """Read a cursor: the reading that its search goes on with, and the place that the page before ended at.

    Raises:
        InvalidArgument: it is none of ours, or of another search.
    """
    try:
        mark, form, since_us, place = _unpacked(cursor)
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise _refused("is none that a list gave", "Call again without cursor for the first page.") from None
    if mark != search.mark:
        fix = "Call again without cursor, or with the query, since and derived_from of the page that gave it."
        raise _refused("belongs to another search", fix)
    words = _words(search, form)
    if words is None:
        raise _refused("is none that a list gave", "Call again without cursor for the first page.")
    return _reading(form, words, since_us), place


def _unpacked(cursor: str) -> tuple[str, Form, datetime | None, int]:
    padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
    mark, form, since_us, place = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    if type(place) is not int or not 0 <= place <= MAX_PLACE or not isinstance(since_us, int | None):
        raise ValueError("not a place")
    return str(mark), Form(form), None if since_us is None else from_us(since_us), place


def _reading(form: Form, words: tuple[str, ...], since: datetime | None) -> Reading:
    return Reading(form=form, wanted=Wanted(words=words, any_word=form is Form.ANY, since=since))


def _words(search: Search, form: Form) -> tuple[str, ...] | None:
    """Give the words that a form looks for; `None` where it says nothing that another does not."""
    words = tuple(search.query.split())
    if form is Form.DAY:
        day = None if search.since.strip() else day_word(search.query)
        return None if day is None else tuple(day[1].split())
    return None if form is Form.ANY and len(words) < 2 else words


def _refused(what: str, fix: str) -> InvalidArgument:
    return InvalidArgument(f"cursor {what}; nothing was looked for.", fix=fix, field="cursor")
