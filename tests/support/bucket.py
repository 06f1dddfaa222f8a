"""S3-compatible storage on loopback: moto in a process of its own, a bucket for each test, and a door before it.

What this is: real requests, signed by the real client. What it is not: a judge of signatures (moto takes any).
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from kontext_tools.blobs.s3 import Bucket, Pace, S3Blobs

KEY_ID, SECRET = "AKIATESTTESTTEST", "planted-storage-secret-4711"
PREFIX = "team/pictures"
QUICK = Pace(connect_s=5, silence_s=10, request_s=20, retries=1, retry_within_s=2)
"""For a storage that fails at once."""
IMPATIENT = replace(QUICK, silence_s=0.1, retries=0)
"""For one that is silent on purpose."""

# It ends with its stdin, so that a test run that is killed leaves none behind.
_PROGRAM = """
import logging, os, sys, threading
logging.disable()
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
print(server.port, flush=True)
server.serve_forever()
"""


@contextmanager
def running() -> Generator[str]:
    """Give the address of a storage, for as long as the block lasts."""
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", ""), "HOME": os.devnull},
        text=True,
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One bucket, seen from outside."""

    base_url: str
    name: str

    @property
    def settings(self) -> dict[str, str]:
        """Give what a server's environment names it by."""
        return self.settings_at(self.base_url)

    def settings_at(self, endpoint: str) -> dict[str, str]:
        """Give the same, behind another address."""
        return {
            "KONTEXT_BLOB_URL": f"s3://{self.name}/{PREFIX}",
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": endpoint,
        }

    def blobs(self, folder: Path, *, endpoint: str | None = None, pace: Pace | None = None) -> S3Blobs:
        """Give our client of it."""
        return S3Blobs(folder, place(self.name, endpoint or self.base_url), pace=pace)

    def objects(self) -> set[str]:
        """Give what lies there under our prefix."""
        listed = ElementTree.fromstring(asked("GET", f"{self.base_url}/{self.name}?list-type=2"))
        names = {found.text or "" for found in listed.iter() if found.tag.endswith("}Key")}
        assert all(name.startswith(f"{PREFIX}/") for name in names)
        return {name.removeprefix(f"{PREFIX}/") for name in names}

    def put(self, key: str, data: bytes) -> None:
        """Lay an object there as somebody else would, without our metadata."""
        asked("PUT", self._url(key), data)

    def delete(self, key: str) -> None:
        """Take an object away."""
        asked("DELETE", self._url(key))

    def _url(self, key: str) -> str:
        return f"{self.base_url}/{self.name}/{PREFIX}/{quote(key)}"


def place(name: str, endpoint: str) -> Bucket:
    """Give a bucket as the settings would name it."""
    return Bucket(name=name, prefix=PREFIX, region="us-east-1", key_id=KEY_ID, secret=SECRET, endpoint=endpoint)


def made(base_url: str) -> Held:
    """Make a new bucket."""
    held = Held(base_url=base_url, name=f"test-{secrets.token_hex(8)}")
    asked("PUT", f"{base_url}/{held.name}")
    return held


def asked(method: str, url: str, data: bytes | None = None) -> bytes:
    """Send one plain request, past every proxy."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    headers = {"Content-Type": "application/octet-stream"}  # else a form's, which the storage reads as one
    with direct.open(urllib.request.Request(url, data=data, method=method, headers=headers), timeout=20) as reply:
        return reply.read()


class Door:
    """A port before a storage. While it is shut, whoever knocks is let in and turned away at once."""

    def __init__(self, listener: socket.socket, beyond: tuple[str, int]) -> None:
        self._listener, self._beyond = listener, beyond
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.shut = False
        self.turned_away = 0

    def serve(self) -> None:
        """Let in until the listener is closed."""
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.shut:
                self.turned_away += 1
                near.close()
                continue
            far = socket.create_connection(self._beyond)
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while (data := one.recv(65_536)) and not self.shut:
                other.sendall(data)
        # The client keeps connections: one that was open when the door was shut ends with its next request.
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def door(base_url: str) -> Generator[Door]:
    """Give a door before a storage."""
    beyond = urlsplit(base_url)
    assert beyond.hostname is not None and beyond.port is not None
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        made = Door(listener, (beyond.hostname, beyond.port))
        thread = threading.Thread(target=made.serve, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)
