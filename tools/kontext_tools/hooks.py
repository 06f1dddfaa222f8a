"""Hooks: the addresses at which hosts may call, one for each send; and whether hosts do call.

What this is: an address that nobody can guess, proven without a table, so that any process with the same secret key
takes a call for any send; and what this process has seen of each host's calls. What it is not: the reading of a call
(`providers.hooks`), or what it leads to (`hearing`). Above: submitting, watching, hearing. Below: providers.hooks.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass

from kontext_tools.jobs import Send
from kontext_tools.providers.base import Hook, Provider
from kontext_tools.providers.hooks import caller_of
from kontext_tools.redaction import HOOK_MARK

PATH = "/webhooks"
PROOF_BYTES = 24
MOST_REMEMBERED = 10_000
_OF_ADDRESSES = b"kontext: addresses of hooks, 1"
_OF_SECRETS = b"kontext: secrets of hooks, 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Whom a hook is for: one send of a job, at one provider."""

    provider: str
    job_id: str
    n: int

    @classmethod
    def of(cls, send: Send) -> Place:
        """Give a send's place."""
        return cls(provider=send.provider, job_id=send.job_id, n=send.n)

    def __str__(self) -> str:
        return f"{self.provider}/{self.job_id}/{self.n}"


class Hooks:
    """Makes and proves hooks.

    Args:
        base: where hosts reach us, without a path.
        secret: the secret key; the keys used here are derived from it.
        reached_by: the providers that can call that address.
    """

    def __init__(self, base: str, secret: bytes, reached_by: Collection[str]) -> None:
        self._base = base
        self._key = hmac.digest(secret, _OF_ADDRESSES, hashlib.sha256)
        self._secrets_key = hmac.digest(secret, _OF_SECRETS, hashlib.sha256)
        self._reached_by = frozenset(reached_by)

    def hook(self, send: Send, provider: Provider) -> Hook | None:
        """Give a send's hook; `None` where its provider does not call, or cannot reach us."""
        if send.provider not in self._reached_by or caller_of(provider) is None:
            return None
        place = Place.of(send)
        return Hook(url=f"{self._base}{PATH}/{place}/{_digest(self._key, place)}", secret=self.secret(place))

    def place(self, provider: str, job_id: str, n: str, proof: str) -> Place | None:
        """Give whom an address is for; `None` where it is none of ours."""
        if not n.isascii() or not n.isdigit() or len(n) > len("99"):
            return None
        place = Place(provider=provider, job_id=job_id, n=int(n))
        given = proof.encode("utf-8", "surrogatepass")
        return place if hmac.compare_digest(_digest(self._key, place).encode(), given) else None

    def secret(self, place: Place) -> str:
        """Give the secret that a host, told it with the address, proves itself by."""
        return _digest(self._secrets_key, place)


def _digest(key: bytes, place: Place) -> str:
    proof = hmac.digest(key, str(place).encode("utf-8", "surrogatepass"), hashlib.sha256)[:PROOF_BYTES]
    return HOOK_MARK + base64.urlsafe_b64encode(proof).decode("ascii")


class Promises:
    """Which hosts call as they were asked to, as far as this process has seen.

    A host whose job was found ended by a look, while no call had come, is looked at as often as one that never calls;
    the next call that comes is believed again. With several processes on one store a call may reach another one: then
    this one only looks more often than it needs.
    """

    def __init__(self) -> None:
        self._broken: set[str] = set()
        self._came: OrderedDict[Place, None] = OrderedDict()

    def keeps(self, provider: str) -> bool:
        """Whether a provider that was asked to call is expected to."""
        return provider not in self._broken

    def came(self, place: Place) -> None:
        """Note a proven call."""
        self._broken.discard(place.provider)
        self._came[place] = None
        if len(self._came) > MOST_REMEMBERED:
            self._came.popitem(last=False)

    def ended(self, send: Send) -> None:
        """Note that a look found a job at its end."""
        if send.hooked and Place.of(send) not in self._came:
            self._broken.add(send.provider)
