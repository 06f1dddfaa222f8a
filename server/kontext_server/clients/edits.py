"""Our entry put into a client's JSON text and taken out again, so that a round gives the text back byte for byte.

What this is: pure; which containers an install made, and so an uninstall takes away, is told by the text as it was
before (the backup). What it is not: reading or writing files (`files`). Above: work. Below: splice, json_text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from kontext_server.clients import splice
from kontext_server.clients.json_text import NotPlainJson, parse

INPUTS = "inputs"
"""VS Code's list of what it asks a person for; its own name in mcp.json."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a client's file says of us.

    Attributes:
        holder: the member of the file that holds all servers, such as `mcpServers`.
        name: of our entry in it.
        entry: the entry.
        inputs: what the client shall ask the person for, each with its `id`.
    """

    holder: str
    name: str
    entry: Mapping[str, Any]
    inputs: Sequence[Mapping[str, Any]] = field(default=())


def entries(text: str, holder: str) -> dict[str, Any]:
    """Give all servers of a text by name; none where it is blank. Raises NotPlainJson."""
    found = None if _is_blank(text) else splice.data_at(text, [holder])
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def with_told(text: str, told: Told) -> str:
    """Give the text with our entry and its inputs; a text that has them is given as it is.

    Raises:
        NotPlainJson: the text is no JSON.
        splice.WrongShape: the holder is no object, or `inputs` no list.
    """
    changed = "{}\n" if _is_blank(text) else text
    changed = splice.put(changed, [told.holder, told.name], dict(told.entry))
    for wanted in told.inputs:
        place = _input_place(changed, str(wanted["id"]))
        if place is None:
            changed = splice.add(changed, [INPUTS], dict(wanted))
    return changed


def without_told(text: str, holder: str, name: str, input_ids: Sequence[str], before: str | None) -> str | None:
    """Give the text without our entry, and without the inputs that it alone used.

    Args:
        text: as it is now; it holds the entry.
        holder: as in `Told`.
        name: likewise.
        input_ids: of inputs that may be ours.
        before: the text as it was before the entry came; `None` where there was no file, or nobody knows.

    Returns:
        The text; `None` where nothing is left of it that was not ours: then there was no file.
    """
    told = Told(holder=holder, name=name, entry=entries(text, holder)[name], inputs=_inputs(text, input_ids))
    # What our own work made of a text is undone exactly by giving that text back; and of no text, by leaving none.
    for origin in (before, None):
        if _makes(origin or "", told, text):
            return origin
    changed = splice.drop(text, [holder, name])
    for input_id in input_ids:
        place = _input_place(changed, input_id)
        if place is not None and f"${{input:{input_id}}}" not in changed:
            changed = splice.drop(changed, [INPUTS, place])
    for container in (INPUTS, holder):
        emptied = splice.data_at(text, [container]) and not splice.data_at(changed, [container])
        if emptied and not _has(before, container):
            changed = splice.drop(changed, [container])
    return changed


def _is_blank(text: str) -> bool:
    return not text.strip(" \t\r\n")


def _makes(before: str, told: Told, text: str) -> bool:
    try:
        return told.name not in entries(before, told.holder) and with_told(before, told) == text
    except (NotPlainJson, splice.WrongShape):
        return False


def _has(text: str | None, container: str) -> bool:
    if text is None or _is_blank(text):
        return False
    try:
        return parse(text).member(container) is not None
    except NotPlainJson:
        return False


def _inputs(text: str, input_ids: Sequence[str]) -> list[dict[str, Any]]:
    return [found for found in _all_inputs(text) if found.get("id") in input_ids]


def _input_place(text: str, input_id: str) -> int | None:
    return next((place for place, found in enumerate(_all_inputs(text)) if found.get("id") == input_id), None)


def _all_inputs(text: str) -> list[dict[str, Any]]:
    found = splice.data_at(text, [INPUTS])
    # One that is no object keeps its place in the list, and is nobody's.
    items = cast("list[Any]", found) if isinstance(found, list) else []
    return [cast("dict[str, Any]", item) if isinstance(item, dict) else {} for item in items]
