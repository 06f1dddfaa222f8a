"""The only place that makes an HTTP client: limits, fresh connections, the guarded resolver.

What this is: three ways out. `call` speaks to a provider's own base address with its key; `create` is the same on
a fresh connection, so that a stale one is never mistaken for a lost reply; `download` fetches an address that
somebody else named, without credentials, through the guard. No redirect is ever followed with a key. What it is not:
the meaning of a status code (`providers.wire`). Above: wire, sources, engine. Below: `guard`, errors.
"""

from __future__ import annotations

import functools
import json as jsonlib
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import anyio
import httpx2

from kontext_tools.guard import Blocked, Guard, Target
from kontext_tools.meters import UNMETERED, Meter
from kontext_tools.redaction import Redactor

CONNECT_S = 10.0
READ_S = 30.0
DOWNLOAD_TOTAL_S = 120.0
MAX_REPLY_BYTES = 90_000_000
"""A reply may carry a picture of 64 MB as a data URI."""
MAX_REDIRECTS = 3
CHUNK_BYTES = 65_536

__all__ = [
    "Blocked",
    "Guard",
    "Http",
    "Lost",
    "NotSent",
    "Part",
    "Redactor",
    "Refetched",
    "Reply",
    "TooLarge",
]


class NotSent(Exception):
    """Resolve, connect, TLS or pool failure: not a byte of the request went out."""


class Lost(Exception):
    """Anything that went wrong after the first byte could have gone out."""


class TooLarge(Exception):
    """A body over its limit; the rest was not read."""


class Refetched(Exception):
    """A download that the server answered with a status instead of the file."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, read to its end within its limit. Header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """Give the body as JSON, or `None` where it is none."""
        try:
            return jsonlib.loads(self.body)
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a multipart body; a `filename` makes it a file."""

    name: str
    data: bytes | str = field(repr=False)
    filename: str | None = None
    media_type: str | None = None


class Http:
    """The way out, made once per process and closed with it."""

    def __init__(
        self,
        *,
        guard: Guard | None = None,
        proxy: str | None = None,
        redact: Redactor | None = None,
        meter: Meter = UNMETERED,
    ) -> None:
        self.guard = guard or Guard()
        self.meter = meter
        self.redact = redact or Redactor(())
        self._proxy = proxy
        self._kept: dict[bool, httpx2.AsyncClient] = {}

    async def aclose(self) -> None:
        """Close what is open."""
        while self._kept:
            await self._kept.popitem()[1].aclose()

    async def call(
        self,
        method: str,
        url: str | Target,
        *,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        parts: Sequence[Part] = (),
        content: bytes | None = None,
        fresh: bool = False,
        read_s: float = READ_S,
        total_s: float | None = None,
        max_bytes: int = MAX_REPLY_BYTES,
    ) -> Reply:
        """Send one request to an address that we built ourselves; redirects come back as they are.

        Args:
            method: GET, POST ...
            url: absolute, or where the guard says to connect.
            headers: credentials among them.
            json: a body, or
            parts: a multipart body, or
            content: raw bytes.
            fresh: whether to use a connection of its own.
            read_s: seconds of silence that are borne.
            total_s: seconds for the whole exchange; twice `read_s` by default.
            max_bytes: of the decoded reply.

        Raises:
            NotSent: it is proven that nothing went out.
            Lost: something may have.
        """
        form: dict[str, Any] = {"json": json} if json is not None else {}
        if parts:
            form = {"files": [_multipart(part) for part in parts]}
        if content is not None:
            form = {"content": content}
        timeout = httpx2.Timeout(connect=CONNECT_S, read=read_s, write=READ_S, pool=CONNECT_S)
        named = dict(headers or {})
        if isinstance(url, Target):
            form, url, named = form | {"extensions": _extensions(url)}, url.url, named | {"host": url.host}
        try:
            with anyio.fail_after(total_s if total_s is not None else CONNECT_S + 2 * read_s):
                async with self._client(url, fresh=fresh) as client:
                    request = client.build_request(method, url, headers=named, timeout=timeout, **form)
                    response = await client.send(request, stream=True)
                    try:
                        body = await _bounded(response, max_bytes)
                    finally:
                        await response.aclose()
        except (
            httpx2.ConnectError,
            httpx2.ConnectTimeout,
            httpx2.PoolTimeout,
            httpx2.UnsupportedProtocol,
        ) as error:
            raise NotSent(type(error).__name__) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, TooLarge, TimeoutError) as error:
            raise Lost(type(error).__name__) from error
        return Reply(status=response.status_code, headers=_lowered(response.headers), body=body)

    async def download(self, url: str, path: Path, *, max_bytes: int, total_s: float = DOWNLOAD_TOTAL_S) -> None:
        """Fetch an address that somebody else named into a file: no credentials, each hop checked, bounded.

        Raises:
            Blocked: the guard refuses the address, or a hop of it.
            Refetched: the server answered with a status.
            TooLarge: over `max_bytes`.
            Lost: the connection failed, or `total_s` ran out.
            OSError: the file could not be written.
        """
        try:
            with anyio.fail_after(total_s):
                for _ in range(MAX_REDIRECTS + 1):
                    following = await self._fetch(url, path, max_bytes)
                    if following is None:
                        return
                    url = urljoin(url, following)
            raise Lost("too many redirects")
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, TimeoutError) as error:
            raise Lost(type(error).__name__) from error

    async def is_alive(self, url: str) -> bool:
        """Whether one GET, through the guard and without credentials, answers 200; the body is not read."""
        try:
            with anyio.fail_after(CONNECT_S + READ_S):
                target = await self.guard.check(url, by_proxy=self._proxy is not None)
                async with self._client(target.url, fresh=True) as client:
                    request = client.build_request(
                        "GET", target.url, headers={"host": target.host}, extensions=_extensions(target)
                    )
                    response = await client.send(request, stream=True)
                    await response.aclose()
        except (Blocked, httpx2.HTTPError, httpx2.InvalidURL, TimeoutError):
            return False
        return response.status_code == 200

    async def _fetch(self, url: str, path: Path, max_bytes: int) -> str | None:
        target = await self.guard.check(url, by_proxy=self._proxy is not None)
        async with self._client(target.url, fresh=True) as client:
            request = client.build_request(
                "GET",
                target.url,
                headers={"host": target.host, "accept-encoding": "identity", "accept": "image/*,*/*;q=0.5"},
                timeout=httpx2.Timeout(connect=CONNECT_S, read=READ_S, write=READ_S, pool=CONNECT_S),
                extensions=_extensions(target),
            )
            response = await client.send(request, stream=True)
            try:
                if response.is_redirect:
                    return response.headers.get("location", "")
                if response.status_code != 200:
                    raise Refetched(response.status_code)
                await _save(response, path, max_bytes)
            finally:
                await response.aclose()
        return None

    @asynccontextmanager
    async def _client(self, url: str, *, fresh: bool) -> AsyncGenerator[httpx2.AsyncClient]:
        plain = url[:5].lower() == "http:"
        if not fresh:
            if plain not in self._kept:
                self._kept[plain] = self._make(plain=plain, keep=True)
            yield self._kept[plain]
            return
        async with self._make(plain=plain, keep=False) as client:
            yield client

    def _make(self, *, plain: bool, keep: bool) -> httpx2.AsyncClient:
        limits = httpx2.Limits(max_connections=200, max_keepalive_connections=20 if keep else 0)
        return httpx2.AsyncClient(
            verify=trusted(plain=plain), trust_env=False, follow_redirects=False, limits=limits, proxy=self._proxy
        )


@functools.cache
def trusted(*, plain: bool) -> ssl.SSLContext:
    """Give whom we believe over TLS: read once per process (about 40 ms), and not where none is spoken.

    The context of a plain client trusts nobody: were it ever asked to speak TLS, it would refuse.
    """
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else httpx2.create_ssl_context(trust_env=False)


def _multipart(part: Part) -> tuple[str, tuple[str | None, bytes | str, str | None]]:
    return (part.name, (part.filename, part.data, part.media_type))


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _extensions(target: Target) -> dict[str, Any]:
    return {} if target.sni is None else {"sni_hostname": target.sni}


async def _bounded(response: httpx2.Response, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_bytes(CHUNK_BYTES):
        size += len(chunk)
        if size > max_bytes:
            raise TooLarge
        chunks.append(chunk)
    return b"".join(chunks)


async def _save(response: httpx2.Response, path: Path, max_bytes: int) -> None:
    size = 0
    async with await anyio.open_file(path, "wb") as file:
        async for chunk in response.aiter_bytes(CHUNK_BYTES):
            size += len(chunk)
            if size > max_bytes:
                raise TooLarge
            await file.write(chunk)
    declared = response.headers.get("content-length", "")
    if declared.isdigit() and int(declared) != size and "content-encoding" not in response.headers:
        raise Lost("the body ended early")
