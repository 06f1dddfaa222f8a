"""Access tokens that an issuer signed (JWT, RFC 9068), verified by its public keys.

What this is: the other of two verifiers. Algorithms are fixed: RS256 and ES256, each by a key of its own kind, so that
neither `none` nor a public key taken for a shared secret passes. What it is not: the keys (`key_set`), or where a token
is taken from a request (`bearer`). Above: sign_in. Below: key_set, PyJWT, surface.scopes.

Why a token was refused is told to nobody but the log, and there without its words.
"""

from __future__ import annotations

import logging
import math
from typing import Any, cast

import jwt
from mcp.server.auth.provider import AccessToken

from kontext_server.surface.scopes import SCOPES
from kontext_server.web.key_set import KeySet
from kontext_server.web.tokens import MAX_TOKEN_CHARS
from kontext_tools.clocks import Clock

LEEWAY_S = 60
"""So far two machines' clocks may be apart."""
ALGORITHMS = frozenset({"RS256", "ES256"})
TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
MAX_SUBJECT_CHARS = 255

log = logging.getLogger(__name__)


class _Refused(Exception):
    """A token is none of ours; the text says which of its parts."""


class Jwts:
    """Verifies tokens of one issuer, for one audience. See the SDK's `TokenVerifier`.

    Args:
        keys: the issuer's.
        issuer: exactly as its tokens say.
        audience: one of those that a token is for.
        clock: what expiry is judged by.
    """

    def __init__(self, keys: KeySet, *, issuer: str, audience: str, clock: Clock) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clock = clock

    async def verify_token(self, token: str) -> AccessToken | None:
        """Give whose token it is and what it allows; `None` where it is none of ours. The token itself is not kept."""
        try:
            return self._access(await self._claims(token))
        except _Refused as refused:
            log.info("a token was refused: %s", refused)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            log.info("a token was refused: %s", type(error).__name__)
        return None

    async def _claims(self, token: str) -> dict[str, Any]:
        if len(token) > MAX_TOKEN_CHARS:
            raise _Refused("length")
        header = jwt.get_unverified_header(token)
        key_id = header.get("kid")
        if header.get("alg") not in ALGORITHMS or str(header.get("typ", "JWT")).lower() not in TYPES:
            raise _Refused("alg or typ")
        if not isinstance(key_id, str) or "crit" in header:
            raise _Refused("kid or crit")
        key = await self._keys.key(key_id)
        if key is None:
            raise _Refused("kid")
        return jwt.decode(
            token,
            key=key.key,
            algorithms=[key.algorithm],
            audience=self._audience,
            issuer=self._issuer,
            # Times are judged below, by the clock that a test can move.
            options={
                "require": ["exp", "iss", "aud", "sub"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )

    def _access(self, claims: dict[str, Any]) -> AccessToken:
        now = self._clock.now().timestamp()
        expires_at, not_before = _moment(claims["exp"]), _moment(claims.get("nbf", 0))
        if now >= expires_at + LEEWAY_S or now < not_before - LEEWAY_S:
            raise _Refused("exp or nbf")
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_CHARS:
            raise _Refused("sub")
        return AccessToken(
            token="",
            client_id=str(claims.get("client_id") or claims.get("azp") or ""),
            scopes=_scopes(claims),
            subject=subject,
            # Whoever listens is told nothing from then on (`surface.notices`).
            expires_at=math.ceil(expires_at + LEEWAY_S),
            claims={"iss": self._issuer},
        )


def _moment(told: Any) -> float:
    if isinstance(told, bool) or not isinstance(told, int | float) or not math.isfinite(told):
        raise _Refused("a time")
    return float(told)


def _scopes(claims: dict[str, Any]) -> list[str]:
    """Give those of our scopes that a token has: `scope` (RFC 9068), or `scp` as some issuers have it, text or list."""
    told = claims.get("scope", claims.get("scp", ""))
    given = told.split() if isinstance(told, str) else cast("list[Any]", told) if isinstance(told, list) else []
    return [scope for scope in SCOPES if scope in given]
