"""What is said where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kontext_server.cli import talk
from kontext_tools.errors import ProviderError


def test_nothing_that_steers_a_terminal_is_shown() -> None:
    assert talk.clean("a\x1b[2Jb\x9bc\u202ed\re\tf\n") == "a [2Jb c d e f\n"


def test_words_of_any_language_stay() -> None:
    assert talk.clean("빨간 자동차 — ünïcode…") == "빨간 자동차 — ünïcode…"


def test_a_failure_is_three_lines_to_the_person_and_an_object_to_the_program(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failure = ProviderError("It broke.", fix="Wait.", job_id="red-car-4k7q").failure
    assert talk.tell_failure(failure, as_json=True, fields={"job_id": "red-car-4k7q"}) == 4
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "It broke. Nothing was charged.",
        "Fix: Wait.",
        "(code provider_error, job red-car-4k7q; billed no; not to be repeated unchanged)",
    ]
    assert json.loads(said.out) == {"job_id": "red-car-4k7q", "error": failure.to_dict()}


def test_without_json_stdout_stays_empty(capsys: pytest.CaptureFixture[str]) -> None:
    talk.tell_failure(ProviderError("It broke.", fix="Wait.").failure, as_json=False)
    assert capsys.readouterr().out == ""


def test_a_path_is_printed_as_the_system_knows_it(capsys: pytest.CaptureFixture[str]) -> None:
    talk.answer_path(Path("/a\u00a0b/c.png"))
    assert capsys.readouterr().out == "/a\u00a0b/c.png\n"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_nothing_moves_where_it_was_not_wanted(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert talk.stderr_is_terminal()
    monkeypatch.setenv(name, value)
    assert not talk.stderr_is_terminal()
