"""Whether a job that a host shows may be the one that a lost create made, as far as the host shows anything of it.

What this is: the comparison by time and by input for a job whose id came to us at an address of that create alone: what
is not shown tells nothing. What it is not: a search in a list, where what is not shown rules a job out
(`replicate_list`). Above: adapters. Below: base.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from kontext_tools.providers.base import Lost

BEFORE = timedelta(minutes=2)
"""The host's clock may be so far behind ours."""
AFTER = timedelta(minutes=5)
"""A create may arrive so much later than its intent, the clocks' difference included."""


def may_be(lost: Lost, shown: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """Whether nothing that a host shows of a job tells it from a lost create.

    Args:
        lost: the create.
        shown: the host's reply: its `created_at` and `input` are compared, where they are there.
        asked: what went out as its input but for the picture.
    """
    made_at, given = moment(shown.get("created_at")), shown.get("input")
    if made_at is not None and not lost.sent_at - BEFORE <= made_at <= lost.sent_at + AFTER:
        return False
    fields = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    return all(fields.get(name, value) == value for name, value in asked.items())


def moment(value: Any) -> datetime | None:
    """Read a moment as hosts write it; `None` where it is none. Without a zone it is UTC."""
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else None
        return read if read is None or read.tzinfo is not None else read.replace(tzinfo=UTC)
    except ValueError:
        return None
