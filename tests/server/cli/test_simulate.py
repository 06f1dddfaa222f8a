"""`simulate`: the provider's wire in the foreground."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable

import pytest
from click.testing import Result

Invoke = Callable[..., Result]
Interrupted = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_settings_for_a_shell_and_a_signal_ends_it_well(
    interrupted: Interrupted, number: signal.Signals
) -> None:
    code, out, err = interrupted(number, "stdout", "simulate", "--port", "0")
    assert code == 0
    assert "Traceback" not in err
    lines = out.splitlines()
    assert lines
    assert all(line.startswith(("#", "export ")) for line in lines)


def test_it_tells_where_it_listens(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    ports: list[int] = []
    monkeypatch.setattr("kontext_server.simulator.serve.serve", ports.append)
    assert invoke("simulate").exit_code == 0
    assert ports == [9876]


def test_a_taken_port_is_told(invoke: Invoke) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = invoke("simulate", "--port", str(taken.getsockname()[1]))
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "--port" in ended.stderr


def test_a_port_that_is_none_is_a_usage_error(invoke: Invoke) -> None:
    assert invoke("simulate", "--port", "99999").exit_code == 2
