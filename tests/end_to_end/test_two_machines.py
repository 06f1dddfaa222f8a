"""The deployment of docs/two-machines.md: its nginx, two servers, one PostgreSQL and one bucket, people with tokens."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import anyio
import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from kontext_server.simulator.serve import running
from support.at_simulator import charged_at
from support.bucket import Held
from support.documents import blocks
from support.http_server import PATIENCE_S, Served, a_free_port, served
from support.issuer import issuing
from support.places import PostgresPlace
from support.postgres import Server
from support.readme import ROOT
from support.stdio_server import ERAS, call, fields_of
from support.waiting import until

pytestmark = pytest.mark.anyio

PAGE = ROOT / "docs" / "two-machines.md"
SECRET_KEY = "a2V5IG9mIHR3byBtYWNoaW5lcywgMzIgYnl0ZXMhISE="


@contextmanager
def nginx(folder: Path, port: int, upstreams: list[str]) -> Generator[None]:
    """Run nginx as the page has it, but for addresses and TLS."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    (written,) = blocks(PAGE.read_text(encoding="utf-8"), "nginx")
    for theirs, ours in zip(("10.0.0.11:8765", "10.0.0.12:8765"), upstreams, strict=True):
        assert theirs in written
        written = written.replace(theirs, ours)
    written = re.sub(r"^ *ssl_certificate.*\n", "", written, flags=re.MULTILINE)
    written = written.replace("listen 443 ssl", f"listen 127.0.0.1:{port}").replace("kontext.example", "127.0.0.1")
    written = written.replace("/var/log/nginx", str(folder))
    # What the page leaves to nginx: where it writes, and that nobody else is needed.
    paths = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = f"daemon off; pid {folder}/pid; error_log stderr; events {{}}\nhttp {{ access_log off;\n{paths}{written} }}"
    (folder / "nginx.conf").write_text(main, encoding="utf-8")
    command = [program, "-p", folder, "-c", folder / "nginx.conf"]
    with (folder / "nginx.log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            until(lambda: _listens(port), (folder / "nginx.log").read_text(encoding="utf-8"))
            yield
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@asynccontextmanager
async def _client(url: str, token: str, era: str = ERAS[1]) -> AsyncGenerator[Client]:
    told = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=told, timeout=PATIENCE_S) as http,
        Client(streamable_http_client(url, http_client=http), mode=era) as client,
    ):
        yield client


async def test_people_are_served_by_both_and_by_one_where_the_other_is_killed(
    tmp_path: Path, postgres: Server, held: Held
) -> None:
    place = PostgresPlace(postgres, postgres.new_schema())
    port = a_free_port()
    base = f"http://127.0.0.1:{port}"
    heard = list[str]()

    async def tell(progress: float, total: float | None, message: str | None) -> None:  # the SDK's
        heard.append(message or "")

    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in (*folders, tmp_path / "nginx"):
        folder.mkdir()
    with running(job_seconds=0.5) as simulator, issuing() as issuer:
        settings = {
            **simulator.settings,
            **held.settings,
            **issuer.settings,
            "KONTEXT_AUTH_AUDIENCE": f"{base}/mcp",
            "KONTEXT_DATABASE_URL": place.url,
            "KONTEXT_PUBLIC_URL": base,
            "KONTEXT_SECRET_KEY": SECRET_KEY,
            "KONTEXT_SHARE_KEYS": "true",
        }
        with served(folders[0], settings) as one, served(folders[1], settings) as two:
            token = partial(issuer.token, aud=f"{base}/mcp")
            upstreams = [server.base.removeprefix("http://") for server in (one, two)]
            with nginx(tmp_path / "nginx", port, upstreams), anyio.fail_after(90):
                jobs = dict[str, str]()
                for n in range(4):
                    heard.clear()
                    async with _client(f"{base}/mcp", token(f"person-{n}"), ERAS[n % 2]) as client:
                        made = fields_of(
                            await client.call_tool(
                                "generate_image",
                                {"prompt": f"lake {n}", "wait_seconds": 40},
                                progress_callback=tell,
                            )
                        )
                        jobs[f"person-{n}"] = made["job_id"]
                        assert made["status"] == "completed" and heard
                        async with httpx2.AsyncClient() as browser:
                            picture = await browser.get(made["images"][0]["url"])
                        assert picture.headers["content-type"] == "image/png"
                await _seen_by_both((one, two), token, jobs)
                two.process.kill()
                for subject, job_id in jobs.items():
                    async with _client(f"{base}/mcp", token(subject)) as client:
                        assert fields_of(await call(client, "get_status", job_id=job_id))["status"] == "completed"
                        more = await call(client, "generate_image", prompt=f"more of {subject}", wait_seconds=40)
                        assert fields_of(more)["status"] == "completed"
        assert charged_at(simulator) == 8
    log = (tmp_path / "nginx" / "kontext.log").read_text(encoding="utf-8")
    assert "POST /mcp" in log and "/images/" not in log
    assert place.rows("SELECT COUNT(*) FROM jobs") == [(8,)]


async def _seen_by_both(servers: tuple[Served, ...], token: Callable[[str], str], jobs: dict[str, str]) -> None:
    """Any process answers for any job, and to its owner alone."""
    for server in servers:
        for subject, job_id in jobs.items():
            other = "person-1" if subject == "person-0" else "person-0"
            for who, status in ((subject, "completed"), (other, None)):
                async with _client(server.url, token(who)) as client:
                    assert fields_of(await call(client, "get_status", job_id=job_id)).get("status") == status
