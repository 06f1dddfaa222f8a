"""What stands in a host's reply, read tolerantly: its words, its fields, an id, outputs, an amount.

What this is: the shapes that more than one host gives, each read in one place; what has no such shape reads as nothing.
What it is not: what an answer means (`meanings`), or which field holds what (the adapters). Above: meanings, wire,
adapters. Below: base, http, images, data_uris, budget.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from kontext_tools import data_uris
from kontext_tools.budget import Basis, Cost, Unit
from kontext_tools.http import Reply
from kontext_tools.images import MAX_OUTPUT_BYTES
from kontext_tools.providers.base import RemoteOutput

MAX_REMOTE_ID_CHARS = 256

MOST_USD = 1000
"""A host that reports more for one job reports nonsense."""

MOST_READ = 100_000
"""Of an error's text: far beyond what is quoted, for a key cut in two here is not recognised by the redactor."""


def fields_of(reply: Reply) -> dict[str, Any]:
    """Give a reply's JSON object; an empty one where it is none."""
    data: Any = reply.json()
    return cast("dict[str, Any]", data) if isinstance(data, dict) else {}


def words_of(reply: Reply) -> str:
    """Give the host's own words from the places where errors stand: detail, error, message, title; text else."""
    data: Any = reply.json()
    if isinstance(data, dict):
        for name in ("detail", "error", "message", "title"):
            value: Any = data.get(name)  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]  # JSON
            if value:
                code: Any = data.get("code")  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]  # JSON
                return f"{code}: {_told(value)}" if isinstance(code, str) and code else _told(value)
    if data is None and b"<" not in reply.body[:200]:
        return reply.body[:MOST_READ].decode("utf-8", "replace")
    return "" if data is None else json.dumps(data)[:MOST_READ]


def text_of(value: Any) -> str:
    """Give a reason as text, whatever a host made of it: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def _told(value: Any) -> str:
    """Give an error's text; of a list of misfits place and words alone, for what was sent stands beside them."""
    match value:
        case [{"msg": str()}, *_]:
            misfits = [cast("dict[str, Any]", item) for item in cast("list[Any]", value) if isinstance(item, dict)]
            return "; ".join(f"{_place(misfit)}: {misfit.get('msg')}{_kind(misfit)}" for misfit in misfits)
        case _:
            return text_of(value)


def _place(misfit: dict[str, Any]) -> str:
    where: Any = misfit.get("loc")
    return ".".join(map(str, cast("list[Any]", where))) if isinstance(where, list) else "request"


def _kind(misfit: dict[str, Any]) -> str:
    kind: Any = misfit.get("type")
    return f" ({kind})" if isinstance(kind, str) else ""


def remote_id_of(value: Any) -> str | None:
    """Give a provider's id where it can stand in a path as one segment; anything else is no id."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_REMOTE_ID_CHARS:
        return None
    return value if value.isprintable() and value.strip(".") else None


def outputs_of(value: Any, *, within: Sequence[str] = (), seed: int | None = None) -> tuple[RemoteOutput, ...]:
    """Read outputs in the shapes that hosts give them: an address, a data URI, `{url}`, or a list of these.

    Args:
        value: the JSON value.
        within: names under which an object may hold one of these; the first that has any output counts.
        seed: of the outputs.
    """
    if within and isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return next((found for name in within if (found := outputs_of(fields.get(name), seed=seed))), ())
    items: list[Any] = cast("list[Any]", value) if isinstance(value, list) else [value]
    told = [cast("dict[str, Any]", item).get("url") if isinstance(item, dict) else item for item in items]
    return tuple(_output_of(item, seed=seed) for item in told if isinstance(item, str) and item)


def _output_of(value: str, *, seed: int | None = None) -> RemoteOutput:
    """Read an output that is an address, or a data URI with the picture in it; a broken one has no bytes."""
    if not data_uris.is_data_uri(value):
        return RemoteOutput(url=value, seed=seed)
    try:
        return RemoteOutput(data=data_uris.decoded(value, max_bytes=MAX_OUTPUT_BYTES) or b"", seed=seed)
    except OverflowError:
        return RemoteOutput(data=b"", seed=seed)


def usd_of(value: Any) -> Cost | None:
    """Read dollars as a host reports them, a JSON number or a decimal as text; `None` for what is no amount."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    if not amount.is_finite() or not 0 <= amount <= MOST_USD:
        return None
    return Cost(amount=amount.quantize(Decimal("1e-9")), unit=Unit.USD, basis=Basis.REPORTED)
