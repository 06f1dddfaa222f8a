"""Our own stdio main where no signal can be received: on Windows, Ctrl-C interrupts the program instead."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from support.stdio_server import environment

PATIENCE_S = 30
AS_ON_WINDOWS = """
from kontext_server import settings, stdio
wire = stdio.claim()
stdio.serve(wire, settings.load(), system="win32")
"""
PING = b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n'


def test_ctrl_c_ends_a_server_well_where_no_signal_is_received(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", AS_ON_WINDOWS], env=environment(tmp_path), stdin=pipe, stdout=pipe, stderr=pipe
    ) as server:
        assert server.stdin is not None and server.stdout is not None and server.stderr is not None
        server.stdin.write(PING)
        server.stdin.flush()
        assert server.stdout.readline().startswith(b'{"jsonrpc"')
        server.send_signal(signal.SIGINT)
        code, said = server.wait(PATIENCE_S), server.stderr.read()
    assert (code, said) == (0, b"")
