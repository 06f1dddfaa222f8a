"""RELIABILITY.md F10, L02, L04, N01, N03, P03 where people sign in, beside test_sign_in and test_over_http."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
import mcp_types as types
import pytest

from support.at_simulator import creates_at
from support.hosted import Hosted, Kept, a_call, hosting
from support.http_server import ACCEPT, PATIENCE_S, client_of, envelope, headers
from support.stdio_server import ERAS, PHOTOS, call, fields_of
from support.waiting import until

pytestmark = pytest.mark.anyio

WELL_KNOWN = "/.well-known/oauth-protected-resource"
ROUTES = (
    "/mcp",
    "/healthz",
    "/readyz",
    "/metrics",
    "/images/red-car-4k7q/1",
    "/gallery/",
    "/gallery/read",
    "/gallery/enter",
    WELL_KNOWN,
    f"{WELL_KNOWN}/mcp",
    "/nothing",
)
EVIL_HOSTS = ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[::ffff:127.0.0.1]", "0.0.0.0")
EVIL_ORIGINS = ("null", "http://evil.example", "http://localhost.evil.example", "http://[::1", "file://")
LAKE = {"prompt": "a lake"}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "0"}}


@pytest.mark.parametrize("signed_in", [True, False])
async def test_N01_no_route_is_reached_by_a_foreign_name_or_from_a_foreign_page(
    hosted: Hosted, signed_in: bool
) -> None:
    bearer = hosted.bearer("nora", scope="images:read admin:budget") if signed_in else {}
    got: dict[str, set[int]] = {"Host": set(), "Origin": set()}
    async with client_of(hosted.server) as http:
        for name, values in (("Host", EVIL_HOSTS), ("Origin", EVIL_ORIGINS)):
            for value in values:
                for route in ROUTES:
                    got[name].add((await http.get(route, headers={**bearer, name: value})).status_code)
                post = await http.post("/gallery/enter", data={"ticket": "x"}, headers={**bearer, name: value})
                got[name].add(post.status_code)
    assert got == {"Host": {421}, "Origin": {403}}


async def test_N03_no_route_is_reached_without_a_name(hosted: Hosted) -> None:
    def first(route: str) -> bytes:
        place = urlsplit(hosted.server.base)
        with socket.create_connection((place.hostname, place.port), timeout=PATIENCE_S) as connection:
            connection.sendall(f"GET {route} HTTP/1.0\r\n\r\n".encode())
            return connection.makefile("rb").readline().strip()

    got = {await anyio.to_thread.run_sync(first, route) for route in ROUTES}
    assert got == {b"HTTP/1.1 421 Misdirected Request"}


def _peak_bytes(hosted: Hosted) -> int:
    """Give the most memory that the server has ever had."""
    status = Path(f"/proc/{hosted.server.process.pid}/status").read_text(encoding="utf-8")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) * 1024


async def test_P03_a_body_of_20_mb_is_refused_on_every_route_and_takes_no_memory(hosted: Hosted) -> None:
    size, chunk = 20_000_000, b" " * 1_000_000

    async def chunks() -> AsyncGenerator[bytes]:
        for _ in range(size // len(chunk)):
            yield chunk

    bearer = hosted.bearer("otto", scope="images:read images:edit jobs:cancel admin:budget")
    told = {**headers(envelope("tools/list")), "Content-Type": "application/json", **bearer}
    got: dict[str, int] = {}
    before = _peak_bytes(hosted)
    async with client_of(hosted.server) as http:
        for route in (*ROUTES[:8], *ROUTES[:1] * 4):
            method = "POST" if route in ("/mcp", "/gallery/enter") else "GET"
            whole = await http.request(method, route, content=b" " * size, headers=told)
            flowing = await http.request(method, route, content=chunks(), headers=told)
            got[f"{method} {route}"] = whole.status_code
            got[f"{method} {route}, flowing"] = flowing.status_code
            assert len(whole.content) < 200
    assert got == dict.fromkeys(got, 413)
    # The most that is collected of one body, and what the parser has in hand.
    assert _peak_bytes(hosted) - before < 64_000_000


async def test_F10_no_file_of_the_machine_is_read_by_any_argument_that_takes_a_picture(hosted: Hosted) -> None:
    made = await hosted.post(a_call("generate_image", **LAKE, wait_seconds=50), hosted.issuer.token("fred"))
    job_id = made.json()["result"]["structuredContent"]["job_id"]
    before = len(creates_at(hosted.simulator))
    own = hosted.folder / "data" / "images" / f"{job_id}-1.png"
    there, missing = PHOTOS / "chelsea.png", hosted.folder / "none.png"
    paths = [*map(str, (there, own, missing, hosted.folder / "data" / "kontext.db")), "/etc/passwd", "~/cat.png"]
    paths += [there.as_uri(), own.as_uri(), f"file://localhost{there}", f"FILE://{there}", f"file:{there}"]
    paths += [f"`{there}`", "./chelsea.png", "../chelsea.png", r"C:\cat.png", r"\\host\share\cat.png"]
    if not own.is_file():  # it is in a bucket
        own.parent.mkdir()
        own.write_bytes(there.read_bytes())
    told: dict[str, set[str]] = {}
    async with client_of(hosted.server) as http:

        async def code(tool: str, path: str, **arguments: Any) -> str:
            # A person for each path: who names so much that is not there is held back (T06).
            body = a_call(tool, **arguments)
            answer = await http.post("/mcp", json=body, headers=headers(body) | hosted.bearer(f"fred of {path!r}"))
            error = answer.json()["result"]["structuredContent"]["error"]
            assert str(hosted.folder) not in json.dumps(error)
            told.setdefault(f"{tool} {error['code']}", set()).add(error["message"])
            return error["code"]

        for path in paths:
            edit = {"prompt": "Make it sepia"}
            for arguments in ({"image": path}, {"image_url": path}, {"image": path, "dry_run": True}):
                assert await code("edit_image", path, **edit, **arguments) == "source_not_allowed", path
            assert await code("run_plan", path, steps=[{"id": "a", **edit, "image": path}]) == "source_not_allowed", (
                path
            )
            assert await code("view_images", path, refs=[path]) == "unknown_ref", path
            assert await code("find_images", path, derived_from=path) == "unknown_ref", path
    # What is there and what is not reads the same.
    assert {name: len(messages) for name, messages in told.items()} == dict.fromkeys(told, 1)
    assert len(creates_at(hosted.simulator)) == before


async def _dropped(hosted: Hosted, subject: str, era: str, *, by_events: bool) -> None:
    """Begin a call, and drop its connection once its job is at the provider."""
    arguments = {"prompt": f"a lake of {subject}'s", "wait_seconds": 50}
    params: dict[str, Any] = {"name": "generate_image", "arguments": arguments}
    params |= {"_meta": {"progressToken": 1}} if by_events else {}
    before = len(creates_at(hosted.simulator))
    async with client_of(hosted.server) as http:
        if era == ERAS[1]:
            body = envelope("tools/call", params)
            told = {**headers(body), **hosted.bearer(subject)}
        else:
            begin = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}
            told = {**ACCEPT, **hosted.bearer(subject)}
            session = (await http.post("/mcp", json=begin, headers=told)).headers["mcp-session-id"]
            told |= {"Mcp-Session-Id": session, "Mcp-Protocol-Version": "2025-11-25"}
            body = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_ask, http, body, told)
            await _created(hosted, before + 1)
            tasks.cancel_scope.cancel()


async def _created(hosted: Hosted, count: int) -> None:
    """Wait until the provider has taken so many creates."""
    came = lambda: len(creates_at(hosted.simulator)) >= count  # noqa: E731  # it is but this
    await anyio.to_thread.run_sync(lambda: until(came, "the creates came"))


async def _ask(http: httpx2.AsyncClient, body: Any, told: dict[str, str]) -> None:
    async with http.stream("POST", "/mcp", json=body, headers=told) as answer:
        await answer.aread()


@pytest.mark.parametrize(("era", "by_events"), [(ERAS[0], True), (ERAS[1], True), (ERAS[1], False)])
async def test_L04_a_client_that_drops_ends_its_wait_and_not_its_job_however_it_is_answered(
    hosted: Hosted, era: str, by_events: bool
) -> None:
    subject = f"dropped-{era}-{by_events}"
    before = len(creates_at(hosted.simulator))
    with anyio.fail_after(PATIENCE_S), hosted.slow():
        await _dropped(hosted, subject, era, by_events=by_events)
    hosted.let_pass(60)
    async with hosted.client(subject) as client:
        jobs = (await client.read_resource("kontext://jobs")).contents[0]
        assert isinstance(jobs, types.TextResourceContents)
        (job,) = json.loads(jobs.text)["jobs"]
        ended = fields_of(await call(client, "get_status", job_id=job["job_id"], wait_seconds=50))
    assert ended["status"] == "completed"
    assert len(creates_at(hosted.simulator)) - before == 1


async def test_L02_a_signal_amid_calls_of_several_people_ends_the_server_and_leaves_no_half_row(
    tmp_path: Path, kept: Kept
) -> None:
    answers: list[dict[str, Any]] = []
    ended: list[tuple[int, str]] = []
    rows: list[Any] = []
    with anyio.fail_after(60), hosting(tmp_path, kept) as hosted, hosted.slow():

        async def ask(subject: str) -> None:
            body = a_call("generate_image", prompt=f"a lake of {subject}'s", wait_seconds=50)
            answers.append((await hosted.post(body, hosted.issuer.token(subject))).json()["result"])

        async with anyio.create_task_group() as tasks:
            for n in range(5):
                tasks.start_soon(ask, f"person-{n}")
            await _created(hosted, 2)
            ended.append(await anyio.to_thread.run_sync(hosted.server.end))
        assert ended == [(0, "")]
        rows += kept.rows("SELECT jobs.id, sends.job_id, sends.doc FROM jobs LEFT JOIN sends ON sends.job_id = jobs.id")
    assert len(rows) == len(answers) == 5
    assert all(job_id == of and json.loads(doc) for job_id, of, doc in rows)
    assert {answer["structuredContent"]["status"] for answer in answers} <= {"pending", "processing"}
