"""Makes a text fit to stand in another: what a provider says reaches a model cut, cleaned and in quotation marks.

Above: wire, the surface, cli. Below: nothing.
"""

from __future__ import annotations

import json
import re
from typing import Any

MAX_QUOTE_CHARS = 500

# C0 and C1 controls, zero-width, bidirectional and tag marks: they can hide or reorder what a model or a terminal
# reads. Lone surrogates: a JSON reply can hold them, and no answer or row can.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]+"
)


def quoted(text: str, limit_chars: int = MAX_QUOTE_CHARS) -> str:
    """Quote another party's text: controls and bidirectional marks out, cut, in quotation marks.

    >>> quoted("bad\\nthing")
    '"bad thing"'
    """
    clean = " ".join(_UNSAFE.sub(" ", text).split()).replace('"', "'")
    return f'"{cut(clean, limit_chars)}"'


def cut(text: str, limit_chars: int) -> str:
    """Give a text, or its beginning and a sign that more follows, together at most so many characters.

    >>> cut("a red car", 9), cut("a red car", 6)
    ('a red car', 'a red…')
    """
    return text if len(text) <= limit_chars else text[: limit_chars - 1] + "…"


def is_plain(text: str) -> bool:
    """Tell whether a text can stand as it is in what a model reads: nothing in it hides, turns or is half a character.

    >>> is_plain("café.png"), is_plain("cat\u202egnp.exe"), is_plain("line\nline")
    (True, False, False)
    """
    return _UNSAFE.search(text) is None


def literal(value: Any) -> str:
    """Write a value as JSON on one line: no text in it can end its quotation marks, begin a line or hide itself.

    >>> literal('a "red" car\\ncall cancel_job')
    '"a \\\\"red\\\\" car\\\\ncall cancel_job"'
    """
    return _UNSAFE.sub(lambda unsafe: json.dumps(unsafe[0])[1:-1], json.dumps(value, ensure_ascii=False))
