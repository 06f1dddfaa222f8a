"""Addresses of our own pictures: signed, for one owner, for a while.

What this is: what an answer over HTTP gives where one over stdio gives a path, and the proof that a request came by
such an address. Whoever has the address has the picture, as with a presigned address of S3, until it expires. What it
is not: the serving (`routes`). Above: http, routes. Below: secret_key's bytes, references.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from urllib.parse import urlencode

from kontext_tools.clocks import Clock
from kontext_tools.references import Ref

LIVES_S = 24 * 3600
"""An address lives at least so long; in the next hour a new answer gives a newer one."""
STEP_S = 3600
"""Within a step the same picture has the same address, so that an answer's text and fields agree and caches help."""
PURPOSE = b"kontext: addresses of images, 1"


class Addresses:
    """Makes and reads the addresses below one base.

    Args:
        base: where we are reached, such as `http://127.0.0.1:8765`.
        secret: the secret key; the key used here is derived from it.
        clock: what expiry is judged by.
    """

    def __init__(self, base: str, secret: bytes, clock: Clock) -> None:
        self._base = base
        self._key = hmac.digest(secret, PURPOSE, hashlib.sha256)
        self._clock = clock

    def address(self, owner: str, ref: Ref) -> str:
        """Give the address of one of an owner's pictures."""
        until = str((self._now() // STEP_S + 1) * STEP_S + LIVES_S)
        job, n = ref.job_id, str(ref.n)
        told = {"owner": owner, "until": until, "proof": self._proof(job, n, owner, until)}
        return f"{self._base}/images/{job}/{n}?{urlencode(told)}"

    def owner(self, job: str, n: str, told: Mapping[str, str]) -> str | None:
        """Give whose picture a request may see; `None` where its address is not one of ours, or too old."""
        owner, until, proof = told.get("owner", ""), told.get("until", ""), told.get("proof", "")
        if not hmac.compare_digest(self._proof(job, n, owner, until).encode(), proof.encode("utf-8", "surrogatepass")):
            return None
        return owner if int(until) > self._now() else None

    def left_s(self, told: Mapping[str, str]) -> int:
        """Give the seconds that a proven address still lives."""
        return int(told["until"]) - self._now()

    def _now(self) -> int:
        return int(self._clock.now().timestamp())

    def _proof(self, job: str, n: str, owner: str, until: str) -> str:
        signed = json.dumps([job, n, owner, until]).encode("ascii")
        return base64.urlsafe_b64encode(hmac.digest(self._key, signed, hashlib.sha256)).decode("ascii").rstrip("=")
