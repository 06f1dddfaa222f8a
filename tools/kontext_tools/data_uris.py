"""`data:` URIs: known as such, to bytes and bounded before decoding, and from bytes.

Above: inputs, sources, adapters, the demo's page. Below: nothing.
"""

from __future__ import annotations

import base64
import binascii
import re

_HEAD = re.compile(r"data:([a-z0-9.+/-]{0,100})((?:;[a-z0-9=.+_-]{1,100}){0,4}),", re.IGNORECASE)


def is_data_uri(text: str) -> bool:
    """Whether a text is a `data:` URI, or means to be one."""
    return text[:5].lower() == "data:"


def encoded(data: bytes, media_type: str) -> str:
    """Give bytes as a base64 `data:` URI."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def decoded(uri: str, *, max_bytes: int) -> bytes | None:
    """Give the bytes of a base64 `data:` URI; `None` where it is none, is malformed, or holds no byte.

    Raises:
        OverflowError: it would decode to more than `max_bytes`.
    """
    head = _HEAD.match(uri)
    if head is None or "base64" not in head[2].lower().split(";"):
        return None
    body = uri[head.end() :]
    if len(body) * 3 // 4 > max_bytes + 2:
        raise OverflowError("the data URI is too large")
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(data) > max_bytes:
        raise OverflowError("the data URI is too large")
    return data or None


def as_stored(text: str | None) -> str | None:
    """Give an image argument as a row keeps it: a data URI without its data."""
    if text is None or not is_data_uri(text):
        return text
    return text.partition(",")[0][:100] + ",…"
