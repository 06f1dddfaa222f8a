"""`serve` as the command line knows it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Invoke = Callable[..., Result]


def test_its_help_says_what_it_reads(invoke: Invoke) -> None:
    ended = invoke("serve", "--help")
    assert ended.exit_code == 0
    assert "stdin" in ended.stdout


def test_its_help_says_what_is_other_over_http(invoke: Invoke) -> None:
    told = invoke("serve", "--help").stdout
    for said in ("--http", "/mcp", "--host", "127.0.0.1", "--port", "8765", "stderr", "loopback"):
        assert said in told


@pytest.mark.parametrize("arguments", [("--port", "9000"), ("--host", "::1")])
def test_a_host_or_port_without_http_is_a_slip(invoke: Invoke, arguments: tuple[str, str]) -> None:
    ended = invoke("serve", *arguments)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "--host and --port go with --http." in ended.stderr


def test_reached_through_click_it_serves_until_its_input_ends(environment: dict[str, str]) -> None:
    program = "import sys; from kontext_server.cli import main; sys.argv = ['kontext', 'serve']; main()"
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, input="", capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.mark.parametrize("program", ["from kontext_server.cli import main", "from kontext_server.__main__ import main"])
def test_a_variable_that_is_no_setting_is_one_warning_and_it_serves_all_the_same(
    environment: dict[str, str], program: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", f"import sys; {program}; sys.argv = ['kontext', 'serve']; main()"],
        env=environment | {"KONTEXT_PREVEIW": "huge"},
        input="",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "")
    (line,) = [json.loads(line) for line in ended.stderr.splitlines()]
    assert (line["level"], "KONTEXT_PREVEIW" in line["message"], "huge" in line["message"]) == ("warning", True, False)


def test_a_wrong_name_in_the_file_ends_it_with_3(environment: dict[str, str], home: Path) -> None:
    folder = home / ".config" / "kontext"
    folder.mkdir(parents=True)
    (folder / "kontext.toml").write_text('KONTEXT_PREVEIW = "small"\n')
    ended = subprocess.run(
        [sys.executable, "-m", "kontext_server", "serve"],
        env=environment,
        input="",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "KONTEXT_PREVEIW" in ended.stderr
    assert "KONTEXT_PREVIEW" in ended.stderr


def test_a_wrong_setting_ends_it_with_3(environment: dict[str, str]) -> None:
    program = "import sys; from kontext_server.cli import main; sys.argv = ['kontext', 'serve']; main()"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=environment | {"KONTEXT_PREVIEW": "huge"},
        input="",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "KONTEXT_PREVIEW" in ended.stderr
