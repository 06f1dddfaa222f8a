"""A lost create, looked for in Replicate's list of predictions.

What this is: which of the listed predictions show exactly what went out. What it is not: whether one of them is
already another send's (`seeking`), or a look at one (`replicate`). `next` names the vendor's own host and is not
followed: of it the cursor is taken, and the address is ours.

Facts: newest first, 100 a page, `{next, previous, results}` with `created_after` and `created_before`, WIRE.md B1; an
entry has id, model, input, source, status and created_at, the vendor's API reference, read 2026-11-21. Its inputs are
removed an hour after a prediction was made (WIRE.md B1, `data_removed`): one that shows none is never taken for ours.
Above: replicate. Below: wire.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qs, urlencode, urlsplit

from kontext_tools import data_uris
from kontext_tools.images import MAX_OUTPUT_BYTES
from kontext_tools.providers.base import Attachment, FetchFailed, Lost
from kontext_tools.providers.likeness import AFTER, BEFORE, moment
from kontext_tools.providers.replies import fields_of, remote_id_of
from kontext_tools.providers.wire import Wire, segment

MOST_PAGES = 20
MOST_LOOKED_INTO = 100
"""Predictions that are asked for one by one because the list does not show what went into them."""

Fields = dict[str, Any]


async def ids_of(wire: Wire, lost: Lost, *, model: str, asked: Mapping[str, Any]) -> list[str]:
    """Give the ids of the predictions that show what went out.

    Args:
        wire: the host.
        lost: the create.
        model: its model, `black-forest-labs/flux-kontext-pro`.
        asked: its input but for the picture.

    Raises:
        FetchFailed: the list could not be read to its end.
    """
    found: list[str] = []
    looked_into = 0
    async with aclosing(_listed(wire, lost.sent_at - BEFORE, lost.sent_at + AFTER)) as entries:
        async for entry in entries:
            remote_id, shown = remote_id_of(entry.get("id")), entry
            if remote_id is None or entry.get("source") == "web" or entry.get("model") not in (None, model):
                continue
            if not entry.get("input") or not entry.get("model"):
                looked_into += 1
                if looked_into > MOST_LOOKED_INTO:
                    raise FetchFailed(wire.says.unreachable())
                shown = await _asked_for(wire, f"/predictions/{segment(remote_id)}")
            if shown.get("model") == model and await _shows(wire, lost, asked, shown.get("input")):
                found.append(remote_id)
    return found


async def is_it(wire: Wire, lost: Lost, remote_id: str, *, model: str, asked: Mapping[str, Any]) -> bool:
    """Whether one prediction shows what went out; arguments as for `ids_of`, and its id.

    Raises:
        FetchFailed: it could not be read.
    """
    shown = await _asked_for(wire, f"/predictions/{segment(remote_id)}")
    made_at = moment(shown.get("created_at"))
    in_time = made_at is not None and lost.sent_at - BEFORE <= made_at <= lost.sent_at + AFTER
    return in_time and shown.get("model") == model and await _shows(wire, lost, asked, shown.get("input"))


async def _listed(wire: Wire, since: datetime, until: datetime) -> AsyncGenerator[Fields]:
    """Give the predictions made between two moments, whether or not the host heeds that it is asked for these alone."""
    query = {"created_after": _stamp(since), "created_before": _stamp(until)}
    for _ in range(MOST_PAGES):
        page = fields_of(await wire.ask("GET", f"/predictions?{urlencode(query)}"))
        results: Any = page.get("results")
        if not isinstance(results, list):
            break
        for entry in cast("list[Any]", results):
            made_at = moment(cast("Fields", entry).get("created_at")) if isinstance(entry, dict) else None
            if made_at is not None and made_at < since:
                return  # the newest come first
            if made_at is not None and made_at <= until:
                yield cast("Fields", entry)
        cursor = _cursor(page.get("next"))
        if cursor is None:
            return
        query["cursor"] = cursor
    raise FetchFailed(wire.says.unreachable())


async def _shows(wire: Wire, lost: Lost, asked: Mapping[str, Any], shown: Any) -> bool:
    """Whether a prediction's input is what went out; what the host filled in beside it does not matter."""
    if not isinstance(shown, dict):
        return False
    given = cast("Fields", shown)
    if any(given.get(name) != value for name, value in asked.items()):
        return False
    picture, image = given.get("input_image"), lost.order.image
    if image is None or not isinstance(picture, str) or not picture:
        return image is None and not picture
    return lost.signed or await _is_same(wire, image, picture)


async def _is_same(wire: Wire, image: Attachment, picture: str) -> bool:
    """Whether a picture that a prediction shows is ours: by its address, its bytes, or the digest that the host keeps.

    A file's address at the host ends in its id, and its `checksums` hold its sha-256 (recorded traffic, WIRE.md B1).
    """
    if image.read is None:
        return picture == image.url
    ours = await image.read()
    if picture[:5].lower() == "data:":
        try:
            return data_uris.decoded(picture, max_bytes=MAX_OUTPUT_BYTES) == ours
        except OverflowError:
            return False
    folder, _, file_id = urlsplit(picture).path.rpartition("/")
    if not folder.endswith("/files") or remote_id_of(file_id) is None:
        return False
    checksums: Any = (await _asked_for(wire, f"/files/{segment(file_id)}")).get("checksums")
    told = cast("Fields", checksums).get("sha256") if isinstance(checksums, dict) else None
    return told == hashlib.sha256(ours).hexdigest()


async def _asked_for(wire: Wire, path: str) -> Fields:
    """Give one object of the host's; an empty one where it is gone."""
    try:
        return fields_of(await wire.ask("GET", path))
    except FetchFailed as failed:
        if failed.gone:
            return {}
        raise


def _cursor(address: Any) -> str | None:
    try:
        query = urlsplit(address).query if isinstance(address, str) else ""
    except ValueError:
        return None
    return next(iter(parse_qs(query).get("cursor", [])), None)


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
