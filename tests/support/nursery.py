"""The process that `forked` forks from: all that a server imports is imported, nothing has run.

What this is: a program of the tests' own. It is told of one start after the other on a socket: arguments, environment,
folder, and three streams; it answers with the child's number, and writes the child's end on a pipe that came along. It
has one thread, so that nothing is held where it forks. What it is not: the program that is started, which goes its own
way from `kontext_server.__main__.main` on. Above: forked. Below: nothing of ours.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import selectors
import signal
import socket
import sys
from types import FrameType
from typing import Any

IMPORTED = (
    "PIL.Image",
    "PIL.ImageCms",
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
    "PIL.WebPImagePlugin",
    "kontext_server.adapters",
    "kontext_server.surface.server",
    "kontext_server.web.http",
    "uvicorn.lifespan.on",
    "uvicorn.loops.asyncio",
    "uvicorn.protocols.http.h11_impl",
    *(
        f"kontext_tools.providers.{name}"
        for name in ("bfl", "core_today", "eachlabs", "fal", "replicate", "runflow", "sandbox")
    ),
)
MOST_BYTES = 1 << 20


def main() -> None:
    """Serve starts until whoever asks for them is gone; as a child, be what was asked for."""
    asked = socket.socket(fileno=int(sys.argv[1]))
    for name in IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    ended, woken = socket.socketpair()
    for end in (ended, woken):
        end.setblocking(False)
    signal.set_wakeup_fd(woken.fileno())
    signal.signal(signal.SIGCHLD, _woken)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    started, streams = _start(asked, ended)
    signal.set_wakeup_fd(-1)
    for one in (asked, ended, woken):
        one.close()
    _become(started, streams)


def _start(asked: socket.socket, ended: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Fork for each start that is asked for; return in the child alone, with what was asked and its three streams."""
    lives: dict[int, int] = {}
    with selectors.DefaultSelector() as waiting:
        waiting.register(asked, selectors.EVENT_READ)
        waiting.register(ended, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in waiting.select()}
            if ended in ready:
                ended.recv(4096)
                _reap(lives)
            if asked not in ready:
                continue
            data, descriptors, _, _ = socket.recv_fds(asked, MOST_BYTES, 4)
            if not data:
                os._exit(0)
            *streams, life = descriptors
            pid = os.fork()
            if pid == 0:
                break
            lives[pid] = life
            for one in streams:
                os.close(one)
            asked.sendall(pid.to_bytes(4, "big"))
    for one in (life, *lives.values()):
        os.close(one)
    return json.loads(data), streams


def _woken(number: int, frame: FrameType | None) -> None:
    """Do nothing: the descriptor is written to, and the loop reads it."""


def _reap(lives: dict[int, int]) -> None:
    while lives:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        life = lives.pop(pid)
        os.write(life, status.to_bytes(4, "big"))
        os.close(life)


def _become(asked: dict[str, Any], streams: list[int]) -> None:
    """Take on the streams, the folder, the environment and the arguments of a start, and run it."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if asked["cwd"] is not None:
        os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv = ["kontext", *asked["arguments"]]
    random.seed()
    # As a program that starts: those of the interpreter remember what their descriptors were.
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        errors, buffering = ("backslashreplace", 1) if name == "stderr" else ("strict", -1)
        stream = os.fdopen(number, mode, buffering, encoding="utf-8", errors=errors, closefd=False)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    gc.unfreeze()
    from kontext_server.__main__ import main as kontext

    kontext()


if __name__ == "__main__":
    main()
