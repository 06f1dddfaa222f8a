"""The seal: what was changed, moved or sealed under another secret key does not open."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kontext_tools.sealing import KEY_BYTES, NONCE_BYTES, Broken, Seal

SEAL = Seal(lambda: bytes(KEY_BYTES))
ABOUT = ("id-1", "ann", "fal")


@given(st.text(min_size=1))
def test_what_is_sealed_opens_and_is_not_in_the_sealed_text(text: str) -> None:
    sealed = SEAL.sealed(text, *ABOUT)
    assert SEAL.opened(sealed, *ABOUT) == text
    assert len(text.encode()) < 8 or text.encode() not in base64.b64decode(sealed)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_one_changed_byte_anywhere_breaks_it(place: int, change: int) -> None:
    data = bytearray(base64.b64decode(SEAL.sealed("k_0123456789abcdef", *ABOUT)))
    data[place % len(data)] ^= change
    with pytest.raises(Broken):
        SEAL.opened(base64.b64encode(data).decode(), *ABOUT)


@pytest.mark.parametrize(
    "about",
    [("id-1", "bob", "fal"), ("id-1", "ann", "bfl"), ("id-2", "ann", "fal"), ("id-1", "ann"), ("id-1", "annfal", "")],
)
def test_it_opens_for_nobody_else_and_for_nothing_else(about: tuple[str, ...]) -> None:
    with pytest.raises(Broken):
        SEAL.opened(SEAL.sealed("k_0123456789abcdef", *ABOUT), *about)


@pytest.mark.parametrize("sealed", ["", "=", "x" * 40, base64.b64encode(bytes(NONCE_BYTES)).decode(), "\ud800"])
def test_what_never_was_sealed_is_broken_and_no_crash(sealed: str) -> None:
    with pytest.raises(Broken):
        SEAL.opened(sealed, *ABOUT)


def test_another_secret_key_opens_nothing() -> None:
    with pytest.raises(Broken):
        Seal(lambda: b"1" * KEY_BYTES).opened(SEAL.sealed("k_0123456789abcdef", *ABOUT), *ABOUT)


def test_one_text_is_sealed_otherwise_each_time() -> None:
    assert SEAL.sealed("same", *ABOUT) != SEAL.sealed("same", *ABOUT)
