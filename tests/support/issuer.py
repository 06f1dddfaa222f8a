"""An issuer of tokens on loopback: its keys, the tokens that it signs, and those that it never would."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from support.canary import Canary, Hit, Told, canary

AUDIENCE = "https://kontext.example/mcp"
EVERY_SCOPE = "images:read images:edit jobs:cancel"

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
"""Of nobody that a server was told of."""

KEYS: Mapping[str, tuple[str, Any]] = {"rsa-1": ("RS256", RSA_KEY), "ec-1": ("ES256", EC_KEY)}


def jwk(key: Any, key_id: str, **more: Any) -> dict[str, Any]:
    """Give a key's public half as a JWKS has it."""
    kind: Any = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    told: dict[str, Any] = json.loads(kind.to_jwk(key.public_key()))
    return {**told, "kid": key_id, "use": "sig", **more}


@dataclass(slots=True, kw_only=True)
class Issuer:
    """One issuer.

    Attributes:
        host: where its keys are asked for; `hits` says how often.
        keys: what it gives, which a test may change.
    """

    host: Canary
    keys: list[dict[str, Any]]

    @property
    def name(self) -> str:
        """As its tokens say."""
        return f"{self.host.base_url}/realm/"

    @property
    def settings(self) -> dict[str, str]:
        """The environment of a server that trusts it."""
        return {
            "KONTEXT_AUTH_ISSUER": self.name,
            "KONTEXT_AUTH_JWKS_URL": f"{self.host.base_url}/keys",
            "KONTEXT_AUTH_AUDIENCE": AUDIENCE,
        }

    def claims(self, subject: str = "alice", **changed: Any) -> dict[str, Any]:
        """Give what a good token says; a value of `None` leaves a claim out."""
        now = int(time.time())
        told = {
            "iss": self.name,
            "aud": AUDIENCE,
            "sub": subject,
            "client_id": "a-client",
            "scope": EVERY_SCOPE,
            "iat": now,
            "exp": now + 3600,
            **changed,
        }
        return {name: value for name, value in told.items() if value is not None}

    def token(self, subject: str = "alice", *, by: str = "rsa-1", **changed: Any) -> str:
        """Give a signed token."""
        algorithm, key = KEYS[by]
        return jwt.encode(self.claims(subject, **changed), key, algorithm=algorithm, headers={"kid": by})


@contextmanager
def issuing() -> Generator[Issuer]:
    """Give an issuer for as long as the block lasts."""
    keys = [jwk(key, key_id) for key_id, (_, key) in KEYS.items()]

    def answer(_: Hit) -> Told:
        return Told(json={"keys": keys}, headers={"content-type": "application/json"})

    with canary(answer) as host:
        yield Issuer(host=host, keys=keys)


def by_hand(header: Mapping[str, Any], claims: Mapping[str, Any], signature: bytes = b"") -> str:
    """Give a token as it stands, whatever libraries think of it."""
    parts = [_base64(json.dumps(part).encode()) for part in (header, claims)]
    return ".".join([*parts, _base64(signature)])


def bad_tokens(issuer: Issuer, other: Issuer) -> dict[str, str]:
    """Give the tokens that no server may take, by what is wrong with each.

    Args:
        issuer: whom the server trusts.
        other: another, with keys of the same ids.
    """
    now, good = int(time.time()), issuer.claims()
    signed = issuer.token()
    head, body, signature = signed.split(".")
    public = RSA_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    confused_head = {"alg": "HS256", "typ": "JWT", "kid": "rsa-1"}
    unsigned = by_hand(confused_head, good).rpartition(".")[0]
    admin = _base64(json.dumps({**good, "sub": "root"}).encode())
    return {
        "a letter": "x",
        "no token": "not-a-token",
        "another audience": issuer.token(aud="https://other.example/mcp"),
        "no audience": issuer.token(aud=None),
        "another issuer's name": issuer.token(iss=other.name),
        "the issuer without its last slash": issuer.token(iss=issuer.name.rstrip("/")),
        "another issuer's token": other.token(),
        "another issuer's token in our issuer's name": jwt.encode(
            good, OTHER_KEY, algorithm="RS256", headers={"kid": "rsa-1"}
        ),
        "expired": issuer.token(exp=now - 61),
        "no expiry": issuer.token(exp=None),
        "expiry that is no number": by_hand({"alg": "RS256", "kid": "rsa-1"}, {**good, "exp": "soon"}),
        "not yet": issuer.token(nbf=now + 120),
        "no subject": issuer.token(sub=None),
        "an empty subject": issuer.token(""),
        "alg none": by_hand({"alg": "none", "typ": "JWT", "kid": "rsa-1"}, good),
        "alg None": by_hand({"alg": "None", "typ": "JWT", "kid": "rsa-1"}, good),
        "HS256 with the public key": f"{unsigned}.{_base64(hmac.digest(public, unsigned.encode(), hashlib.sha256))}",
        "RS256 by the key for ES256": by_hand({"alg": "RS256", "kid": "ec-1"}, good, b"x" * 256),
        "RS512": jwt.encode(good, RSA_KEY, algorithm="RS512", headers={"kid": "rsa-1"}),
        "an unknown key": jwt.encode(good, OTHER_KEY, algorithm="RS256", headers={"kid": "rsa-9"}),
        "no key id": jwt.encode(good, RSA_KEY, algorithm="RS256"),
        "a critical extension": jwt.encode(
            good, RSA_KEY, algorithm="RS256", headers={"kid": "rsa-1", "crit": ["x"], "x": 1}
        ),
        "its key brought along": jwt.encode(
            good, OTHER_KEY, algorithm="RS256", headers={"kid": "mine", "jwk": jwk(OTHER_KEY, "mine")}
        ),
        "stripped of its signature": f"{head}.{body}.",
        "without its last part": f"{head}.{body}",
        "other claims under its signature": f"{head}.{admin}.{signature}",
        "a token of another kind": jwt.encode(
            good, RSA_KEY, algorithm="RS256", headers={"kid": "rsa-1", "typ": "logout+jwt"}
        ),
        "too long": issuer.token(pad="x" * 10_000),
    }


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
