"""The group: what is listed, what is imported, how it ends."""

from __future__ import annotations

import importlib
import io
import json
import subprocess
import sys
from collections.abc import Callable

import click
import pytest
from click.testing import Result

from kontext_server import cli

Invoke = Callable[..., Result]
Kontext = Callable[..., subprocess.CompletedProcess[str]]
OnTerminal = Callable[..., tuple[int, str, str]]

_IMPORTED = """
import json, sys
from kontext_server.__main__ import main
sys.argv = ["kontext", *{arguments!r}]
try:
    main()
except SystemExit:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_listing_the_commands_imports_neither_them_nor_a_library(arguments: list[str]) -> None:
    program = _IMPORTED.format(arguments=arguments)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    modules = {name.partition(".")[0] for name in json.loads(ended.stderr)}
    assert "click" in modules
    assert modules.isdisjoint({"mcp", "mcp_types", "pydantic", "anyio", "httpx2", "PIL", "rich", "kontext_tools"})


@pytest.mark.parametrize("name", ["edit", "generate", "status", "cancel", "images", "demo", "install", "uninstall"])
def test_a_commands_help_imports_no_protocol_and_no_settings(name: str) -> None:
    program = _IMPORTED.format(arguments=[name, "--help"])
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    modules = {name.partition(".")[0] for name in json.loads(ended.stderr)}
    assert modules.isdisjoint({"mcp", "mcp_types", "pydantic", "anyio", "PIL", "rich"})


def test_reading_and_telling_import_no_protocol() -> None:
    program = (
        "import sys, kontext_server.surface.arguments, kontext_server.surface.parameters, "
        "kontext_server.surface.answers, kontext_server.surface.wording; print(*sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {"mcp", "mcp_types"}.isdisjoint(ended.stdout.split())


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_each_listed_command_exists_under_the_listings_words(name: str) -> None:
    command = importlib.import_module(f"kontext_server.cli.{name}").command
    assert isinstance(command, click.Command)
    assert command.short_help == cli.COMMANDS[name]
    assert command.name == name


def test_the_version_is_one_line(kontext: Kontext) -> None:
    ended = kontext("--version")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "kontext 0.1.0\n", "")


def test_alone_on_a_terminal_it_prints_help(on_terminal: OnTerminal) -> None:
    code, out, _ = on_terminal()
    assert code == 0
    assert out.startswith(("Usage: kontext [OPTIONS] COMMAND", "Usage: kontext [OPTIONS] [COMMAND]"))
    assert all(name in out for name in cli.COMMANDS)


def test_an_unknown_command_is_a_usage_error_that_names_the_nearest(invoke: Invoke) -> None:
    ended = invoke("edti")
    assert ended.exit_code == 2
    assert ended.stdout == ""
    assert "Did you mean 'edit'?" in ended.stderr


def test_a_command_like_no_other_gets_no_suggestion(invoke: Invoke) -> None:
    ended = invoke("xyzzy")
    assert ended.exit_code == 2
    assert "Did you mean" not in ended.stderr


def test_an_unknown_option_is_a_usage_error(invoke: Invoke) -> None:
    ended = invoke("--nope")
    assert (ended.exit_code, ended.stdout) == (2, "")


def test_a_reader_that_goes_away_is_no_crash(kontext: Kontext, environment: dict[str, str]) -> None:
    program = f"{sys.executable} -m kontext_server --help | true"
    ended = subprocess.run(["sh", "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, click.Abort])
def test_interrupted_anywhere_it_ends_with_130(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, interruption: type[BaseException]
) -> None:
    def interrupt(*_: object, **__: object) -> int:
        raise interruption

    monkeypatch.setattr("kontext_server.cli.session.settled", interrupt)
    ended = invoke("images")
    assert (ended.exit_code, ended.stdout, ended.stderr) == (130, "", "Interrupted.\n")


def test_a_character_that_the_terminal_lacks_is_escaped(kontext: Kontext) -> None:
    ended = kontext("edit", "cat.png", "빨강", "--dry-run", env={"PYTHONIOENCODING": "latin-1"})
    assert ended.returncode == 0, ended.stderr
    assert "\\ube68\\uac15" in ended.stdout


def test_a_shell_that_completes_is_given_the_commands(kontext: Kontext) -> None:
    words = {"_KONTEXT_COMPLETE": "bash_complete", "COMP_WORDS": "kontext s", "COMP_CWORD": "1"}
    ended = kontext("complete", env=words)
    assert ended.stdout.split() == ["plain,status", "plain,serve", "plain,simulate"]


def test_a_command_that_is_not_listed_is_none() -> None:
    assert cli.command_line.get_command(click.Context(cli.command_line), "edti") is None


def test_streams_that_are_no_files_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["kontext", "--version"])
    monkeypatch.setattr("sys.stdout", io.StringIO())
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
