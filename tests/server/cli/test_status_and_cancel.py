"""`status` and `cancel`: the tools' twins."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable

import pytest
from click.testing import Result

from kontext_server.simulator.serve import Running

Invoke = Callable[..., Result]
Kontext = Callable[..., subprocess.CompletedProcess[str]]
Interrupted = Callable[..., tuple[int, str, str]]


@pytest.fixture
def left(interrupted: Interrupted) -> str:
    """A job of the sandbox that was left running; it ends when somebody looks."""
    return _left(interrupted)


@pytest.fixture
def endless(
    simulator: Running,
    invoke: Invoke,  # it clears the environment first
    interrupted: Interrupted,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """A job of a provider's that was left running, and does not end by itself."""
    environment.update(simulator.settings)
    for name, value in simulator.settings.items():
        monkeypatch.setenv(name, value)
    simulator.state.script({"wire": "core.today", "on": "create", "seconds": 3600})
    return _left(interrupted)


def _left(interrupted: Interrupted) -> str:
    _, _, err = interrupted(signal.SIGINT, "stderr", "edit", "cat.png", "Make it warm", "--label", "warm")
    return err.split("job ")[1].partition(",")[0]


def test_a_running_job_is_told_with_the_command_that_waits(endless: str, invoke: Invoke) -> None:
    ended = invoke("status", endless)
    assert ended.exit_code == 0
    assert ended.stdout.startswith("Still p") and endless in ended.stdout  # pending or processing
    assert ended.stderr == f"To wait for it:  kontext status {endless} --wait 50\n"


def test_a_wait_ends_with_the_result_in_full(left: str, invoke: Invoke) -> None:
    ended = invoke("status", left, "--wait", "30", "--full")
    assert ended.exit_code == 0
    assert "prompt sent: 'Make it warm'" in ended.stdout
    assert "Next:" not in ended.stdout
    assert ended.stderr == f'To go on from it:  kontext edit {left}/1 "…"\n'
    full = json.loads(invoke("status", left, "--full", "--json").stdout)
    assert full["sent_prompt"] == "Make it warm"


def test_a_cancelled_job_stays_so(endless: str, invoke: Invoke) -> None:
    ended = invoke("cancel", endless)
    assert ended.exit_code == 0
    assert ended.stdout.startswith("Cancelled.\n")
    again = invoke("cancel", endless, "--json")
    fields = json.loads(again.stdout)
    assert (again.exit_code, fields["status"], fields["outcome"]) == (0, "cancelled", "already_ended")
    told = invoke("status", endless)
    assert (told.exit_code, told.stderr.startswith("Fix: ")) == (0, True)


@pytest.mark.parametrize("name", ["status", "cancel"])
def test_an_unknown_job_is_a_failure(invoke: Invoke, name: str) -> None:
    ended = invoke(name, "red-car-4k7q", "--json")
    assert ended.exit_code == 1
    assert json.loads(ended.stdout)["error"]["code"] == "not_found"


def test_a_wait_that_is_too_long_is_a_usage_error(invoke: Invoke) -> None:
    ended = invoke("status", "red-car-4k7q", "--wait", "51")
    assert (ended.exit_code, ended.stdout) == (2, "")
