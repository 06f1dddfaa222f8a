"""fal's calls: signed with Ed25519 by keys that it publishes.

What this is: whether one of those keys signed a call, and when they are asked for. What it is not: what the call says
(`fal`). Above: fal. Below: wire, hooks.

Facts: six independent verifiers of such calls, WIRE.md B3, read 2026-11-20: the signature, in hexadecimal digits, is
over request id, user id, timestamp and the body's sha-256, a line each.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import datetime
from typing import Any, cast

from kontext_tools.providers.hooks import KEYS_AGAIN_S, Knock, is_fresh
from kontext_tools.providers.replies import fields_of
from kontext_tools.providers.wire import Wire

KEYS_URL = "https://rest.alpha.fal.ai"
KEYS_PATH = "/.well-known/jwks.json"
KEPT_S = 24 * 3600.0
MOST_KEYS = 20
_SIGNED = ("x-fal-webhook-request-id", "x-fal-webhook-user-id", "x-fal-webhook-timestamp")


class FalKeys:
    """The vendor's keys.

    Args:
        wire: where they are published; no key of ours goes there.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._keys: list[bytes] = []
        self._asked_at: datetime | None = None

    async def signed(self, knock: Knock) -> bool:
        """Whether a call is fresh and one of the keys signed it.

        Raises:
            FetchFailed: the keys could not be had.
        """
        try:
            signature = bytes.fromhex(knock.header("x-fal-webhook-signature"))
        except ValueError:
            return False
        if not is_fresh(knock.header(_SIGNED[2]), knock.at):
            return False
        lines = [*(knock.header(name) for name in _SIGNED), hashlib.sha256(knock.body).hexdigest()]
        message = "\n".join(lines).encode()
        age_s = None if self._asked_at is None else (knock.at - self._asked_at).total_seconds()
        if age_s is not None and age_s < KEPT_S and _fits(self._keys, signature, message):
            return True
        if age_s is not None and age_s < KEYS_AGAIN_S:
            return False
        self._keys = _read(fields_of(await self._wire.ask("GET", KEYS_PATH)).get("keys"))
        self._asked_at = knock.at
        return _fits(self._keys, signature, message)


def _read(listed: Any) -> list[bytes]:
    """Give the Ed25519 keys of a key set (RFC 8037)."""
    keys: list[bytes] = []
    for one in cast("list[Any]", listed)[:MOST_KEYS] if isinstance(listed, list) else []:
        match one:
            case {"kty": "OKP", "crv": "Ed25519", "x": str(x)}:
                try:
                    keys.append(base64.urlsafe_b64decode(x + "=" * (-len(x) % 4)))
                except (binascii.Error, ValueError):
                    continue
            case _:
                continue
    return keys


def _fits(keys: list[bytes], signature: bytes, message: bytes) -> bool:
    # Loaded when the first call comes: no start needs it.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    for key in keys:
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        except (InvalidSignature, ValueError):
            continue
        return True
    return False
