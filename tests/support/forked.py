"""Our program as a process of its own, without the second that its imports take: forked, not started.

What this is: `Popen` and `run` as `subprocess` has them, for commands of this interpreter's `-m kontext_server`, and a
client's way to a server over stdio. The child is forked from a process that has imported what a server imports
(`nursery`); it has its own number, streams, signals and death. What it is not: a start as a user makes it, which the
suites of starting, packing and measuring keep; where a command is another one, or coverage follows into it, `Popen` is
that of `subprocess`. Above: the other helpers that start servers. Below: nursery.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import anyio
import anyio.to_thread
import mcp_types as types
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage

KONTEXT = (sys.executable, "-m", "kontext_server")
PATIENCE_S = 30
_OF_THE_START = frozenset({"PYTHONIOENCODING", "PYTHONUTF8", "COVERAGE_PROCESS_START"})
"""What an interpreter acts upon when it starts."""
_ENDS = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")


class _Nursery:
    """The process that is forked from, one for each process of the run that asks for one."""

    def __init__(self) -> None:
        self._asked, theirs = socket.socketpair()
        command = [sys.executable, str(Path(__file__).with_name("nursery.py")), str(theirs.fileno())]
        unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=unmeasured)
        theirs.close()
        atexit.register(self.close)

    def start(self, arguments: Sequence[str], env: Mapping[str, str], cwd: str | None, ends: list[int]) -> int:
        """Fork; give the child's number."""
        told = {"arguments": list(arguments), "env": dict(env), "cwd": cwd}
        socket.send_fds(self._asked, [json.dumps(told).encode()], ends)
        return int.from_bytes(self._asked.recv(4), "big")

    def close(self) -> None:
        """End it; what it forked lives on."""
        self._asked.close()
        self._process.wait(PATIENCE_S)


@cache
def _nursery() -> _Nursery:
    return _Nursery()


if TYPE_CHECKING:
    from subprocess import Popen as Popen
else:  # the stubs do not tell of what is overridden here
    _PARAMETERS = tuple(inspect.signature(subprocess.Popen._execute_child).parameters)[1:]

    class Popen(subprocess.Popen):
        """`subprocess.Popen`; our own program is forked."""

        _life: int | None = None

        def _execute_child(self, *given: Any) -> None:
            asked = dict(zip(_PARAMETERS, given, strict=True))
            env: Mapping[str, str] = os.environ if asked["env"] is None else asked["env"]
            special = ("preexec_fn", "shell", "pass_fds", "start_new_session", "executable")
            ours = tuple(asked["args"][: len(KONTEXT)]) == KONTEXT and not any(asked[name] for name in special)
            if not ours or _OF_THE_START & env.keys():
                super()._execute_child(*given)
                return
            life, theirs = os.pipe()
            ends = [asked[name] for name in ("p2cread", "c2pwrite", "errwrite")]
            streams = [number if end == -1 else end for number, end in enumerate(ends)]
            arguments = [os.fspath(one) for one in asked["args"][len(KONTEXT) :]]
            cwd = None if asked["cwd"] is None else os.fspath(asked["cwd"])
            self.pid = _nursery().start(arguments, env, cwd, [*streams, theirs])
            self._child_created, self._life = True, life
            os.close(theirs)
            self._close_pipe_fds(*(asked[name] for name in _ENDS))

        def _try_wait(self, wait_flags: int) -> tuple[int, int]:
            """Give the child's number and its end, or zeros where it lives and nobody wants to wait."""
            if self._life is None:
                return super()._try_wait(wait_flags)
            os.set_blocking(self._life, not wait_flags & os.WNOHANG)
            try:
                status = os.read(self._life, 4)
            except BlockingIOError:
                return 0, 0
            os.close(self._life)
            return self.pid, int.from_bytes(status, "big")

        def _internal_poll(self, *given: Any, **named: Any) -> int | None:
            """Give the exit code where it has ended."""
            if self._life is None:
                return super()._internal_poll(*given, **named)
            if self.returncode is None and self._waitpid_lock.acquire(blocking=False):
                try:
                    pid, status = self._try_wait(os.WNOHANG) if self.returncode is None else (0, 0)
                    if pid:
                        self._handle_exitstatus(status)
                finally:
                    self._waitpid_lock.release()
            return self.returncode


def run(command: Sequence[str], *, timeout: float, **given: Any) -> subprocess.CompletedProcess[Any]:
    """Run our program to its end; as `subprocess.run` with `capture_output=True`."""
    with Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **given) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@asynccontextmanager
async def over_stdio(env: Mapping[str, str], errlog: TextIO | None = None) -> AsyncGenerator[TransportStreams]:
    """Give a client's way to a server that was forked for it, as the SDK's `stdio_client`; it ends with its input."""
    told, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, asked = anyio.create_memory_object_stream[SessionMessage](0)
    command, pipe = [*KONTEXT, "serve"], subprocess.PIPE
    process = Popen(command, env=env, stdin=pipe, stdout=pipe, stderr=errlog, bufsize=0)
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None and stdout is not None

    async def hear() -> None:
        lines = asyncio.StreamReader(limit=1 << 28)
        protocol = asyncio.StreamReaderProtocol(lines)
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, stdout)
        try:
            async with told:
                with suppress(anyio.BrokenResourceError):
                    while line := await lines.readline():
                        message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
                        await told.send(SessionMessage(message))
                await lines.read()  # what nobody hears any more, so that it is not held up
        finally:
            pipe.close()

    async def say() -> None:
        async with asked:
            async for one in asked:
                line = one.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
                with suppress(BrokenPipeError):
                    await anyio.to_thread.run_sync(stdin.write, line)

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hear)
            tasks.start_soon(say)
            try:
                yield read, write
            finally:
                with anyio.CancelScope(shield=True):
                    read.close()
                    write.close()
                    stdin.close()
                    await anyio.to_thread.run_sync(process.wait, PATIENCE_S)
                tasks.cancel_scope.cancel()
    finally:
        process.kill()
        process.wait()
