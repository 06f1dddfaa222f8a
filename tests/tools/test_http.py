"""The way out over real sockets: what was never sent, what is lost, limits, and downloads through the guard."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import pytest
from anyio.abc import SocketStream

from kontext_tools.guard import Blocked, Guard
from kontext_tools.http import Http, Lost, NotSent, Part, Refetched, Reply, TooLarge, trusted
from kontext_tools.redaction import Redactor, without_query

pytestmark = pytest.mark.anyio

Talk = Callable[[bytes, SocketStream], Awaitable[None]]


@asynccontextmanager
async def speaking(talk: Talk, *, head_ends: bytes = b"\r\n\r\n") -> AsyncGenerator[str]:
    """A server that reads one request's head and then does as it is told; gives its base address."""

    async def serve(stream: SocketStream) -> None:
        async with stream:
            try:
                head = b""
                while head_ends not in head or not head:
                    head += await stream.receive()
                await talk(head, stream)
            except (anyio.BrokenResourceError, anyio.EndOfStream):
                return

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield f"http://127.0.0.1:{port}"
        tasks.cancel_scope.cancel()


def answering(response: bytes) -> Talk:
    async def talk(_: bytes, stream: SocketStream) -> None:
        await stream.send(response)

    return talk


def ok(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def test_a_reply_comes_back_whole_with_lower_case_header_names() -> None:
    async with speaking(answering(ok(b'{"a": 1}', "X-Thing: yes"))) as base:
        http = Http()
        reply = await http.call("GET", f"{base}/x")
        await http.aclose()
    assert (reply.status, reply.headers["x-thing"], reply.json()) == (200, "yes", {"a": 1})


async def test_a_body_that_is_no_json_reads_as_none() -> None:
    for body in (b"<html>", b"", b"[" * 100_000):
        assert Reply(status=200, headers={}, body=body).json() is None


@pytest.mark.parametrize("fresh", [True, False])
async def test_a_refused_connection_sent_nothing(fresh: bool) -> None:
    http = Http()
    with pytest.raises(NotSent):
        await http.call("POST", "http://127.0.0.1:9/x", json={}, fresh=fresh)
    await http.aclose()


async def test_a_host_that_does_not_resolve_sent_nothing() -> None:
    http = Http()
    with pytest.raises(NotSent):
        await http.call("POST", "http://kontext.invalid/x", json={}, fresh=True)
    await http.aclose()


async def test_a_failed_tls_handshake_sent_nothing() -> None:
    async with speaking(answering(b"not tls at all\r\n\r\n"), head_ends=b"") as base:
        http = Http()
        with pytest.raises(NotSent):
            await http.call("POST", base.replace("http:", "https:") + "/x", json={}, fresh=True)
        await http.aclose()


async def test_a_connection_that_dies_after_the_request_is_lost() -> None:
    async def die(_: bytes, stream: SocketStream) -> None:
        await stream.aclose()

    async with speaking(die) as base:
        http = Http()
        with pytest.raises(Lost):
            await http.call("POST", f"{base}/x", json={}, fresh=True)
        await http.aclose()


async def test_silence_and_a_body_that_never_ends_are_lost_within_their_limits() -> None:
    async def silent(_: bytes, __: SocketStream) -> None:
        await anyio.sleep_forever()

    async def endless(_: bytes, stream: SocketStream) -> None:
        await stream.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await stream.send(b"x" * 65_536)

    http = Http()
    async with speaking(silent) as base:
        with pytest.raises(Lost):
            await http.call("POST", f"{base}/x", json={}, fresh=True, read_s=0.05)
        with pytest.raises(Lost):
            await http.call("POST", f"{base}/x", json={}, fresh=True, total_s=0.05)
    async with speaking(endless) as base:
        with pytest.raises(Lost):
            await http.call("GET", f"{base}/x", max_bytes=1_000_000)
    await http.aclose()


async def test_a_redirect_comes_back_and_is_not_followed_with_the_key() -> None:
    asked: list[bytes] = []

    async def redirect(head: bytes, stream: SocketStream) -> None:
        asked.append(head)
        await stream.send(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")

    async with speaking(redirect) as base:
        http = Http()
        reply = await http.call("GET", f"{base}/x", headers={"X-API-Key": "secret"}, fresh=True)
        await http.aclose()
    assert (reply.status, len(asked)) == (302, 1)


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with speaking(answering(ok(b"{}"))) as base:
        http = Http()
        assert (await http.call("GET", f"{base}/x", fresh=True)).status == 200
        await http.aclose()


async def test_the_configured_proxy_is_used() -> None:
    asked: list[bytes] = []

    async def proxy(head: bytes, stream: SocketStream) -> None:
        asked.append(head)
        await stream.send(ok(b"{}"))

    async with speaking(proxy) as base:
        http = Http(proxy=base)
        await http.call("GET", "http://provider.example/x", fresh=True)
        await http.aclose()
    assert asked[0].startswith(b"GET http://provider.example/x ")


async def test_a_multipart_body_has_its_parts_in_order() -> None:
    seen: list[bytes] = []

    async def talk(head: bytes, stream: SocketStream) -> None:
        body = head
        while b"--\r\n" not in body[-200:]:
            body += await stream.receive()
        seen.append(body)
        await stream.send(ok(b"{}"))

    async with speaking(talk) as base:
        http = Http()
        parts = [
            Part(name="model", data="m"),
            Part(name="file:a", data=b"PNG", filename="a.png", media_type="image/png"),
        ]
        await http.call("POST", f"{base}/x", parts=parts, fresh=True)
        await http.aclose()
    assert seen[0].index(b'name="model"') < seen[0].index(b'name="file:a"; filename="a.png"')


async def _download(base: str, path: Path, *, trusted: bool = True, max_bytes: int = 1000) -> None:
    http = Http(guard=Guard(trusted=[base] if trusted else []))
    try:
        await http.download(f"{base}/o.png", path, max_bytes=max_bytes, total_s=5)
    finally:
        await http.aclose()


async def test_a_download_of_a_trusted_host_lands_in_the_file_without_credentials(tmp_path: Path) -> None:
    heads: list[bytes] = []

    async def talk(head: bytes, stream: SocketStream) -> None:
        heads.append(head.lower())
        await stream.send(ok(b"picture"))

    async with speaking(talk) as base:
        await _download(base, tmp_path / "o")
    assert (tmp_path / "o").read_bytes() == b"picture"
    assert b"authorization" not in heads[0]
    assert b"accept-encoding: identity" in heads[0]


async def test_a_download_of_an_untrusted_loopback_host_is_refused(tmp_path: Path) -> None:
    hits: list[bytes] = []

    async def talk(head: bytes, _: SocketStream) -> None:
        hits.append(head)

    async with speaking(talk) as base:
        with pytest.raises(Blocked):
            await _download(base, tmp_path / "o", trusted=False)
    assert hits == []


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_a_download_that_is_answered_with_a_status_says_which(tmp_path: Path, status: int) -> None:
    async with speaking(answering(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())) as base:
        with pytest.raises(Refetched) as answered:
            await _download(base, tmp_path / "o")
    assert answered.value.status == status


async def test_a_download_is_cut_at_its_limit_and_at_an_early_end(tmp_path: Path) -> None:
    async with speaking(answering(ok(b"x" * 2000))) as base:
        with pytest.raises(TooLarge):
            await _download(base, tmp_path / "o")
    async with speaking(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort")) as base:
        with pytest.raises(Lost):
            await _download(base, tmp_path / "o")


async def test_a_redirect_to_a_private_address_is_refused_and_one_in_place_is_followed(tmp_path: Path) -> None:
    async def talk(head: bytes, stream: SocketStream) -> None:
        if head.startswith(b"GET /o.png "):
            await stream.send(b"HTTP/1.1 302 Found\r\nLocation: /real.png\r\nContent-Length: 0\r\n\r\n")
        else:
            await stream.send(ok(b"picture"))

    async with speaking(talk) as base:
        await _download(base, tmp_path / "o")
    assert (tmp_path / "o").read_bytes() == b"picture"
    moved = b"HTTP/1.1 302 Found\r\nLocation: https://169.254.169.254/x\r\nContent-Length: 0\r\n\r\n"
    async with speaking(answering(moved)) as base:
        with pytest.raises(Blocked):
            await _download(base, tmp_path / "o")


async def test_redirects_without_end_are_lost(tmp_path: Path) -> None:
    loop = b"HTTP/1.1 302 Found\r\nLocation: /o.png\r\nContent-Length: 0\r\n\r\n"
    async with speaking(answering(loop)) as base:
        with pytest.raises(Lost):
            await _download(base, tmp_path / "o")


async def test_a_public_name_is_connected_at_the_address_that_was_judged(tmp_path: Path) -> None:
    """RELIABILITY.md N07: the name is resolved once; the second answer of a rebinding server is never asked for."""
    answers = [["93.184.216.34"], ["127.0.0.1"]]
    asked: list[str] = []

    async def resolver(host: str, _: int) -> list[str]:
        asked.append(host)
        return answers.pop(0)

    target = await Guard(resolver=resolver).check("https://pictures.example/o.png?sig=1")
    assert asked == ["pictures.example"]
    assert (target.url, target.host, target.sni) == (
        "https://93.184.216.34:443/o.png?sig=1",
        "pictures.example",
        "pictures.example",
    )


def test_keys_and_signed_queries_are_taken_out_of_any_text() -> None:
    redact = Redactor(["cdt_secret_key", "abc"])
    text = "key cdt_secret_key at https://a.example/x.png?Signature=zzz&Expires=1 Bearer abcdef1234567890 abc"
    assert redact(text) == "key [key] at https://a.example/x.png?[removed] Bearer [removed] abc"
    assert without_query("https://u:p@a.example/x.png?sig=1") == "https://a.example/x.png"


def test_the_system_resolver_and_tls_defaults_are_used() -> None:
    assert ssl.create_default_context().check_hostname


async def test_whom_to_trust_is_read_once_for_all_and_not_for_a_plain_address(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    whole = httpx2.create_ssl_context

    def counting(*, trust_env: bool) -> ssl.SSLContext:
        read.append("trust")
        return whole(trust_env=trust_env)

    monkeypatch.setattr(httpx2, "create_ssl_context", counting)
    trusted.cache_clear()
    # Who greets it by TLS is hung up on at the first bytes: a greeting holds no head's end.
    async with speaking(answering(ok(b"{}")), head_ends=b"") as base:
        for fresh in (False, True):
            http = Http()
            await http.call("GET", base, fresh=fresh)
            await http.aclose()
        assert read == []
        for fresh in (False, True):
            http = Http()
            with pytest.raises(NotSent):
                await http.call("GET", base.replace("http:", "https:"), fresh=fresh)
            await http.aclose()
    assert read == ["trust"]
    assert [trusted(plain=plain).verify_mode for plain in (True, False)] == [ssl.CERT_REQUIRED] * 2
    assert trusted(plain=True).cert_store_stats()["x509"] == 0
