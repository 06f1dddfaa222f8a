from __future__ import annotations

import hashlib

import httpx2
import pytest
from starlette.types import Message, Receive, Scope, Send

from kontext_server.simulator import journal as journal_module
from kontext_server.simulator.journal import Entry, Journal, Recorder

pytestmark = pytest.mark.anyio


def _entry(size: int, path: str = "/") -> Entry:
    return Entry(method="GET", path=path, query="", headers={}, sha256="", size=size, time=0.0)


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 207, "headers": []})
    await send({"type": "http.response.body", "body": body})


def _client(journal: Journal) -> httpx2.AsyncClient:
    app = Recorder(_echo, journal, lambda: 12.5, silent="/_sim/")
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1")


@pytest.fixture
def journal() -> Journal:
    return Journal(most_entries=3, most_bytes=100)


async def test_a_request_is_written_down_as_it_came(journal: Journal) -> None:
    async with _client(journal) as client:
        answer = await client.post(
            "/a%2Fb?c=%20d",
            content=b'{"x": 1}',
            headers=[("Content-Type", "application/json; charset=utf-8"), ("X-Two", "1"), ("x-two", "2")],
        )
    (entry,) = journal.entries()
    assert answer.content == b'{"x": 1}'
    assert (entry.method, entry.path, entry.query) == ("POST", "/a%2Fb", "c=%20d")
    assert (entry.headers["x-two"], entry.json) == ("1, 2", {"x": 1})
    assert (entry.size, entry.sha256) == (8, hashlib.sha256(b'{"x": 1}').hexdigest())
    assert (entry.time, entry.status) == (12.5, 207)


@pytest.mark.parametrize(("content_type", "body"), [("application/json", b"{"), ("text/plain", b"{}")])
async def test_a_body_that_is_no_json_is_not_shown(journal: Journal, content_type: str, body: bytes) -> None:
    async with _client(journal) as client:
        await client.post("/", content=body, headers={"content-type": content_type})
    assert journal.entries()[0].json is None


async def test_the_controls_leave_no_trace(journal: Journal) -> None:
    async with _client(journal) as client:
        await client.get("/_sim/journal")
    assert journal.entries() == []


async def test_a_body_beyond_the_limit_is_refused_and_written_down(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "MAX_BODY", 4)
    async with _client(journal) as client:
        answer = await client.post("/", content=b"12345")
    assert answer.status_code == journal.entries()[0].status == 413


async def test_a_body_in_pieces_is_read_whole_and_what_follows_is_passed_on(journal: Journal) -> None:
    pieces: list[Message] = [
        {"type": "http.request", "body": b"a", "more_body": True},
        {"type": "http.request", "body": b"b", "more_body": False},
        {"type": "http.disconnect"},
    ]
    seen: list[Message] = []

    async def receive() -> Message:
        return pieces.pop(0)

    async def send(_: Message) -> None:
        raise AssertionError

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend([await receive(), await receive()])

    scope: Scope = {"type": "http", "method": "PUT", "path": "/x", "query_string": b"", "headers": []}
    await Recorder(inner, journal, lambda: 0.0, silent="/_sim/")(scope, receive, send)
    assert [one.get("body") for one in seen] == [b"ab", None]
    assert (journal.entries()[0].size, journal.entries()[0].status) == (2, None)


async def test_the_oldest_entries_make_room_and_are_counted(journal: Journal) -> None:
    for size in (10, 10, 10, 10):
        journal.add(_entry(size))
    assert (len(journal.entries()), journal.dropped) == (3, 1)
    journal.add(_entry(95))
    assert ([entry.size for entry in journal.entries()], journal.dropped) == ([95], 4)
    journal.add(_entry(500))
    assert [entry.size for entry in journal.entries()] == [500]
    journal.clear()
    assert (journal.entries(), journal.dropped) == ([], 0)
