"""Words for a moment: `today`, `7d`, `2026-11-20`.

What this is: how a text is read as "since then", in the zone of whoever writes it, and the words for a day that may
stand in a search. What it is not: the clock or the zone itself (`clocks`). Above: finding. Below: errors.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from kontext_tools.errors import InvalidArgument

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_AGO = re.compile(r"(?:last |past )?([0-9]{1,4}) ?(h(?:ours?)?|d(?:ays?)?|w(?:eeks?)?)(?: ago)?")
_DAYS_BACK = {"today": 0, "yesterday": 1}
_DAY_WORD = re.compile(
    r"\s*(?<![\w-])(?:(?:from|since|of|on)\s+)?(today|yesterday|[0-9]{4}-[0-9]{2}-[0-9]{2})(?:['\u2019]s)?(?![\w-])\s*",
    re.IGNORECASE,
)


def parse_since(text: str, now: datetime, zone: tzinfo) -> datetime:
    """Read a moment in the past.

    Args:
        text: `today`, `yesterday`, `12h`, `7d`, `2w`, an ISO date or date-time; one without a zone is in `zone`.
        now: UTC.
        zone: whose days are meant.

    Returns:
        UTC.

    Raises:
        InvalidArgument: none of these.
    """
    word = " ".join(text.lower().split())
    ago = _AGO.fullmatch(word)
    try:
        if word in _DAYS_BACK:
            day = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
            return _utc(day - timedelta(days=_DAYS_BACK[word]), zone)
        if ago is not None:
            return now - int(ago[1]) * _UNITS[ago[2][0]]
        return _utc(datetime.fromisoformat(word.upper()), zone)
    except (ValueError, OverflowError, OSError):
        today = now.astimezone(zone).date()
        raise InvalidArgument(
            "since is no time that is understood here; nothing was looked for.",
            fix=f"Call again with since='7d' (or 12h, 2w, today, yesterday, {today.isoformat()}).",
            field="since",
        ) from None


def day_word(query: str) -> tuple[str, str] | None:
    """Give the word for a day that stands in a search, and the search without it; `None` where there is none.

    >>> day_word("yesterday's red car"), day_word("the car from today"), day_word("a car")
    (('yesterday', 'red car'), ('today', 'the car'), None)
    """
    found = _DAY_WORD.search(query)
    if found is None:
        return None
    return found[1].lower(), f"{query[: found.start()]} {query[found.end() :]}".strip()


def _utc(moment: datetime, zone: tzinfo) -> datetime:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return moment.astimezone(UTC)
