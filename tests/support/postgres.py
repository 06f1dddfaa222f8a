"""PostgreSQL on loopback: one server for a worker's whole run, and a schema of its own for each test.

What this is: the server that the system's packages bring (`apt-get install postgresql`), on a folder of its own that
goes with it; without fsync, for no test cuts the power. What it is not: a server that a person set up.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict
from urllib.parse import quote

import psycopg
import pytest

USER, PASSWORD = "kontext", "planted-database-password-4711"
_SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "'16MB'",
    "max_connections": "100",
    "autovacuum": "off",
    "deadlock_timeout": "'100ms'",
    "max_wal_size": "'1GB'",
}

# It ends with its stdin, so that a test run that is killed leaves neither a server nor its folder behind.
_KEEPER = 'cat >/dev/null; "$1/pg_ctl" -D "$2/data" -m immediate -s stop; rm -rf "$2"'


def binaries() -> Path | None:
    """Give the folder of PostgreSQL's newest programs; `None` where there is none."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).parent
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    return max(versions, key=lambda path: int(path.parent.name), default=None)


@dataclass(slots=True, kw_only=True)
class Server:
    """A server that runs, and how it is started again."""

    port: int
    folder: Path
    programs: Path
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def url(self, schema: str = "public") -> str:
        """Give the address of a schema."""
        options = quote(f"-c search_path={schema}")
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/kontext?options={options}"

    def new_schema(self) -> str:
        """Make a schema; give its name."""
        name = f"t{next(self.numbers)}"
        self.run(f"CREATE SCHEMA {name}")
        return name

    def run(self, statement: str, schema: str = "public") -> list[tuple[object, ...]]:
        """Execute a statement; give its rows."""
        with psycopg.connect(self.url(schema), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description is not None else []

    def restart(self) -> None:
        """Stop it as hard as it goes without losing what was committed, and start it again."""
        self._control("restart", "-m", "fast")

    def stop(self) -> None:
        """Stop it."""
        self._control("stop", "-m", "fast")

    def start(self) -> None:
        """Start it again."""
        self._control("start")

    def _control(self, *what: str) -> None:
        _run(self.programs / "pg_ctl", "-D", self.folder / "data", "-w", "-s", "-l", self.folder / "log", *what)


@contextmanager
def running() -> Generator[Server]:
    """Give a server, for as long as the block lasts; skips where there are no programs."""
    programs = binaries()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="kontext-postgres-"))
    if "user" in (who := _who()) and "group" in who:
        os.chown(folder, who["user"], who["group"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen(
        ["sh", "-c", _KEEPER, "keeper", str(programs), str(folder)], stdin=subprocess.PIPE, cwd="/", **_who()
    ) as keeper:
        assert keeper.stdin is not None
        # C.UTF-8 is there wherever glibc is; without a sync, for a power cut may take it.
        initdb = ("--encoding=UTF8", "--locale=C.UTF-8", "--auth=trust", "--no-sync", "--no-instructions")
        _run(programs / "initdb", "-D", folder / "data", "-U", "postgres", *initdb)
        settings = _SETTINGS | {"port": port, "unix_socket_directories": f"'{folder}'"}
        with (folder / "data" / "postgresql.auto.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())
        server = Server(port=port, folder=folder, programs=programs)
        server.start()
        with psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres", autocommit=True) as db:
            db.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'".encode())
            db.execute(f"CREATE DATABASE kontext OWNER {USER}".encode())
        yield server
        keeper.stdin.close()


class _Who(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


def _who() -> _Who:
    """Give who runs the server: it refuses to be run by root."""
    if os.geteuid() != 0:
        return {}
    from pwd import getpwnam  # not on every system, as root is not

    user = getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _run(*command: str | Path) -> None:
    # Nothing of it may be inherited: a server would keep the pipes of the test run open.
    subprocess.run(
        [str(one) for one in command],
        check=True,
        timeout=60,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **_who(),
    )
