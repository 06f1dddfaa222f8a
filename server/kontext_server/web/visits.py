"""Visits of the gallery by whoever signed in: a link that opens once, and a cookie for some hours.

What this is: both as values, signed for one owner; a browser cannot send a token of its own, so an answer to one that
did brings the link. What it is not: what is seen there (`gallery`), or the routes (`visiting`). Above: visiting, http.
Below: secret_key's bytes, tasks.

A link is no state of ours until it was used: then its nonce is a row, so that it opens once whichever process it
reaches. A cookie is none at all: it ends with its time, or with the secret key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets

from kontext_tools.clocks import Clock
from kontext_tools.tasks import Tasks

PATH = "/gallery"
LINK_S = 600
"""A link is used at once, or not."""
COOKIE_S = 4 * 3600
NONCE_BYTES = 16
LONGEST_CHARS = 300
KIND = "gallery"
"""Of the row that says that a link was used."""
_PURPOSE = b"kontext: visits of the gallery, 1"
_LINK, _COOKIE = "link", "cookie"


class Visits:
    """Makes and reads links and cookies.

    Args:
        base: where we are reached, such as `https://kontext.example`.
        secret: the secret key; the key used here is derived from it.
        clock: what expiry is judged by.
    """

    def __init__(self, base: str, secret: bytes, clock: Clock) -> None:
        self._base = base
        self._key = hmac.digest(secret, _PURPOSE, hashlib.sha256)
        self._clock = clock

    @property
    def by_tls(self) -> bool:
        """Whether browsers reach us so: then their cookie goes by nothing else."""
        return self._base.startswith("https:")

    def link(self, owner: str) -> str:
        """Give an address that opens an owner's gallery once, in the next ten minutes."""
        ticket = self._signed(_LINK, owner, LINK_S, secrets.token_urlsafe(NONCE_BYTES))
        return f"{self._base}{PATH}/enter?ticket={ticket}"

    def is_good(self, ticket: str) -> bool:
        """Whether a ticket is ours and its time is not over; it may have been used."""
        return self._read(_LINK, ticket) is not None

    async def entered(self, ticket: str, tasks: Tasks) -> str | None:
        """Use a ticket; give the cookie that it buys, or `None` where it buys none.

        Raises:
            KontextError: the store cannot tell whether it was used; it buys nothing.
        """
        told = self._read(_LINK, ticket)
        if told is None or not await tasks.once(told[0], KIND, told[1]):
            return None
        return self._signed(_COOKIE, told[0], COOKIE_S, "")

    def owner(self, cookie: str) -> str | None:
        """Give whose gallery a browser with this cookie sees; `None` where it is none of ours, or too old."""
        told = self._read(_COOKIE, cookie)
        return None if told is None else told[0]

    def _signed(self, what: str, owner: str, lives_s: int, nonce: str) -> str:
        until = str(self._now() + lives_s)
        return ".".join((owner, until, nonce, self._proof(what, owner, until, nonce)))

    def _read(self, what: str, text: str) -> tuple[str, str] | None:
        """Give the owner and the nonce of what we signed; `None` where we did not, or its time is over."""
        owner, until, nonce, proof = parts if len(parts := text[:LONGEST_CHARS].split(".")) == 4 else ("", "", "", "")
        expected = self._proof(what, owner, until, nonce)
        if not hmac.compare_digest(expected.encode(), proof.encode("utf-8", "surrogatepass")):
            return None
        return (owner, nonce) if int(until) > self._now() else None

    def _now(self) -> int:
        return int(self._clock.now().timestamp())

    def _proof(self, *told: str) -> str:
        signed = json.dumps(told).encode("ascii")
        return base64.urlsafe_b64encode(hmac.digest(self._key, signed, hashlib.sha256)).decode("ascii").rstrip("=")
