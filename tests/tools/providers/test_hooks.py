"""What proves that a call is its host's: the bytes, the moment, the key; and nothing that was changed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from kontext_server.simulator.serve import Running
from kontext_tools.http import Http
from kontext_tools.providers.base import FetchFailed, Hook, Lost
from kontext_tools.providers.bfl import Bfl
from kontext_tools.providers.core_today import CoreToday
from kontext_tools.providers.eachlabs import Eachlabs
from kontext_tools.providers.fal import Fal
from kontext_tools.providers.fal_keys import FalKeys
from kontext_tools.providers.hooks import Heard, Knock, caller_of, heard, is_fresh, is_hex_signed, is_signed
from kontext_tools.providers.replicate import KKIAI, REPLICATE, Replicate
from kontext_tools.providers.replicate_calls import Signing
from kontext_tools.providers.runflow import Runflow
from kontext_tools.providers.wire import Wire
from support.canary import Answer, Hit, Told, canary
from support.orders import JSON, a_picture, an_order, intent

pytestmark = pytest.mark.anyio

KEY = "r8_PLANTED_MARKER_0123456789"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
AT = datetime.fromtimestamp(1614265330, UTC)
PUBLISHED = Knock(
    headers={
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    },
    body=b'{"test": 2432232314}',
    at=AT,
)
"""The vector that Replicate's own client is tested with, and Svix's before it."""


def test_the_published_vector_fits_and_the_same_json_written_anew_does_not() -> None:
    assert is_signed(PUBLISHED, SECRET)
    assert not is_signed(replace(PUBLISHED, body=b'{"test":2432232314}'), SECRET)


def test_one_of_several_signatures_is_enough() -> None:
    (signature,) = [value for name, value in PUBLISHED.headers.items() if name.endswith("signature")]
    several = {**PUBLISHED.headers, "webhook-signature": f"v1,AAAA v2,abc {signature}"}
    assert is_signed(replace(PUBLISHED, headers=several), SECRET)


@given(
    at=st.integers(0, len(PUBLISHED.body) - 1),
    bit=st.integers(0, 7),
    name=st.sampled_from([*PUBLISHED.headers, "body"]),
)
def test_one_bit_changed_anywhere_and_it_does_not_fit(at: int, bit: int, name: str) -> None:
    def flipped(data: bytes) -> bytes:
        place = at % len(data)
        return data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :]

    knock = replace(PUBLISHED, body=flipped(PUBLISHED.body))
    if name != "body":
        changed = flipped(PUBLISHED.headers[name].encode()).decode("latin-1")
        knock = replace(PUBLISHED, headers={**PUBLISHED.headers, name: changed})
    assert not is_signed(knock, SECRET)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!", "whsec_BBBB", SECRET.removeprefix("whsec_")[:-4]])
def test_no_other_secret_fits_and_none_least_of_all(secret: str) -> None:
    """An empty key signs too, and everybody has it."""
    body = PUBLISHED.body
    signed = b".".join((b"msg_p5jXN8AQM9LWM0D4loKWxJek", b"1614265330", body))
    of_nobody = base64.b64encode(hmac.digest(b"", signed, hashlib.sha256)).decode()
    assert not is_signed(
        replace(PUBLISHED, headers={**PUBLISHED.headers, "webhook-signature": f"v1,{of_nobody}"}), secret
    )


@pytest.mark.parametrize(
    ("passed_s", "fits"), [(-301, False), (-300, True), (0, True), (300, True), (301, False), (86_400, False)]
)
def test_a_signature_is_believed_for_five_minutes(passed_s: int, fits: bool) -> None:
    assert is_signed(replace(PUBLISHED, at=AT + timedelta(seconds=passed_s)), SECRET) is fits


@pytest.mark.parametrize(
    "stamp", ["", "-1", "1e9", "16142653300", "\uff11\uff16", " 1614265330", "1614265330.0", "nan"]
)
def test_what_is_no_moment_is_not_fresh(stamp: str) -> None:
    assert not is_fresh(stamp, AT)


@given(st.binary(max_size=40), st.text(max_size=80))
def test_a_hexadecimal_signature_fits_its_bytes_alone(body: bytes, signature: str) -> None:
    knock = Knock(headers={}, body=body, at=AT)
    good = hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    assert is_hex_signed(knock, "secret", good)
    assert not is_hex_signed(replace(knock, body=body + b" "), "secret", good)
    assert signature == good or not is_hex_signed(knock, "secret", signature)


def adapters(http: Http, root: str) -> dict[str, Any]:
    return {
        "core.today": CoreToday(http, key="cdt_x", base_url=f"{root}/core.today/v1"),
        "replicate": Replicate(http, host=REPLICATE, key=KEY, base_url=f"{root}/replicate/v1"),
        "runflow": Runflow(http, key="rf_live_x", base_url=f"{root}/runflow/v1"),
        "bfl": Bfl(http, key="x", base_url=f"{root}/bfl"),
        "fal": Fal(http, key="x", base_url=f"{root}/fal"),
        "kkiai": Replicate(http, host=KKIAI, key=KEY, base_url=f"{root}/kkiai/replicate/v1"),
        "eachlabs": Eachlabs(http, key="x", base_url=f"{root}/eachlabs"),
    }


async def test_who_documents_calls_makes_them_but_bfls_common_address(http: Http) -> None:
    """There, a task that was to be called about can be looked at nowhere (WIRE.md B2)."""
    calls = {name: caller_of(adapter) is not None for name, adapter in adapters(http, "http://127.0.0.1:1").items()}
    calls["bfl's common address"] = caller_of(Bfl(http, key="x")) is not None
    calls["bfl in Europe"] = caller_of(Bfl(http, key="x", base_url="https://api.eu.bfl.ai")) is not None
    assert calls == dict.fromkeys(calls, True) | {"kkiai": False, "eachlabs": False, "bfl's common address": False}


@given(JSON)
def test_whatever_a_body_holds_it_names_a_job_or_none(told: Any) -> None:
    for body in (json.dumps(told), json.dumps({"id": told}), "[" * 100_000):
        got = heard(Knock(headers={}, body=body.encode(), at=AT), "id")
        assert got.remote_id is None or (isinstance(told, str) and got.remote_id == told)


@pytest.mark.parametrize("name", ["core.today", "replicate", "runflow", "bfl", "fal"])
async def test_a_job_is_another_lost_creates_only_where_nothing_tells_it_from_that(
    simulator: Running, http: Http, name: str
) -> None:
    adapter = adapters(http, simulator.base_url)[name]
    order = an_order(a_picture(), seed=7)
    taken = await adapter.submit(order, intent)
    now = datetime.now(UTC)
    lost = Lost(order=order, sent_at=now, signed=True)
    got = {
        "itself": await adapter.made(lost, taken.remote_id),
        "no such": await adapter.made(lost, "00000000-0000-4000-8000-000000000000"),
    }
    if name in {"core.today", "replicate"}:
        got["of another hour"] = not await adapter.made(
            replace(lost, sent_at=now + timedelta(hours=1)), taken.remote_id
        )
    if name == "replicate":
        other = replace(order, prompt="another")
        got["of another prompt"] = not await adapter.made(replace(lost, order=other), taken.remote_id)
    if name == "runflow":
        other = replace(order, key="x-y-z:1")
        got["of another send"] = not await adapter.made(replace(lost, order=other), taken.remote_id)
    assert got == dict.fromkeys(got, True) | {"no such": False}


async def test_a_hook_goes_out_with_the_create_and_never_into_what_people_read(simulator: Running, http: Http) -> None:
    hook = Hook(url="http://127.0.0.1:9/webhooks/x/whk_PLANTED", secret="whk_SECRET")
    told = ""
    for name, adapter in adapters(http, simulator.base_url).items():
        if name in {"core.today", "replicate", "bfl"}:
            order = an_order()
            await adapter.submit(replace(order, hook=hook), intent)
            told += str(adapter.request(order)) + str(replace(order, hook=hook))
    asked = [job.asked for job in simulator.state.jobs.values()]
    assert asked == [
        {"webhook_url": hook.url},
        {"webhook": hook.url, "webhook_events_filter": ["completed"]},
        {"webhook_url": hook.url, "webhook_secret": hook.secret},
    ]
    assert "whk_" not in told


def speaks(*answers: Told) -> Answer:
    left = list(answers)

    def answer(_: Hit) -> Told:
        return left.pop(0) if len(left) > 1 else left[0]

    return answer


async def test_replicates_secret_is_asked_for_once_and_again_when_it_was_changed(http: Http) -> None:
    with canary(speaks(Told(json={"key": "whsec_AAAA"}), Told(json={"key": SECRET}))) as host:
        signing = Signing(_wire(http, host.base_url))
        got = [await signing.proves(PUBLISHED), await signing.proves(PUBLISHED)]
        asked = len(host.hits)
        later = PUBLISHED.at + timedelta(seconds=61)
        got += [await signing.proves(replace(PUBLISHED, at=later)), await signing.proves(PUBLISHED)]
    assert (got, asked, len(host.hits)) == ([False, False, True, True], 1, 2)


@pytest.mark.parametrize("told", [{}, {"key": 7}, {"key": "none"}, [], "x"])
async def test_a_host_that_tells_no_secret_proves_nothing(http: Http, told: Any) -> None:
    with canary(speaks(Told(json=told))) as host:
        assert not await Signing(_wire(http, host.base_url)).proves(PUBLISHED)


async def test_a_host_that_does_not_tell_its_secret_is_to_call_again(http: Http) -> None:
    with canary(speaks(Told(status=500, json={}))) as host, pytest.raises(FetchFailed):
        await Signing(_wire(http, host.base_url)).proves(PUBLISHED)


async def test_fals_keys_are_fetched_without_our_key_kept_and_fetched_again_for_an_unknown_one(http: Http) -> None:
    old, new = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    bad = [{"kty": "OKP", "crv": "Ed25519", "x": x} for x in ("", "é", "AAAA")]
    sets = [Told(json={"keys": [7, *bad, _jwk(old)]}), Told(json={"keys": [_jwk(old), _jwk(new)]})]
    with canary(speaks(*sets)) as host:
        keys = FalKeys(_wire(http, host.base_url, {}))
        got = [
            await keys.signed(_by(old, b"{}", AT)),
            await keys.signed(replace(_by(old, b"{}", AT), body=b"{} ")),
            await keys.signed(_by(new, b"{}", AT)),
            await keys.signed(_by(new, b"{}", AT + timedelta(seconds=61))),
            await keys.signed(replace(_by(old, b"{}", AT), at=AT + timedelta(seconds=301))),
        ]
    assert got == [True, False, False, True, False]
    assert [(hit.path, "authorization" in hit.headers) for hit in host.hits] == [("/.well-known/jwks.json", False)] * 2


async def test_bfls_calls_are_proven_by_either_of_the_two_headers(http: Http) -> None:
    bfl = Bfl(http, key="x", base_url="http://127.0.0.1:1")
    body = b'{"id": "t1"}'
    digest = hmac.new(b"whk_s", body, hashlib.sha256).hexdigest()
    tried = [
        {"x-webhook-secret": "whk_s"},
        {"x-bfl-signature": f"sha256={digest}"},
        {},
        {"x-webhook-secret": "", "x-bfl-signature": "sha256="},
        {"x-webhook-secret": "whk_t"},
        {"x-bfl-signature": digest},
    ]
    got = [await bfl.hear(Knock(headers=headers, body=body, at=AT), "whk_s") for headers in tried]
    assert got == [Heard(remote_id="t1"), Heard(remote_id="t1"), None, None, None, None]


def _wire(http: Http, base_url: str, headers: dict[str, str] | None = None) -> Wire:
    named = {"Authorization": KEY} if headers is None else headers
    return Wire(http, name="x", base_url=base_url, headers=named, key_variable="X")


def _jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    public = base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).decode().rstrip("=")
    return {"kty": "OKP", "crv": "Ed25519", "x": public}


def _by(key: Ed25519PrivateKey, body: bytes, at: datetime) -> Knock:
    lines = ["r1", "u1", str(int(at.timestamp())), hashlib.sha256(body).hexdigest()]
    names = ("request-id", "user-id", "timestamp")
    headers = {f"x-fal-webhook-{name}": line for name, line in zip(names, lines[:3], strict=True)}
    headers["x-fal-webhook-signature"] = key.sign("\n".join(lines).encode()).hex()
    return Knock(headers=headers, body=body, at=at)
