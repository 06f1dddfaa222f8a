"""An issuer's public keys (JWKS, RFC 7517): fetched, kept for a while, and fetched anew when a new one is used.

What this is: the keys that can verify what we accept, by their ids. What it is not: the check of a token (`jwts`).
Above: jwts. Below: tools' one HTTP client.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import anyio
import jwt

from kontext_tools.clocks import Clock
from kontext_tools.guard import Blocked
from kontext_tools.http import Http, Lost, NotSent

FRESH_S = 600.0
"""Keys are taken as they were fetched for so long."""
STALE_S = 24 * 3600.0
"""While the issuer does not answer, the last keys serve so long."""
AGAIN_S = 30.0
"""At most one fetch in so long, whatever key ids callers name."""
FETCH_S = 10.0
MAX_BYTES = 1_000_000
MAX_KEYS = 100
MIN_RSA_BITS = 2048

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A key, and the one algorithm that it verifies."""

    algorithm: str
    key: Any


class KeySet:
    """The keys at one address.

    Args:
        http: whose guard trusts that address and no other.
        url: the operator's own setting.
        clock: what freshness is judged by.
    """

    def __init__(self, http: Http, url: str, clock: Clock) -> None:
        self._http = http
        self._url = url
        self._clock = clock
        self._keys: Mapping[str, PublicKey] = {}
        self._fetched: float | None = None
        self._tried: float | None = None
        self._fetching = anyio.Lock()

    async def key(self, key_id: str) -> PublicKey | None:
        """Give a key by its id; `None` where the issuer has none of it, or never answered."""
        if not self._is_younger(FRESH_S) or key_id not in self._keys:
            async with self._fetching:
                if (not self._is_younger(FRESH_S) or key_id not in self._keys) and self._may_fetch():
                    await self._fetch()
        return self._keys.get(key_id) if self._is_younger(STALE_S) else None

    def _is_younger(self, seconds: float) -> bool:
        return self._fetched is not None and self._clock.monotonic() - self._fetched < seconds

    def _may_fetch(self) -> bool:
        return self._tried is None or self._clock.monotonic() - self._tried >= AGAIN_S

    async def _fetch(self) -> None:
        self._tried = self._clock.monotonic()
        try:
            target = await self._http.guard.check(self._url)
            reply = await self._http.call("GET", target, fresh=True, total_s=FETCH_S, max_bytes=MAX_BYTES)
        except (Blocked, NotSent, Lost) as error:
            log.warning("the keys at KONTEXT_AUTH_JWKS_URL cannot be fetched: %s", type(error).__name__)
            return
        told = reply.json()
        listed = cast("dict[str, Any]", told).get("keys") if isinstance(told, dict) else None
        if reply.status != 200 or not isinstance(listed, list):
            log.warning("KONTEXT_AUTH_JWKS_URL answered with HTTP %d and no list of keys", reply.status)
            return
        self._keys = read(cast("list[Any]", listed))
        self._fetched = self._clock.monotonic()


def read(listed: list[Any]) -> dict[str, PublicKey]:
    """Give the keys of a JWKS that can verify what we accept: RS256 and ES256, for signatures, with an id."""
    found: dict[str, PublicKey] = {}
    for one in listed[:MAX_KEYS]:
        if not isinstance(one, dict):
            continue
        told = cast("dict[str, Any]", one)
        key_id = told.get("kid")
        algorithm = "RS256" if told.get("kty") == "RSA" else "ES256" if told.get("crv") == "P-256" else None
        if algorithm is None or not isinstance(key_id, str) or told.get("use", "sig") != "sig":
            continue
        if told.get("alg", algorithm) != algorithm or "d" in told:  # a private key that was published is everybody's
            continue
        try:
            key: Any = jwt.PyJWK.from_dict(told, algorithm=algorithm).key
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue
        if algorithm == "ES256" or key.key_size >= MIN_RSA_BITS:
            found[key_id] = PublicKey(algorithm=algorithm, key=key)
    return found
