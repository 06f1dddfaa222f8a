"""The secret key: what counts as one, and that processes which start at once share it."""

from __future__ import annotations

import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kontext_server import secret_key

KEY = bytes(range(220, 252))


@pytest.mark.parametrize(
    "text",
    [base64.b64encode(KEY).decode(), base64.urlsafe_b64encode(KEY).decode(), f" {base64.b64encode(KEY).decode()}\n"],
    ids=["base64", "its alphabet for addresses", "with blanks around"],
)
def test_32_bytes_as_base64_are_a_key(text: str) -> None:
    assert secret_key.decoded(text) == KEY


@pytest.mark.parametrize("text", ["", "hunter2", "é" * 44, base64.b64encode(KEY[:-1]).decode(), KEY.hex()])
def test_nothing_else_is_one(text: str) -> None:
    assert secret_key.decoded(text) is None


def test_many_that_make_it_at_once_have_the_same_one_kept_for_its_owner_alone(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(secret_key.kept_in, [tmp_path] * 32))
    (key,) = keys
    assert key is not None
    assert secret_key.kept_in(tmp_path) == key
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600
