"""A client over stdio that costs little: JSON lines to a server's input, its answers from its output.

What this is: a server as a process, the opening of a session, and calls, one after the other or all at once. What it
is not: a check of answers, but that a tool's call is no error. Above: what asks over stdio. Below: rows.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from rows import INITIALIZE, INITIALIZED, ask, end, say

from support.forked import Popen

HERE = Path(__file__).parent
KONTEXT = str(Path(sys.executable).with_name("kontext"))
"""As a client's entry names it; a start as a module reads some 10 ms slower."""
OURS = (KONTEXT, "serve")
FLOOR = (sys.executable, str(HERE / "bare_server.py"))


@dataclass(slots=True, eq=False)
class Talk:
    """A session with a server."""

    process: subprocess.Popen[bytes]
    _numbers: count[int] = field(default_factory=lambda: count(2))

    def call(self, tool: str, arguments: Mapping[str, object]) -> dict[str, Any]:
        """Call a tool; give its result."""
        (result,) = self.calls([(tool, arguments)])
        return result

    def calls(self, asked: Sequence[tuple[str, Mapping[str, object]]]) -> list[dict[str, Any]]:
        """Call tools all at once; give their results once each was answered, as they came."""
        numbers = set[int]()
        for tool, arguments in asked:
            numbers.add(number := next(self._numbers))
            params = {"name": tool, "arguments": arguments}
            say(self.process, {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})
        results: list[dict[str, Any]] = []
        while numbers:
            answer = hear(self.process)
            if answer.get("id") in numbers:
                numbers.remove(answer["id"])
                assert not answer["result"].get("isError"), answer
                results.append(answer["result"])
        return results


@contextmanager
def talking(command: Sequence[str], environment: Mapping[str, str]) -> Generator[Talk]:
    """Start a server and a session with it; both end with the block."""
    with Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dict(environment)
    ) as process:
        try:
            ask(process, INITIALIZE)
            say(process, INITIALIZED)
            yield Talk(process)
        finally:
            end(process)


def hear(process: subprocess.Popen[bytes]) -> Any:
    """Give the next message."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the server has ended"
    return json.loads(line)
