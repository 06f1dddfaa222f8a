"""Lines for a JSON-RPC server that nobody would send: messages with a part of them changed, bytes amiss, or nonsense.

What this is: one random line at a time, the same for the same seed. Every text in it that a refusal could repeat holds
the marker of `raw_wire`. What it is not: a check of anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from copy import deepcopy
from random import Random
from typing import Any, cast

from support.raw_wire import MARKER

_DEEP, _HUGE, _FAR = "@deep@", "@huge@", "@far@"
_RAW = {_DEEP: "[" * 10_000 + "]" * 10_000, _HUGE: "9" * 5_000, _FAR: "1e400"}
"""What no `json.dumps` writes, put in the place of a text."""

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**64), 10**4_000, 0.5, -1.5),
    *(float("nan"), float("inf"), float("-inf"), _DEEP, _HUGE, _FAR),
    *("", " ", MARKER, MARKER * 2_000, f"{MARKER}\x00", f"\ud800{MARKER}", f"{MARKER}\udfff", f"\u202e{MARKER}\u200b"),
    *(f"/etc/{MARKER}", f"kontext://images/{MARKER}/1", f"https://{MARKER}.invalid/x.png", f"data:image/png,{MARKER}"),
    *([], {}, [MARKER], {MARKER: MARKER}, [[[[MARKER]]]], [None] * 50, {"id": 1}),
)
_BYTES = (b"\x00", b"\xff", b"\xed\xa0\x80", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\\u", b"\r", b"9" * 40)


def written(value: Any) -> str:
    """Write a value as JSON, with what `json.dumps` does not write."""
    text = json.dumps(value)
    for name, raw in _RAW.items():
        text = text.replace(f'"{name}"', raw)
    return text


def line(random: Random, messages: Sequence[dict[str, Any]]) -> bytes:
    """Give one line, without its end."""
    match random.randrange(10):
        case 0:
            data = random.randbytes(random.randint(0, 200))
        case 1:
            data = written(random.choice(VALUES)).encode()
        case 2 | 3 | 4:
            data = _bytes_changed(random, json.dumps(random.choice(messages)).encode())
        case _:
            data = written(_changed(random, random.choice(messages), random.randint(1, 3))).encode()
    return data.replace(b"\n", b" ")


def _changed(random: Random, message: dict[str, Any], times: int) -> Any:
    copy: Any = json.loads(json.dumps(message))
    for _ in range(times):
        places = list(_places(copy))
        if not places:
            return copy
        holder, key = random.choice(places)
        action = random.randrange(5)
        if action == 0 and isinstance(key, str):
            holder[random.choice([key.upper(), f"{key}{MARKER}", MARKER, "", "\ud800"])] = holder.pop(key)
        elif action == 1:
            del holder[key]
        elif action == 2 and isinstance(key, str):
            holder[f"{MARKER}{random.randrange(9)}"] = deepcopy(random.choice(VALUES))
        else:
            holder[key] = deepcopy(random.choice(VALUES))
    return copy


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Give every place in a value that holds another: what it is in, and its key or number there."""
    if isinstance(value, dict | list):
        holder = cast("Any", value)
        for key in list(cast("dict[str, Any]", value)) if isinstance(value, dict) else range(len(holder)):
            yield holder, key
            yield from _places(holder[key])


def _bytes_changed(random: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(changed) + 1)
        match random.randrange(4):
            case 0:
                changed[at : at + 1] = random.randbytes(1)
            case 1:
                del changed[at : at + random.randint(1, 20)]
            case 2:
                changed[at:at] = random.choice(_BYTES)
            case _:
                changed[at:at] = changed[at : at + random.randint(1, 40)]
    return bytes(changed)
