"""What the command line's tests share: a person's machine in a folder, the program run for real or in process."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kontext_server import cli
from support import forked

PATIENCE_S = 60


def _is_ours(name: str) -> bool:
    return name.startswith(("KONTEXT_", "CORE_TODAY_", "XDG_")) or name in {"NO_COLOR", "TERM", "COLUMNS"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder that the commands run in, a photograph in it."""
    folder = tmp_path / "home"
    folder.mkdir()
    photo = Path(cli.__file__).parents[1] / "assets" / "chelsea.png"
    shutil.copy(photo, folder / "cat.png")
    return folder


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    """This process's environment with a data folder of its own and no key."""
    kept = {name: value for name, value in os.environ.items() if not _is_ours(name)}
    return kept | {
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / ".share"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "TERM": "xterm-256color",
        "COLUMNS": "120",
    }


@pytest.fixture
def kontext(home: Path, environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the program as a process, to its end."""

    def run(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return forked.run(
            [sys.executable, "-m", "kontext_server", *arguments],
            cwd=home,
            env=environment | dict(env or {}),
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=PATIENCE_S,
        )

    return run


@pytest.fixture
def interrupted(home: Path, environment: dict[str, str]) -> Callable[..., tuple[int, str, str]]:
    """Run the program, and send it a signal once it has said a line on a stream.

    `in_background`: as a script's shell would start it with `&`, Ctrl-C ignored.
    """

    def ignore_interrupts() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def run(number: signal.Signals, stream: str, *arguments: str, in_background: bool = False) -> tuple[int, str, str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "kontext_server", *arguments],
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=ignore_interrupts if in_background else None,  # noqa: PLW1509  # no thread runs here
        )
        pipe = process.stdout if stream == "stdout" else process.stderr
        assert pipe is not None
        line = pipe.readline()
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_S)
        return process.returncode, line + out if stream == "stdout" else out, line + err if stream == "stderr" else err

    return run


@pytest.fixture
def on_terminal(home: Path, environment: dict[str, str]) -> Callable[..., tuple[int, str, str]]:
    """Run the program on a terminal: give its exit code, stdout, and what the terminal showed of the rest."""
    pty = pytest.importorskip("pty")

    def run(
        *arguments: str, typed: str = "", stdout_too: bool = False, env: Mapping[str, str] | None = None
    ) -> tuple[int, str, str]:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "kontext_server", *arguments],
            cwd=home,
            env=environment | dict(env or {}),
            stdin=theirs,
            stdout=theirs if stdout_too else subprocess.PIPE,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        os.write(ours, typed.encode())
        shown = b""
        # On Linux a terminal that nobody holds any more reads as an error.
        with contextlib.suppress(OSError):
            while chunk := os.read(ours, 4096):
                shown += chunk
        out, _ = process.communicate(timeout=PATIENCE_S)
        os.close(ours)
        return process.returncode, (out or b"").decode(), shown.decode()

    return run


@pytest.fixture
def invoke(home: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """Run a command in this process, its two streams apart."""
    for name in [name for name in os.environ if _is_ours(name)]:
        monkeypatch.delenv(name)
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, environment[name])
    monkeypatch.chdir(home)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def run(*arguments: str, typed: str = "") -> Result:
        return CliRunner().invoke(cli.command_line, arguments, input=typed, prog_name="kontext", catch_exceptions=False)

    yield run
    root.handlers[:] = handlers
    root.setLevel(level)
