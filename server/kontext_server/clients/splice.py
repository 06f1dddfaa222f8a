"""A JSON text changed in one place, every other byte kept: set a member, add an element, take either out.

What this is: pure text work; what is put in is laid out as its neighbours are: their indentation, line ends, colons.
What it is not: what is put in (`entry`) or where its containers came from (`edits`). Above: edits. Below: json_text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from kontext_server.clients.json_text import Item, Value, parse

UNIT = "  "
"""How far a level is indented in a text that shows none of its own."""


class WrongShape(Exception):
    """Something on a path is not the container that it would have to be."""


Path = Sequence[str | int]
"""Names of members and places in lists, from the top."""

_LINE_END = re.compile(r"\r\n|\n|\r")


def find(text: str, path: Path) -> Value | None:
    """Give the value at a path; `None` where there is none."""
    value: Value | None = parse(text)
    for step in path:
        item = _item(value, step) if value is not None else None
        value = None if item is None else item.value
    return value


def data_at(text: str, path: Path) -> Any:
    """Give what stands at a path as Python's data; `None` where nothing does."""
    value = find(text, path)
    return None if value is None else json.loads(text[value.start : value.end])


def put(text: str, path: Sequence[str], data: Any) -> str:
    """Set a member; objects that are missing on the way are made. The same data as stands there changes nothing.

    Raises:
        WrongShape: something on the way is no object.
    """
    chain = [parse(text)]
    for depth, key in enumerate(path):
        if not chain[-1].is_object:
            raise WrongShape(f"{'.'.join(path[:depth]) or 'the whole'} is no object")
        item = chain[-1].member(key)
        if item is None:
            return _added(text, chain, path[:depth], key, _nested(path[depth + 1 :], data))
        chain.append(item.value)
    old = chain[-1]
    if json.loads(text[old.start : old.end]) == data:
        return text
    lead = _lead(text, chain[-2], _place(chain[-2], path[-1]))
    return text[: old.start] + _written(text, chain[0], lead, data) + text[old.end :]


def add(text: str, path: Sequence[str], data: Any) -> str:
    """Add an element at the end of a list; the list is made where it is missing. Raises WrongShape where it is none."""
    value = find(text, path)
    if value is None:
        return put(text, path, [data])
    if value.opens != "[":
        raise WrongShape(f"{'.'.join(path)} is no list")
    chain = [parse(text)]
    for key in path:
        item = chain[-1].member(key)
        if item is not None:
            chain.append(item.value)
    return _added(text, chain, path, None, data)


def drop(text: str, path: Path) -> str:
    """Take a member or an element out, with its comma; what is not there changes nothing."""
    holder = find(text, path[:-1])
    place = None if holder is None else _place(holder, path[-1])
    if holder is None or place is None:
        return text
    items = holder.items
    if len(items) == 1:
        return text[: holder.start + 1] + text[holder.end - 1 :]
    if place == 0:
        return text[: items[0].start] + text[items[1].start :]
    return text[: items[place - 1].value.end] + text[items[place].value.end :]


def _item(value: Value, step: str | int) -> Item | None:
    place = _place(value, step)
    return None if place is None else value.items[place]


def _place(value: Value, step: str | int) -> int | None:
    if isinstance(step, str):
        return next((place for place, item in enumerate(value.items) if item.key == step), None)
    return step if value.opens == "[" and step < len(value.items) else None


def _nested(path: Sequence[str], data: Any) -> Any:
    for key in reversed(path):
        data = {key: data}
    return data


def _added(text: str, chain: Sequence[Value], path: Sequence[str], key: str | None, data: Any) -> str:
    """Give the text with one more item at the end of the last of a chain of containers."""
    holder, items = chain[-1], chain[-1].items
    if items:
        lead = _lead(text, holder, len(items) - 1)
        if not lead and len(items) == 1:
            lead = _colon(text, chain[0]).partition(":")[2]
        end = items[-1].value.end
        return text[:end] + "," + lead + _named(text, chain[0], lead, key, data) + text[end:]
    # An empty container is opened as what it stands in is laid out; at the top there is nothing to go by.
    own = "\n" if len(chain) == 1 else _lead(text, chain[-2], _place(chain[-2], path[-1]))
    if not _is_broken(own):
        return text[: holder.start + 1] + _named(text, chain[0], "", key, data) + text[holder.end - 1 :]
    line_end = _line_end(text)
    closing = line_end + _indent(own)
    lead = closing + _unit(text, chain[0])
    inner = lead + _named(text, chain[0], lead, key, data) + closing
    return text[: holder.start + 1] + inner + text[holder.end - 1 :]


def _named(text: str, top: Value, lead: str, key: str | None, data: Any) -> str:
    written = _written(text, top, lead, data)
    return written if key is None else json.dumps(key, ensure_ascii=False) + _colon(text, top) + written


def _written(text: str, top: Value, lead: str, data: Any) -> str:
    """Write data as the text around it is written; `lead` is the blank before it or its name."""
    colon = _colon(text, top)
    if not _is_broken(lead):
        comma = "," + colon.partition(":")[2]
        return json.dumps(data, ensure_ascii=False, separators=(comma, colon))
    lines = json.dumps(data, ensure_ascii=False, indent=_unit(text, top), separators=(",", colon))
    return lines.replace("\n", _line_end(text) + _indent(lead))


def _lead(text: str, holder: Value, place: int | None) -> str:
    """Give the blank between an item and what stands before it: its holder's opening, or a comma."""
    if place is None:
        return ""
    start = holder.items[place].start
    if place == 0:
        return text[holder.start + 1 : start]
    return text[holder.items[place - 1].value.end : start].partition(",")[2]


def _is_broken(lead: str) -> bool:
    return _LINE_END.search(lead) is not None


def _indent(lead: str) -> str:
    return _LINE_END.split(lead)[-1]


def _line_end(text: str) -> str:
    match = _LINE_END.search(text)
    return "\n" if match is None else match.group()


def _unit(text: str, top: Value) -> str:
    lead = _lead(text, top, 0) if top.items else ""
    return _indent(lead) if _is_broken(lead) else UNIT


def _colon(text: str, top: Value) -> str:
    """Give a colon with the blanks that the text puts around it."""
    first = top.items[0] if top.items else None
    if first is None or first.key is None:
        return ": "
    between = text[first.key_end : first.value.start]
    return ": " if _is_broken(between) else between
