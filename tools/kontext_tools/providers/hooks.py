"""Hosts that call back when a job changes: what they are given, how they prove themselves, and what is heard.

What this is: the seam (`Caller`), a hook (where one send's host may call), a knock (one call, as it came), and the
checks of signatures that more than one host needs. What it is not: the addresses (`kontext_tools.hooks`), or what a
call leads to (`kontext_tools.hearing`). Whatever a call says, it is a hint: the truth is asked for with our key. Above:
adapters, hooks, hearing, seeking. Below: base.

Facts: WIRE.md A1, A3, B1, B2 and B3, read 2026-11-20. `webhook-id`, `-timestamp` and `-signature` are those of the
Standard Webhooks specification.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, cast, runtime_checkable

from kontext_tools.providers.base import Lost, Provider
from kontext_tools.providers.replies import remote_id_of

SMALL_BYTES = 65_536
"""A call that names a job and its outputs is far shorter."""
FRESH_S = 300
"""A signed call is believed so long before and after the moment that it names."""
KEYS_AGAIN_S = 60.0
"""What a host signs with is asked for anew at most so often, however many calls do not fit."""
WHSEC = "whsec_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """One call, as it came. Header names are lower-case."""

    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    at: datetime

    def header(self, name: str) -> str:
        """Give a header's value; empty where it is not there."""
        return self.headers.get(name, "")

    def fields(self) -> dict[str, Any]:
        """Give the body's JSON object; an empty one where it is none."""
        try:
            data: Any = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return cast("dict[str, Any]", data) if isinstance(data, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a proven call says; a hint, all of it.

    Attributes:
        remote_id: the job that it speaks of.
        event: the host's own name of this call, the same when it is sent again; empty where it gives none.
    """

    remote_id: str | None = None
    event: str = ""


@runtime_checkable
class Caller(Protocol):
    """The verbs of a host that calls back: an adapter has them where `Offer.call_bytes` may be more than 0."""

    async def hear(self, knock: Knock, secret: str) -> Heard | None:
        """Give what a call says; `None` where it does not prove that it is the host's.

        Args:
            knock: as it came to the hook.
            secret: the hook's own.

        Raises:
            FetchFailed: what the host signs with could not be had.
        """
        ...

    async def made(self, lost: Lost, remote_id: str) -> bool:
        """Whether the host, asked with our key, knows this job, and nothing that it shows of it tells it from `lost`.

        Raises:
            FetchFailed: the host did not tell.
        """
        ...


def caller_of(provider: Provider | None) -> Caller | None:
    """Give the way to hear a provider's calls; `None` where it makes none."""
    calls = provider is not None and provider.offer.call_bytes > 0 and isinstance(provider, Caller)
    return cast("Caller", provider) if calls else None


def heard(knock: Knock, *names: str, event: str = "") -> Heard:
    """Give what a call says, its job's id in the first of these fields that holds one."""
    told = knock.fields()
    ids = (remote_id_of(told.get(name)) for name in names)
    return Heard(remote_id=next((one for one in ids if one is not None), None), event=event)


def is_fresh(stamp: str, now: datetime) -> bool:
    """Whether a moment, in seconds since 1970, is no further from now than a signature is believed."""
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > len("9999999999"):
        return False
    return abs(now.timestamp() - int(stamp)) <= FRESH_S


def is_signed(knock: Knock, secret: str) -> bool:
    """Whether a call is signed as Standard Webhooks says, with a `whsec_` secret, and fresh.

    The bytes count, not their meaning: the same JSON written anew has another signature.
    """
    event, stamp = knock.header("webhook-id"), knock.header("webhook-timestamp")
    key = _decoded(secret.removeprefix(WHSEC))
    if not key or not event or not is_fresh(stamp, knock.at):
        return False
    signed = b".".join((event.encode(), stamp.encode(), knock.body))
    wanted = b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
    given = knock.header("webhook-signature").encode().split(b" ")
    # Every one is compared: which of them fits is nobody's to measure.
    return sum(hmac.compare_digest(wanted, one) for one in given) > 0


def is_hex_signed(knock: Knock, secret: str, signature: str) -> bool:
    """Whether a signature is the body's HMAC-SHA256 in hexadecimal digits."""
    wanted = hmac.new(secret.encode(), knock.body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted.encode(), signature.encode())


def is_same(given: str, wanted: str) -> bool:
    """Compare two secrets in a time that tells nothing."""
    return hmac.compare_digest(given.encode(), wanted.encode())


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
