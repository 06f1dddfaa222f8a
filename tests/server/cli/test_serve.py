"""`serve` as the command line knows it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from click.testing import Result

Invoke = Callable[..., Result]


def test_its_help_says_what_it_reads(invoke: Invoke) -> None:
    ended = invoke("serve", "--help")
    assert ended.exit_code == 0
    assert "stdin" in ended.stdout


def test_reached_through_click_it_serves_until_its_input_ends(environment: dict[str, str]) -> None:
    program = "import sys; from kontext_server.cli import main; sys.argv = ['kontext', 'serve']; main()"
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, input="", capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "")


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
