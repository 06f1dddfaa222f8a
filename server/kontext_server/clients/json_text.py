"""Where each part of a JSON text stands: a tree of spans, so that one member can be changed and no other byte.

What this is: RFC 8259 read strictly, a key said twice refused too, since readers differ in which one counts. What it is
not: the values (`json.loads` of a span gives those) or the change (`splice`). Above: splice, edits. Below: quoting.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from kontext_tools.quoting import quoted

MAX_DEPTH = 200
"""No client nests so deep; each level is a call of Python's."""

_BLANK = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"')
_SCALAR = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_MAX_NAME_CHARS = 64


class NotPlainJson(Exception):
    """The text is no JSON, or says a key twice; `line` counts from 1."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}")
        self.line = line
        self.what = what


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value that stands at `text[start:end]`; `opens` is its first character."""

    start: int
    end: int
    opens: str
    items: tuple[Item, ...] = ()

    @property
    def is_object(self) -> bool:
        """Whether it has members."""
        return self.opens == "{"

    def member(self, key: str) -> Item | None:
        """Give an object's member; `None` where it has none of that name."""
        return next((item for item in self.items if item.key == key), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A member of an object, or an element of a list: then `key` is `None` and `key_end` is its start."""

    start: int
    key: str | None
    key_end: int
    value: Value


def parse(text: str) -> Value:
    """Give the spans of a JSON text.

    Raises:
        NotPlainJson: it is none (comments are none), says a key twice, or nests too deep.
    """
    value = _value(text, _blank(text, 0), 0)
    end = _blank(text, value.end)
    if end != len(text):
        raise _wrong(text, end, "something follows the end")
    return value


def _blank(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _value(text: str, at: int, depth: int) -> Value:
    if depth > MAX_DEPTH:
        raise _wrong(text, at, f"nested deeper than {MAX_DEPTH}")
    opens = text[at : at + 1]
    if opens == '"':
        return Value(start=at, end=_string(text, at), opens=opens)
    if opens in {"{", "["}:
        return _container(text, at, depth)
    match = _SCALAR.match(text, at)
    if match is None:
        raise _wrong(text, at, "a value is missing")
    return Value(start=at, end=match.end(), opens=opens)


def _container(text: str, start: int, depth: int) -> Value:
    opens = text[start]
    closes = "}" if opens == "{" else "]"
    items: list[Item] = []
    seen: set[str | None] = set()
    at = _blank(text, start + 1)
    if text[at : at + 1] == closes:
        return Value(start=start, end=at + 1, opens=opens)
    while True:
        item = _member(text, at, depth) if opens == "{" else _element(text, at, depth)
        if item.key is not None and item.key in seen:
            raise _wrong(text, item.start, f"the key {quoted(item.key, _MAX_NAME_CHARS)} stands there a second time")
        seen.add(item.key)
        items.append(item)
        at = _blank(text, item.value.end)
        mark = text[at : at + 1]
        if mark == closes:
            return Value(start=start, end=at + 1, opens=opens, items=tuple(items))
        if mark != ",":
            raise _wrong(text, at, f"a comma or {closes} is missing")
        at = _blank(text, at + 1)
        if text[at : at + 1] == closes:
            raise _wrong(text, at, f"a comma stands before {closes}")


def _member(text: str, at: int, depth: int) -> Item:
    if text[at : at + 1] != '"':
        raise _wrong(text, at, "a name in quotation marks is missing")
    key_end = _string(text, at)
    key = json.loads(text[at:key_end])
    colon = _blank(text, key_end)
    if text[colon : colon + 1] != ":":
        raise _wrong(text, colon, "a colon is missing")
    return Item(start=at, key=key, key_end=key_end, value=_value(text, _blank(text, colon + 1), depth + 1))


def _element(text: str, at: int, depth: int) -> Item:
    return Item(start=at, key=None, key_end=at, value=_value(text, at, depth + 1))


def _string(text: str, at: int) -> int:
    match = _STRING.match(text, at)
    if match is None:
        raise _wrong(text, at, "a text that is not written as JSON writes it")
    return match.end()


def _wrong(text: str, at: int, what: str) -> NotPlainJson:
    line = text.count("\n", 0, at) + 1
    return NotPlainJson(line, "a comment, which JSON has none of" if text.startswith(("//", "/*"), at) else what)
