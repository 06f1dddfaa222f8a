"""Requests that no client of ours would send: made by hypothesis, sent byte by byte as they stand, and what came back.

What this is: for every plain HTTP route, methods, paths, queries, headers and bodies, some of them signed as our own
would be, so that what lies behind a signature is reached too. What it is not: what a message at `/mcp` may hold
(`mutants`).
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

PATIENCE_S = 20.0
LONGEST_ANSWER_BYTES = 4_000_000
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "FETCH", "X" * 300)
ROUTES = (
    "/",
    "/mcp",
    "/healthz",
    "/readyz",
    "/metrics",
    "/gallery",
    "/gallery/",
    "/gallery/read",
    "/gallery/enter",
    "/images/{job}/{n}",
    "/keys",
    "/keys/{job}",
    "/uploads/{job}",
    "/webhooks/core.today/{job}/{n}/{job}",
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/mcp",
)
ODD = (
    *("..", ".", "", "%2e%2e", "%2e%2e%2f", "..%2f", "%00", "%", "%zz", "%ff", "%e2%82", "\\", "%5c..%5c", ";x=1"),
    *("~", "é", "猫", "\u202e", "%0d%0aX-Evil:1", "x" * 300, "1" * 5000, "-1", "0", "\uff11", "1e9", "null", "{}"),
    *("#", "?"),
)
HEADER_NAMES = (
    *("Accept", "Accept-Encoding", "Content-Type", "Cookie", "If-None-Match", "If-Modified-Since", "Last-Event-ID"),
    *("Mcp-Session-Id", "Mcp-Protocol-Version", "Mcp-Method", "Mcp-Name", "Range", "X-Forwarded-Host", "Forwarded"),
    *("X-Forwarded-Proto", "X-HTTP-Method-Override", "Origin", "Referer", "User-Agent", "Authorization"),
)
URIS = ("jobs", "usage", "providers", "guide", "images", "images?limit=1", "images?limit=x", "images?query=%00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it stands on the wire."""

    data: bytes

    def __repr__(self) -> str:
        return f"Asked({self.data[:400]!r}, {len(self.data)} bytes)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the fuzzer knows of a server: a job, bearers by what they allow, and its own ways to sign."""

    host: str
    job: str
    bearers: Sequence[str]
    query_of: Callable[[str, str], str]
    cookie: str
    opened: Sequence[str]
    """Paths that are their own proof: of a page that takes a picture, of a host's call."""


def _text(most: int = 40) -> st.SearchStrategy[str]:
    return st.one_of(st.sampled_from(ODD), st.text(max_size=most))


def _path(known: Known) -> st.SearchStrategy[str]:
    """Give a route, its parts changed, doubled or left out, and further ones."""
    named = st.sampled_from(ROUTES).map(lambda route: route.replace("{job}", known.job).replace("{n}", "1"))
    more = st.lists(_text(), max_size=3).map(lambda parts: "".join(f"/{part}" for part in parts))
    odd = st.tuples(named, more).map("".join)
    image = st.tuples(st.one_of(st.just(known.job), _text()), _text()).map(lambda of: f"/images/{of[0]}/{of[1]}")
    proven = st.sampled_from(known.opened)
    return st.one_of(
        named,
        odd,
        image,
        proven,
        st.tuples(proven, _text()).map("".join),
        more.map(lambda path: path or "/"),
        st.just("*"),
        st.just("/" + "a" * 70_000),
    )


@st.composite
def _signed(draw: st.DrawFn, known: Known) -> str:
    """Give an image's address that is proven, whatever it names."""
    job = draw(st.one_of(st.just(known.job), _text()))
    n = draw(st.one_of(st.sampled_from(("0", "1", "2")), _text()))
    return f"/images/{quote(job, safe='')}/{quote(n, safe='')}?{known.query_of(job, n)}"


def _query(known: Known) -> st.SearchStrategy[str]:
    uri = st.one_of(
        st.sampled_from(URIS).map(lambda rest: f"kontext://{rest}"),
        st.tuples(st.sampled_from(("images", "jobs")), _text(), _text()).map(lambda of: "kontext://" + "/".join(of)),
        st.sampled_from(("", "/1", "/1/thumb", "/1/preview", "/0", "/9/meta")).map(
            lambda rest: f"kontext://images/{known.job}{rest}"
        ),
        _text(),
    )
    names = st.sampled_from(("uri", "ticket", "owner", "until", "proof", "access_token", "token", "x", ""))
    pair = st.one_of(
        uri.map(lambda value: f"uri={quote(value, safe='')}"),
        st.tuples(names, _text()).map(lambda of: f"{of[0]}={quote(of[1], safe='')}"),
        _text().map(lambda raw: raw.replace(" ", "+")),
    )
    return st.lists(pair, max_size=4).map(lambda pairs: "?" + "&".join(pairs) if pairs else "")


def _headers(known: Known) -> st.SearchStrategy[list[tuple[str, str]]]:
    odd = st.tuples(st.sampled_from(HEADER_NAMES), _text(120))
    cookie = st.one_of(st.just(known.cookie), _text()).map(lambda value: ("Cookie", f"kontext-gallery={value}"))
    bearer = st.sampled_from(known.bearers).map(lambda value: ("Authorization", value))
    kinds = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain")
    kind = st.sampled_from(kinds).map(lambda value: ("Content-Type", value))
    accept = st.just(("Accept", "application/json, text/event-stream"))
    return st.lists(st.one_of(odd, cookie, bearer, bearer, kind, accept), max_size=6)


def _bodies() -> st.SearchStrategy[bytes]:
    values: st.SearchStrategy[Any] = st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20), st.floats()),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
        max_leaves=8,
    )
    methods = st.sampled_from(("initialize", "ping", "tools/list", "tools/call", "resources/read", "x"))
    message = st.tuples(methods, values, values).map(
        lambda of: {"jsonrpc": "2.0", "id": of[1], "method": of[0], "params": of[2]}
    )
    return st.one_of(
        st.just(b""),
        st.binary(max_size=200),
        st.one_of(values, message).map(lambda value: json.dumps(value).encode()),
        _text().map(lambda text: b"ticket=" + quote(text).encode()),
        st.just(b"[" * 50_000),
    )


@st.composite
def requests(draw: st.DrawFn, known: Known) -> Asked:
    """Give any request at all; its length is told rightly, so that it has an end."""
    target = draw(st.one_of(_signed(known), st.tuples(_path(known), _query(known)).map("".join)))
    method, body = draw(st.one_of(st.sampled_from(METHODS), st.just("GET"))), draw(_bodies())
    if draw(st.integers(0, 3)):  # as it stands in a path the parser refuses most of it
        target = quote(target, safe="/%?&=:;,+~*#{}", errors="surrogatepass")
    lines = [f"{method} {_one_line(target).replace(' ', '%20')} HTTP/1.1", f"Host: {known.host}", "Connection: close"]
    lines += [f"{name}: {_one_line(value)}" for name, value in draw(_headers(known))]
    if draw(st.booleans()):
        lines.append(f"Content-Length: {len(body)}")
    else:
        lines.append("Transfer-Encoding: chunked")
        body = (f"{len(body):x}\r\n".encode() + body + b"\r\n" if body else b"") + b"0\r\n\r\n"
    return Asked(data="\r\n".join(lines).encode("utf-8", "surrogatepass") + b"\r\n\r\n" + body)


def _one_line(text: str) -> str:
    """Give a text without what would end its line: that would be another request, which may have no end."""
    return "".join(char for char in text if char not in "\r\n")


def answered(asked: Asked, place: tuple[str, int]) -> bytes:
    """Send a request on a connection of its own; give all that came back until its end."""
    parts, size = list[bytes](), 0
    with socket.create_connection(place, timeout=PATIENCE_S) as connection:
        # One that is refused before its end has an answer all the same, or ends with a reset.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(asked.data)
        while size < LONGEST_ANSWER_BYTES:
            try:
                part = connection.recv(65_536)
            except ConnectionResetError:
                break
            if not part:
                break
            parts.append(part)
            size += len(part)
    return b"".join(parts)


def status_of(answer: bytes) -> int:
    """Give the status of an answer; 0 where it is none."""
    words = answer[:20].split(b" ")
    return int(words[1]) if len(words) > 1 and words[0] in (b"HTTP/1.1", b"HTTP/1.0") and words[1].isdigit() else 0
