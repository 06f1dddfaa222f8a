"""The addresses that hosts may call: for one send each, nobody's to guess; and which hosts do call."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kontext_tools.budget import Price, Unit
from kontext_tools.hooks import Hooks, Place, Promises
from kontext_tools.http import Http
from kontext_tools.jobs import Send
from kontext_tools.providers.core_today import CoreToday
from kontext_tools.redaction import Redactor

SECRET = b"s" * 32
SEND = Send(
    job_id="red-car-4k7q",
    provider="core.today",
    n=1,
    price=Price(amount=Decimal(1), unit=Unit.USD),
    due_at=datetime(2026, 11, 20, tzinfo=UTC),
)
HOST = CoreToday(Http(), key="cdt_x")
BASE = "https://kontext.example"


def hooks(secret: bytes = SECRET, *reached_by: str) -> Hooks:
    return Hooks(BASE, secret, reached_by or ("core.today",))


def segments(url: str) -> tuple[str, str, str, str]:
    provider, job_id, n, proof = url.removeprefix(f"{BASE}/webhooks/").split("/")
    return provider, job_id, n, proof


def test_a_hook_proves_itself_in_any_process_with_the_same_key_and_in_no_other() -> None:
    hook = hooks().hook(SEND, HOST)
    assert hook is not None
    told = segments(hook.url)
    assert hooks().place(*told) == Place(provider="core.today", job_id="red-car-4k7q", n=1)
    assert hooks(b"t" * 32).place(*told) is None
    assert hooks().secret(Place.of(SEND)) == hook.secret
    assert len(told[3].removeprefix("whk_")) * 6 >= 128


def test_hooks_and_secrets_of_two_sends_have_nothing_in_common() -> None:
    sends = [SEND, replace(SEND, n=2), replace(SEND, job_id="red-car-4k7r"), replace(SEND, provider="bfl")]
    made = [hooks(SECRET, "core.today", "bfl").hook(send, HOST) for send in sends]
    found = {word for hook in made if hook is not None for word in (segments(hook.url)[3], hook.secret)}
    assert len(found) == 8


@given(st.tuples(st.text(), st.text(), st.text(max_size=3), st.text()))
def test_whatever_is_guessed_is_none_of_ours(told: tuple[str, str, str, str]) -> None:
    assert hooks().place(*told) is None


@given(at=st.integers(0, 2), piece=st.text(min_size=1, max_size=12))
def test_a_proof_moved_to_another_place_proves_nothing(at: int, piece: str) -> None:
    hook = hooks().hook(SEND, HOST)
    assert hook is not None
    told = list(segments(hook.url))
    same = told[at] == piece
    told[at] = piece
    assert (hooks().place(told[0], told[1], told[2], told[3]) is not None) == same


def test_a_host_that_cannot_reach_us_or_never_calls_has_no_hook() -> None:
    from kontext_tools.providers.eachlabs import Eachlabs

    silent = Eachlabs(Http(), key="x")
    assert hooks(SECRET, "bfl").hook(SEND, HOST) is None
    assert hooks(SECRET, "eachlabs").hook(replace(SEND, provider="eachlabs"), silent) is None


def test_no_text_tells_a_hook_or_its_secret() -> None:
    hook = hooks().hook(SEND, HOST)
    assert hook is not None
    redact = Redactor(())
    said = [hook.url, hook.secret, f"({hook.url})", hook.url.replace("_", "%5F"), repr(hook)]
    assert [text for text in map(redact, said) if hook.secret in text or segments(hook.url)[3] in text] == []


@pytest.mark.parametrize("in_between", [[], ["came"]])
def test_a_host_that_did_not_call_is_looked_at_as_usual_until_it_calls_again(in_between: list[str]) -> None:
    promises, hooked = Promises(), replace(SEND, hooked=True)
    seen = [promises.keeps("core.today")]
    promises.ended(SEND)  # it was not asked to call
    seen.append(promises.keeps("core.today"))
    if in_between:
        promises.came(Place.of(SEND))
    promises.ended(hooked)
    seen.append(promises.keeps("core.today"))
    promises.came(Place.of(replace(SEND, n=2)))
    seen.append(promises.keeps("core.today"))
    assert seen == [True, True, bool(in_between), True]
