"""Takes keys and signed queries out of any text before it is told, stored or logged.

Above: http, adapters, logs. Below: nothing.
"""

from __future__ import annotations

import re
import threading
import weakref
from collections import Counter
from collections.abc import Iterable
from urllib.parse import urlsplit

_LEARNED: Counter[str] = Counter()
"""Keys that people entered and that are in use in this process, by how many hold each: secrets in every text of it."""
_LOCK = threading.RLock()
"""Reentrant: what holds a secret may be collected while this thread notes another one."""


def learn(secret: str, holder: object) -> None:
    """Take a secret out of every text of this process for as long as what holds it lives."""
    with _LOCK:
        _LEARNED[secret] += 1
    weakref.finalize(holder, _forget, secret).atexit = False


def _forget(secret: str) -> None:
    with _LOCK:
        _LEARNED[secret] -= 1
        if _LEARNED[secret] <= 0:
            del _LEARNED[secret]


def _learned() -> list[str]:
    with _LOCK:
        return sorted(_LEARNED, key=len, reverse=True)


HOOK_MARK = "whk_"
"""What the proofs and secrets of our hooks begin with, by which they are known in any text."""


class Redactor:
    """Takes keys and signed queries out of any text before it is told, stored or logged."""

    # Whole addresses, cut at the mark afterwards: looking for the mark inside the pattern takes the square of a
    # text that begins addresses without end, and such a text may be another party's.
    _ADDRESS = re.compile(r"https?://[^\s\"'<>]+", re.IGNORECASE)
    _BEARER = re.compile(r"\b(bearer|key|token)\s+[A-Za-z0-9._~+/=:-]{8,}", re.IGNORECASE)

    _HOOK = re.compile(rf"{HOOK_MARK}[A-Za-z0-9_=%-]+", re.IGNORECASE)

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Give the text without secrets."""
        for secret in (*self._secrets, *_learned()):
            text = text.replace(secret, "[key]")
        text = self._HOOK.sub("[key]", text)
        text = self._ADDRESS.sub(_unsigned, text)
        return self._BEARER.sub(r"\1 [removed]", text)


def _unsigned(address: re.Match[str]) -> str:
    place, _, query = address[0].partition("?")
    return f"{place}?[removed]" if query else address[0]


def without_query(url: str) -> str:
    """Give an address for people: scheme, host and path, the query (it may be a signature) left out."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
