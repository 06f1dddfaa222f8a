"""Which addresses on the network may be fetched for somebody: the SSRF guard.

What this is: an address is read, its host resolved once, every resolved address judged, and the connection pinned to
the one that was judged. What it is not: HTTP (`http`). Above: http, sources. Below: nothing.

An operator's own base address is trusted by its exact host and port. Facts that Python's `is_global` does not know
(measured, RELIABILITY.md 1.4): NAT64, 6to4, multicast and one cloud's metadata address count as global there.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import unicodedata
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import anyio

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the addresses of a host and port, as text."""

_ALSO_DENIED = tuple(
    ipaddress.ip_network(network)
    # Beside the tunnels: only 2000::/3 of IPv6 is given out for the public internet.
    for network in ("2002::/16", "2001::/32", "::/3", "4000::/2", "8000::/1", "168.63.129.16/32")
)
_PORTS = {"https": 443, "http": 80}
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOCAL_NAMES = (".localhost", ".localdomain", ".local", ".internal", ".home.arpa")
"""Names that stand for this machine or its network, whether or not they can be resolved here."""


class Blocked(Exception):
    """The guard refuses an address; the text names the reason, never the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to connect: `url` with the judged address in it, the `host` header, and the TLS name."""

    url: str
    host: str
    sni: str | None


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def is_public(address: str) -> bool:
    """Whether an address is on the public internet.

    >>> is_public("93.184.216.34"), is_public("127.0.0.1"), is_public("::ffff:10.0.0.1")
    (True, False, False)
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    denied = any(ip in network for network in _ALSO_DENIED if network.version == ip.version)
    return ip.is_global and not ip.is_multicast and not denied


class Guard:
    """Judges addresses that somebody else named."""

    def __init__(self, *, trusted: Iterable[str] = (), resolver: Resolve = resolve) -> None:
        """Take base addresses of the operator's own, trusted by exact host and port."""
        self._trusted = frozenset(filter(None, map(_origin, trusted)))
        self._resolve = resolver

    def trusts(self, url: str) -> bool:
        """Whether an address lies at a host and port that the operator named."""
        return _origin(url) in self._trusted

    def check_form(self, url: str) -> None:
        """Judge an address by its text alone, before anything is resolved.

        Raises:
            Blocked: not https, a port but 443, a user name and password in it, or a host that is plainly not public.
        """
        parts = _split(url)
        if parts.username is not None or parts.password is not None:
            raise Blocked("an address with a user name or password in it")
        if self.trusts(url):
            return
        if parts.scheme != "https":
            raise Blocked("only https addresses are fetched")
        if parts.port not in (None, 443):
            raise Blocked("only port 443 is fetched from")
        if _is_plainly_not_public(parts.hostname or ""):
            raise Blocked("the host is not on the public internet")

    async def check(self, url: str, *, by_proxy: bool = False) -> Target:
        """Judge an address and give where to connect.

        Args:
            url: absolute.
            by_proxy: the operator's proxy resolves and connects; then only the text and our own resolving are judged.

        Raises:
            Blocked: it may not be fetched, or its host does not resolve.
        """
        self.check_form(url)
        parts = _split(url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        if self.trusts(url):
            return Target(url=url, host=parts.netloc, sni=None)
        try:
            addresses = await self._resolve(host, port)
        except (OSError, ValueError):  # ValueError: a name that cannot be encoded for the question
            raise Blocked("the host is not known") from None
        if not addresses or not all(map(is_public, addresses)):
            raise Blocked("the host is not on the public internet")
        if by_proxy:
            return Target(url=url, host=parts.netloc, sni=None)
        address = addresses[0]
        literal = f"[{address}]" if ":" in address else address
        pinned = urlunsplit((parts.scheme, f"{literal}:{port}", parts.path or "/", parts.query, ""))
        return Target(url=pinned, host=parts.netloc, sni=host)


def _split(url: str):  # noqa: ANN202  # SplitResult, whose port is judged here
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise Blocked("not an address") from None
    if not parts.hostname or parts.scheme not in _PORTS:
        raise Blocked("not an http address")
    return parts


def _is_plainly_not_public(host: str) -> bool:
    """Whether a host's spelling says so, whatever a resolver makes of it.

    What we can't resolve still goes to a provider, who reads `127.0.0.1.` and `0x7f.1` as some resolvers do.
    """
    name = unicodedata.normalize("NFKC", host).replace("\u3002", ".").lower().rstrip(".")
    if "%" in name:  # an escape, or the zone of a link-local address
        return True
    if ":" in name or _NUMBER.fullmatch(name.rpartition(".")[2]):
        return not is_public(name)
    return f".{name}".endswith(_LOCAL_NAMES)


def _origin(url: str) -> tuple[str, str, int] | None:
    try:
        parts = _split(url)
    except Blocked:
        return None
    return parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme]
