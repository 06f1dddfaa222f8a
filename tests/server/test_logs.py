"""Logs: one record is one line on stderr, without secrets, whatever its text holds."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from kontext_server import logs
from kontext_tools.redaction import Redactor

KEY = "cdt_0123456789abcdef"


class Stderr(io.StringIO):
    """What stands in stderr's place; a terminal or not."""

    def __init__(self, *, terminal: bool = False) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def taken(self) -> list[str]:
        """Give the lines written so far, and forget them."""
        lines = self.getvalue().split("\n")
        self.seek(0)
        self.truncate()
        return lines[:-1]


@contextmanager
def configured(*, terminal: bool = False) -> Generator[Stderr]:
    """Configure logging onto a stream of the test's own, and give everything back as it was."""
    names = ("httpx2", "httpcore2", "mcp", "sse_starlette", "python_multipart")
    root, levels = logging.getLogger(), {name: logging.getLogger(name).level for name in names}
    handlers, level = list(root.handlers), root.level
    stream = Stderr(terminal=terminal)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", stream)
        logs.configure("info", Redactor([KEY]))
    try:
        yield stream
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for name, before in levels.items():
            logging.getLogger(name).setLevel(before)


log = logging.getLogger("kontext_tools.engine")


def test_a_record_is_one_line_of_json() -> None:
    with configured() as stderr:
        log.warning("a step of %s stopped", "red-car-4k7q")
    (line,) = stderr.taken()
    told = json.loads(line)
    assert told.pop("at").endswith("+00:00")
    assert told == snapshot(
        {"level": "warning", "from": "kontext_tools.engine", "message": "a step of red-car-4k7q stopped"}
    )


def test_nothing_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    with configured():
        log.warning("a step stopped")
    assert capsys.readouterr().out == ""


def test_what_is_below_the_level_is_not_told() -> None:
    with configured() as stderr:
        log.debug("a detail")
        logging.getLogger("httpx2").info("GET https://example.com?key=1")
        logging.getLogger("sse_starlette.sse").info("chunk: an answer with an address of ours")
        logging.getLogger("python_multipart.multipart").info("a part of a person's file")
        logging.getLogger("mcp.server").info("a header")
    assert stderr.taken() == []


def test_a_key_and_a_signature_never_reach_the_log() -> None:
    with configured() as stderr:
        log.error("key %s at https://a.example/b.png?sig=%s with Bearer %s", KEY, "signature", "abcdefghijkl")
    (line,) = stderr.taken()
    assert json.loads(line)["message"] == snapshot(
        "key [key] at https://a.example/b.png?[removed] with Bearer [removed]"
    )


def test_a_traceback_is_part_of_the_line_and_is_redacted() -> None:
    with configured() as stderr:
        try:
            raise RuntimeError(f"no luck with {KEY}")
        except RuntimeError:
            log.exception("a handler broke")
    (line,) = stderr.taken()
    assert KEY not in line
    assert json.loads(line)["message"].endswith("RuntimeError: no luck with [key]")


@given(st.text(max_size=60))
def test_any_text_makes_exactly_one_line_without_a_control_character(text: str) -> None:
    with configured() as stderr:
        log.info("%s", text)
    (line,) = stderr.taken()
    assert line.isascii() and line.isprintable()
    assert json.loads(line)["message"] == Redactor([KEY])(text)


@pytest.mark.parametrize(
    "text",
    ["a\r\nlevel: b", "a\x1b[31mred", "a\x9b31mred", "a\x7fb", "a\u2028b", "a\u202eb", "a\x00b"],
    ids=ascii,
)
def test_a_terminal_gets_one_plain_line_without_control_characters(text: str) -> None:
    with configured(terminal=True) as stderr:
        log.warning("%s", text)
    (line,) = stderr.taken()
    assert line.startswith("warning: a") and line.isprintable()


def test_a_terminal_shows_letters_as_they_are() -> None:
    with configured(terminal=True) as stderr:
        log.warning("café 붉은 차 'x'")
    assert stderr.taken() == ["warning: café 붉은 차 'x'"]
