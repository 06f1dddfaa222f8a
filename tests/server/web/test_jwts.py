"""Tokens that an issuer signed: what is taken, what never is, and how its keys are asked for."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest

from kontext_server.web.jwts import LEEWAY_S, Jwts
from kontext_server.web.key_set import AGAIN_S, FRESH_S, STALE_S, KeySet, read
from kontext_tools.guard import Guard
from kontext_tools.http import Http
from support.canary import Told
from support.fake_clock import FakeClock
from support.issuer import AUDIENCE, EC_KEY, OTHER_KEY, RSA_KEY, Issuer, bad_tokens, issuing, jwk

pytestmark = pytest.mark.anyio


@pytest.fixture
def issuer() -> Generator[Issuer]:
    with issuing() as one:
        yield one


def verifier(issuer: Issuer, clock: FakeClock) -> Jwts:
    url = f"{issuer.host.base_url}/keys"
    keys = KeySet(Http(guard=Guard(trusted=[url])), url, clock)
    return Jwts(keys, issuer=issuer.name, audience=AUDIENCE, clock=clock)


def at(clock: FakeClock, issuer: Issuer, *, by: str = "rsa-1", **changed: Any) -> str:
    now = clock.now().timestamp()
    told: dict[str, Any] = {"iat": now, "exp": now + 3600} | changed
    return issuer.token(by=by, **told)


async def taken(jwts: Jwts, token: str) -> bool:
    return await jwts.verify_token(token) is not None


@pytest.mark.parametrize("by", ["rsa-1", "ec-1"])
async def test_a_token_says_who_it_is_what_it_allows_and_is_not_kept(issuer: Issuer, by: str) -> None:
    jwts = verifier(issuer, clock := FakeClock())
    token = at(clock, issuer, by=by, scope="images:read images:edit openid", aud=["https://a.example", AUDIENCE])
    access = await jwts.verify_token(token)
    assert access is not None
    assert access.model_dump() == {
        "token": "",
        "client_id": "a-client",
        "scopes": ["images:read", "images:edit"],
        "expires_at": int(clock.now().timestamp()) + 3600 + LEEWAY_S,
        "resource": None,
        "subject": "alice",
        "claims": {"iss": issuer.name},
    }


@pytest.mark.parametrize("told", [{"scp": ["jobs:cancel"]}, {"scp": "jobs:cancel x"}, {"scope": "jobs:cancel"}])
async def test_scopes_are_read_as_issuers_write_them(issuer: Issuer, told: dict[str, Any]) -> None:
    jwts = verifier(issuer, clock := FakeClock())
    without: dict[str, Any] = {"scope": None}
    access = await jwts.verify_token(at(clock, issuer, **without | told))
    assert access is not None and access.scopes == ["jobs:cancel"]


async def test_no_bad_token_is_taken(issuer: Issuer) -> None:
    with issuing() as other:
        other.keys[:] = [jwk(OTHER_KEY, "rsa-1")]
        # On the machine's own time, which the tokens are made at.
        jwts = verifier(issuer, FakeClock(datetime.now(UTC)))
        assert await taken(jwts, issuer.token())
        assert [name for name, token in bad_tokens(issuer, other).items() if await taken(jwts, token)] == []


async def test_clocks_may_be_a_minute_apart_and_no_more(issuer: Issuer) -> None:
    jwts = verifier(issuer, clock := FakeClock())
    now = clock.now().timestamp()
    cases = {("exp", -59): True, ("exp", -60): False, ("nbf", 60): True, ("nbf", 61): False}
    assert {
        case: await taken(jwts, at(clock, issuer, **dict[str, Any]({case[0]: now + case[1]}))) for case in cases
    } == cases


async def test_a_new_key_is_fetched_and_unknown_ones_cost_one_fetch_in_a_while(issuer: Issuer) -> None:
    jwts = verifier(issuer, clock := FakeClock())
    assert await taken(jwts, at(clock, issuer))
    assert len(issuer.host.hits) == 1
    for _ in range(20):
        strange = jwt.encode(issuer.claims(), OTHER_KEY, algorithm="RS256", headers={"kid": "new"})
        assert not await taken(jwts, strange)
    assert len(issuer.host.hits) == 1
    issuer.keys.append(jwk(OTHER_KEY, "new"))
    clock.advance(AGAIN_S)
    rotated = jwt.encode(
        issuer.claims(exp=clock.now().timestamp() + 60), OTHER_KEY, algorithm="RS256", headers={"kid": "new"}
    )
    assert await taken(jwts, rotated)
    assert len(issuer.host.hits) == 2


async def test_a_key_that_was_taken_back_verifies_no_longer_than_keys_are_kept(issuer: Issuer) -> None:
    jwts = verifier(issuer, clock := FakeClock())
    assert await taken(jwts, at(clock, issuer))
    del issuer.keys[0]
    assert await taken(jwts, at(clock, issuer))
    clock.advance(FRESH_S)
    assert not await taken(jwts, at(clock, issuer))
    assert await taken(jwts, at(clock, issuer, by="ec-1"))


@pytest.mark.parametrize("answer", [Told(status=500, json={}), Told(json=[]), Told(json={"keys": 1}), Told(body=b"<")])
async def test_while_the_issuer_does_not_answer_the_last_keys_serve_for_a_day(issuer: Issuer, answer: Told) -> None:
    jwts = verifier(issuer, clock := FakeClock())
    assert await taken(jwts, at(clock, issuer))
    issuer.host.answer = lambda _: answer
    clock.advance(FRESH_S)
    assert await taken(jwts, at(clock, issuer))
    clock.advance(STALE_S - FRESH_S)
    assert not await taken(jwts, at(clock, issuer))


def test_only_keys_that_fit_what_we_accept_are_read() -> None:
    listed = [
        jwk(RSA_KEY, "good"),
        jwk(EC_KEY, "good-too", alg="ES256"),
        jwk(RSA_KEY, "for encryption", use="enc"),
        jwk(RSA_KEY, "another algorithm", alg="RS512"),
        {name: value for name, value in jwk(RSA_KEY, "x").items() if name != "kid"},
        {"kty": "oct", "kid": "a secret", "k": "AAAA"},
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        {**jwk(RSA_KEY, "private"), "d": "AAAA"},
        "no key",
    ]
    assert {key_id: key.algorithm for key_id, key in read(listed).items()} == {"good": "RS256", "good-too": "ES256"}
