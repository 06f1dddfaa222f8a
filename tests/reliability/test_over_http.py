"""The bar over HTTP: who may ask, how much, what a dropped connection and a signal do."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from kontext_server.simulator.serve import running
from support.at_simulator import charged_at, creates_at
from support.http_server import ACCEPT, PATIENCE_S, Served, client_of, connected, envelope, headers, served
from support.looking_in import DataFolder
from support.stdio_server import ERAS, PHOTOS, call, environment, fields_of
from support.waiting import until

pytestmark = pytest.mark.anyio

ROUTES = ("/mcp", "/healthz", "/readyz", "/images/red-car-4k7q/1", "/metrics", "/nothing")
LIST = envelope("tools/list")
GOOD_HOSTS = ("127.0.0.1:{port}", "localhost:{port}", "[::1]:{port}", "127.0.0.1", "localhost:9")
EVIL_HOSTS = (
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example:{port}",
    "localhost@evil.example",
    "127.0.0.1:evil.example",
    "localhost:{port}@evil.example",
    "evil.example:{port}",
    "0.0.0.0:{port}",
    "[::ffff:127.0.0.1]:{port}",
    "::1",
    "127.1:{port}",
    "LOCALHOST.:{port}",
)
GOOD_ORIGINS = ("http://127.0.0.1:{port}", "http://localhost:3000", "http://[::1]:{port}")
EVIL_ORIGINS = (
    "null",
    "http://evil.example",
    "https://evil.example:{port}",
    "http://localhost.evil.example:{port}",
    "http://127.0.0.1:evil.example",
    "http://localhost:{port}@evil.example",
    "http://127.0.0.1.evil.example",
    "file://",
    "http://[::1",
)


@asynccontextmanager
async def _asking(folder: Path) -> AsyncGenerator[tuple[Served, httpx2.AsyncClient]]:
    with anyio.fail_after(60), served(folder) as server:
        async with client_of(server) as http:
            yield server, http


async def _statuses(http: httpx2.AsyncClient, name: str, value: str) -> list[int]:
    got = [(await http.get(route, headers={name: value})).status_code for route in ROUTES]
    post = await http.post("/mcp", json=LIST, headers={**headers(LIST), name: value})
    return [*got, post.status_code]


async def test_N01_an_evil_host_is_misdirected_and_an_evil_origin_forbidden_on_every_route(tmp_path: Path) -> None:
    async with _asking(tmp_path) as (_, http):
        hosts = await _statuses(http, "Host", "evil.example")
        origins = await _statuses(http, "Origin", "http://evil.example")
    assert (set(hosts), set(origins)) == ({421}, {403})


async def test_N03_only_the_loopbacks_own_names_are_let_through(tmp_path: Path) -> None:
    got: dict[str, int] = {}
    async with _asking(tmp_path) as (server, http):
        port = server.base.rpartition(":")[2]
        for name, values in (("Host", GOOD_HOSTS + EVIL_HOSTS), ("Origin", GOOD_ORIGINS + EVIL_ORIGINS)):
            for value in values:
                told = value.format(port=port)
                got[f"{name}: {value}"] = (await http.get("/healthz", headers={name: told})).status_code
        without = await anyio.to_thread.run_sync(_without_host, int(port))
    expected = (
        {f"Host: {value}": 200 for value in GOOD_HOSTS}
        | {f"Host: {value}": 421 for value in EVIL_HOSTS}
        | {f"Origin: {value}": 200 for value in GOOD_ORIGINS}
        | {f"Origin: {value}": 403 for value in EVIL_ORIGINS}
    )
    assert got == expected
    assert without == [b"HTTP/1.1 400 Bad Request", b"HTTP/1.1 421 Misdirected Request"]


def _without_host(port: int) -> list[bytes]:
    """Ask without a Host, in HTTP/1.1, which demands one, and in 1.0, which does not."""
    first: list[bytes] = []
    for version in ("1.1", "1.0"):
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
            connection.sendall(f"GET /healthz HTTP/{version}\r\n\r\n".encode())
            first.append(connection.makefile("rb").readline().strip())
    return first


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "kontext.example", ""])
def test_N02_no_host_but_loopback_is_listened_on(tmp_path: Path, host: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "kontext_server", "serve", "--http", "--host", host, "--port", "0"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "KONTEXT_AUTH_ISSUER" in ended.stderr
    assert "KONTEXT_TOKENS_FILE" in ended.stderr


async def test_P03_a_body_is_bounded_on_every_route(tmp_path: Path) -> None:
    most = 16 << 20

    async def chunks() -> AsyncGenerator[bytes]:
        for _ in range(17):
            yield b" " * (1 << 20)

    async with _asking(tmp_path) as (_, http):
        big = {route: await http.request("GET", route, content=b" " * (most + 1)) for route in ROUTES[1:5]}
        sent = await http.post("/mcp", content=b" " * (most + 1), headers=headers(LIST))
        chunked = await http.post("/mcp", content=chunks(), headers=headers(LIST))
        padded = b" " * (most - 1000) + http.build_request("POST", "/mcp", json=LIST).content
        fits = await http.post("/mcp", content=padded, headers={**headers(LIST), "Content-Type": "application/json"})
    assert {answer.status_code for answer in (*big.values(), sent, chunked)} == {413}
    assert (fits.status_code, "tools" in fits.json()["result"]) == (200, True)


@pytest.mark.parametrize("era", ERAS)
async def test_F10_no_file_of_the_machine_is_read_over_http(tmp_path: Path, era: str) -> None:
    with anyio.fail_after(60), served(tmp_path) as server:
        async with connected(server, era=era) as client:
            unknown = fields_of(await call(client, "edit_image", image="red-car-4k7q/1", prompt="Make it sepia"))[
                "error"
            ]
            made = fields_of(await call(client, "generate_image", prompt="a red lake"))
            own = tmp_path / "data" / "images" / f"{made['job_id']}-1.png"
            assert own.is_file()
            paths = [PHOTOS / "chelsea.png", own, tmp_path / "none.png", Path("/etc/passwd"), Path("~/x.png")]
            errors = [
                fields_of(await call(client, "edit_image", image=image, prompt="Make it sepia"))["error"]
                for image in [*map(str, paths), own.as_uri(), f"`{own}`"]
            ]
    assert (unknown["code"], "path" in unknown["fix"]) == ("unknown_ref", False)
    assert [error["code"] for error in errors] == ["source_not_allowed"] * len(errors)
    ways = [re.findall(rf"{server.base}/uploads/[A-Za-z0-9_-]{{43}}", error["fix"]) for error in errors]
    assert [len(set(way)) for way in ways] == [1] * len(errors) and len({way[0] for way in ways}) == len(errors)
    told = {
        (error["message"], error["fix"].replace(way[0], "ADDRESS")) for error, way in zip(errors, ways, strict=True)
    }
    fix = (
        "PUT the file to ADDRESS or let the person open that page and choose it (once, within an hour); then call "
        "again with image='ADDRESS'. Or pass an https address, a data URI or an earlier result such as red-car-4k7q/1."
    )
    assert told == {("Files of this machine may not be read here; nothing was sent.", fix)}


async def _submitted(data: DataFolder) -> None:
    """Wait until the one job is at the provider."""
    count = "SELECT COUNT(*) FROM sends WHERE state = 'submitted'"
    await anyio.to_thread.run_sync(lambda: until(lambda: data.one(count) == 1, "it is submitted"))


async def test_L04_a_dropped_connection_ends_the_wait_and_not_the_job(tmp_path: Path) -> None:
    """By SSE, as answers with progress are; the dropped call never had an answer, so an identical one joins."""
    now = [1_800_000_000.0]
    arguments = {"prompt": "a red lake", "wait_seconds": 50}
    body = envelope("tools/call", {"name": "generate_image", "arguments": arguments, "_meta": {"progressToken": 1}})
    with (
        anyio.fail_after(60),
        running(clock=lambda: now[0]) as simulator,
        served(tmp_path, simulator.settings) as server,
    ):
        data = DataFolder(tmp_path / "data")
        async with client_of(server) as http, http.stream("POST", "/mcp", json=body, headers=headers(body)) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.aiter_lines()
            while "pending at core.today" not in await anext(lines):
                pass
        async with connected(server) as client:
            (job_id,) = [row[0] for row in data.rows("SELECT id FROM jobs")]
            assert fields_of(await call(client, "get_status", job_id=job_id))["status"] in ("pending", "processing")
            await _submitted(data)
            now[0] += 60
            ended = fields_of(await call(client, "generate_image", **arguments))
            again = fields_of(await call(client, "get_status", job_id=job_id))
    assert (ended["job_id"], ended["status"], ended["joined"]) == (job_id, "completed", True)
    assert again["status"] == "completed"
    assert len(creates_at(simulator)) == charged_at(simulator) == 1


async def test_L04_a_dropped_connection_of_the_handshake_era_does_not_end_the_job(tmp_path: Path) -> None:
    """There the SDK does not notice the drop: the wait goes on, for nobody."""
    now = [1_800_000_000.0]
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "0"}}
    begin = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    params = {"name": "generate_image", "arguments": {"prompt": "a red lake"}, "_meta": {"progressToken": 1}}
    with (
        anyio.fail_after(60),
        running(clock=lambda: now[0]) as simulator,
        served(tmp_path, simulator.settings) as server,
    ):
        data = DataFolder(tmp_path / "data")
        async with client_of(server) as http:
            session = (await http.post("/mcp", json=begin, headers=ACCEPT)).headers["mcp-session-id"]
            mine = {**ACCEPT, "Mcp-Session-Id": session, "Mcp-Protocol-Version": "2025-11-25"}
            body = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}
            async with http.stream("POST", "/mcp", json=body, headers=mine) as answer:
                lines = answer.aiter_lines()
                while "pending at core.today" not in await anext(lines):
                    pass
        await _submitted(data)
        now[0] += 60
        await anyio.to_thread.run_sync(lambda: data.until_ended(within_s=PATIENCE_S))
    assert data.statuses() == {"completed": 1}
    assert len(creates_at(simulator)) == charged_at(simulator) == 1


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
async def test_L02_a_signal_ends_the_server_over_http_and_calls_that_wait_are_answered(
    tmp_path: Path, name: str
) -> None:
    now = [1_800_000_000.0]
    body = envelope("tools/call", {"name": "generate_image", "arguments": {"prompt": "a lake", "wait_seconds": 50}})
    answers: list[httpx2.Response] = []
    ended: list[tuple[int, str]] = []
    data = DataFolder(tmp_path / "data")
    with anyio.fail_after(60), running(clock=lambda: now[0]) as simulator:
        with served(tmp_path, simulator.settings) as server:
            async with client_of(server) as http, anyio.create_task_group() as tasks:

                async def ask() -> None:
                    answers.append(await http.post("/mcp", json=body, headers=headers(body)))

                tasks.start_soon(ask)
                await _submitted(data)
                ended.append(await anyio.to_thread.run_sync(lambda: server.end(getattr(signal, name))))
        assert ended == [(0, "")]
        assert data.is_sound()
        now[0] += 60
        with served(tmp_path, simulator.settings):
            await anyio.to_thread.run_sync(lambda: data.until_ended(within_s=PATIENCE_S))
    (answer,) = answers
    fields = answer.json()["result"]["structuredContent"]
    assert fields["status"] in ("pending", "processing")
    assert fields["next"] == f"Call get_status(job_id='{fields['job_id']}', wait_seconds=25)."
    assert data.statuses() == {"completed": 1}
    assert data.check_files() == charged_at(simulator) == 1


async def test_L02_a_stream_of_notices_ends_on_purpose_at_a_signal(tmp_path: Path) -> None:
    body = envelope("subscriptions/listen", {"notifications": {"resourcesListChanged": True}})
    frames: list[dict[str, Any]] = []
    ended: list[tuple[int, str]] = []
    with anyio.fail_after(60), served(tmp_path) as server:
        async with client_of(server) as http, http.stream("POST", "/mcp", json=body, headers=headers(body)) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data:"):
                    frames.append(json.loads(line.removeprefix("data:")))
                if len(frames) == 1 and not ended:
                    ended.append(await anyio.to_thread.run_sync(server.end))
    assert ended == [(0, "")]
    assert [frame.get("method") for frame in frames] == ["notifications/subscriptions/acknowledged", None]
    assert frames[-1]["result"]["resultType"] == "complete"


async def test_L02_clients_that_stay_connected_do_not_hold_the_end(tmp_path: Path) -> None:
    with anyio.fail_after(60), served(tmp_path) as server:
        async with connected(server, era=ERAS[1]) as modern, client_of(server) as http:
            await modern.list_tools()
            hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "0"}}
            begin = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
            session = (await http.post("/mcp", json=begin, headers=ACCEPT)).headers["mcp-session-id"]
            mine = {**ACCEPT, "Mcp-Session-Id": session, "Mcp-Protocol-Version": "2025-11-25"}
            async with http.stream("GET", "/mcp", headers=mine) as notices:
                assert notices.status_code == 200
                code, _ = await anyio.to_thread.run_sync(server.end)
    assert code == 0
