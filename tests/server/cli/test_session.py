"""One command's work: what is told when it cannot begin, and how SIGTERM is heard."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from kontext_server.cli.session import sigterm_interrupts

Invoke = Callable[..., Result]


def test_a_wrong_setting_is_named_and_ends_with_3(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KONTEXT_PREVIEW", "huge")
    ended = invoke("images")
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert ended.stderr.startswith("KONTEXT_PREVIEW is wrong")


def test_a_wrong_setting_is_told_as_json_too(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KONTEXT_PREVIEW", "huge")
    ended = invoke("images", "--json")
    assert json.loads(ended.stdout)["error"]["code"] == "not_configured"


def test_a_data_folder_that_cannot_be_written_ends_with_3(
    invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KONTEXT_DATA_DIR", str(home / "cat.png" / "data"))
    ended = invoke("images")
    assert ended.exit_code == 3
    assert "KONTEXT_DATA_DIR" in ended.stderr


def test_a_damaged_database_is_told(invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KONTEXT_DATA_DIR", str(home))
    (home / "kontext.db").write_bytes(b"this is no database, and long enough to be read as one" * 20)
    ended = invoke("images", "--json")
    assert ended.exit_code == 1
    assert json.loads(ended.stdout)["error"]["code"] == "storage_damaged"


def test_sigterm_interrupts_as_ctrl_c_does() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), sigterm_interrupts():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_sigterm_interrupts_where_ctrl_c_is_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt), sigterm_interrupts():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, before)
