"""Tokens of a file: whose they are, wrong lines, and a file that changes while it is in use."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from pathlib import Path

import pytest

from kontext_server.setting_sources import SettingError
from kontext_server.web.tokens import TokensFile

pytestmark = pytest.mark.anyio

HASH = hashlib.sha256(b"alice-token").hexdigest()
BOB = hashlib.sha256(b"bob-token").hexdigest()


def a_file(folder: Path, text: str) -> Path:
    path = folder / "tokens"
    path.write_text(text)
    path.chmod(0o600)
    return path


async def subject(file: TokensFile, token: str) -> str | None:
    access = await file.verify_token(token)
    return None if access is None else access.subject


async def test_a_token_says_who_it_is_what_it_allows_and_is_not_kept(tmp_path: Path) -> None:
    file = TokensFile(a_file(tmp_path, f"# the team\n\n{HASH.upper()} alice images:read,images:edit\n"))
    access = await file.verify_token("alice-token")
    assert access is not None
    assert access.model_dump() == {
        "token": "",
        "client_id": "tokens",
        "scopes": ["images:read", "images:edit"],
        "expires_at": None,
        "resource": None,
        "subject": "alice",
        "claims": {"iss": "tokens"},
    }
    assert [await subject(file, token) for token in ("", "alice-toke", HASH, "\ud800", "x" * 9000)] == [None] * 5


@pytest.mark.parametrize(
    "line", [HASH, f"{HASH} alice", f"{HASH[:-1]} alice images:read", f"{HASH} alice images:all", f"{HASH} a b c"]
)
def test_a_wrong_line_is_told_by_its_number_alone(tmp_path: Path, line: str) -> None:
    with pytest.raises(SettingError) as caught:
        TokensFile(a_file(tmp_path, f"{BOB} bob images:read\n{line}\n"))
    assert "KONTEXT_TOKENS_FILE is wrong in line 2" in str(caught.value)
    assert HASH[:-1] not in str(caught.value)


def test_a_file_that_is_not_there_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="KONTEXT_TOKENS_FILE"):
        TokensFile(tmp_path / "none")


async def test_a_change_of_the_file_holds_from_the_next_request_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = TokensFile(path := a_file(tmp_path, f"{HASH} alice images:read\n"))

    async def after(text: str | None, moment: int) -> tuple[str | None, str | None]:
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
            os.utime(path, (moment, moment))
        return await subject(file, "alice-token"), await subject(file, "bob-token")

    assert await after(f"{BOB} bob images:read\n", 1) == (None, "bob")
    with caplog.at_level(logging.WARNING):
        assert await after("slip\n", 2) == (None, None)
        assert await after(f"{HASH} alice images:read\n", 3) == ("alice", None)
        assert await after(None, 4) == (None, None)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2 and "line 1" in told[0] and "cannot be read" in told[1]


@pytest.mark.skipif(sys.platform == "win32", reason="its rights are no modes")
def test_a_file_that_others_may_read_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = a_file(tmp_path, f"{HASH} alice images:read\n")
    TokensFile(path)
    assert caplog.records == []
    path.chmod(0o644)
    TokensFile(path)
    assert "chmod 600" in caplog.text
