"""What may be fetched for somebody, and what may not in whatever spelling."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from kontext_tools.guard import Blocked, Guard, Resolve, Target, is_public, resolve

pytestmark = pytest.mark.anyio

PUBLIC4, PUBLIC6 = "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"

DENIED = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::",
    "::1",
    "::127.0.0.1",
    "::10.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:168.63.129.16",
    "::ffff:0:127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::5db8:d822",
    "64:ff9b:1::a9fe:a9fe",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:5db8:d822::",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
ALLOWED = [PUBLIC4, "1.1.1.1", "100.63.255.255", "100.128.0.0", "168.63.129.17", "::ffff:1.1.1.1", PUBLIC6]


def answering(*addresses: str, asked: list[tuple[str, int]] | None = None) -> Resolve:
    async def answer(host: str, port: int) -> Sequence[str]:
        if asked is not None:
            asked.append((host, port))
        return addresses

    return answer


async def unknown(host: str, port: int) -> Sequence[str]:
    raise OSError


async def reason(url: str, guard: Guard) -> str:
    with pytest.raises(Blocked) as caught:
        await guard.check(url)
    return str(caught.value)


@pytest.mark.parametrize("address", DENIED)
def test_an_address_that_is_not_public_is_denied(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ALLOWED)
def test_a_public_address_is_allowed(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("text", ["", "example.com", "0x7f000001", "127.1", "1.2.3.4.5", "[::1]", "93.184.216.34/32"])
def test_what_is_no_address_is_denied(text: str) -> None:
    assert not is_public(text)


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_the_same_when_it_is_written_as_mapped_ipv6(ip: ipaddress.IPv4Address) -> None:
    assert is_public(f"::ffff:{ip}") == is_public(str(ip))


@given(st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=4, network="169.254.0.0/16"))
def test_a_private_address_is_denied_in_every_envelope(ip: ipaddress.IPv4Address) -> None:
    high, low = int(ip) >> 16, int(ip) & 0xFFFF
    for text in (f"{ip}", f"::ffff:{ip}", f"::{ip}", f"64:ff9b::{ip}", f"2002:{high:x}:{low:x}::1"):
        assert not is_public(text), text


async def test_the_connection_is_pinned_to_the_address_that_was_judged() -> None:
    asked: list[tuple[str, int]] = []
    guard = Guard(resolver=answering(PUBLIC4, PUBLIC6, asked=asked))
    assert await guard.check("https://Example.com/a/b.png?sig=1#part") == snapshot(
        Target(url="https://93.184.216.34:443/a/b.png?sig=1", host="Example.com", sni="example.com")
    )
    assert asked == [("example.com", 443)]


async def test_a_pinned_ipv6_address_stands_in_brackets() -> None:
    guard = Guard(resolver=answering(PUBLIC6))
    assert await guard.check("https://example.com:443") == snapshot(
        Target(
            url="https://[2606:2800:220:1:248:1893:25c8:1946]:443/",
            host="example.com:443",
            sni="example.com",
        )
    )


@pytest.mark.parametrize("private", ["10.0.0.1", "::1", "169.254.169.254"])
async def test_a_name_with_one_private_address_among_public_ones_is_refused(private: str) -> None:
    for addresses in ((PUBLIC4, private), (private, PUBLIC4)):
        told = await reason("https://example.com/", Guard(resolver=answering(*addresses)))
        assert told == "the host is not on the public internet"


async def test_a_name_without_addresses_and_one_that_nobody_knows_are_refused() -> None:
    assert await reason("https://example.com/", Guard(resolver=answering())) == "the host is not on the public internet"
    assert await reason("https://example.com/", Guard(resolver=unknown)) == "the host is not known"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:7f00:1]",
        "localhost",
        "LOCALHOST",
    ],
)
async def test_loopback_is_refused_in_every_spelling_that_the_system_reads(host: str) -> None:
    assert await reason(f"https://{host}/", Guard()) == "the host is not on the public internet"


@pytest.mark.parametrize("host", ["①②⑦.⓪.⓪.①", "\uff11\uff12\uff17.0.0.1", "127。0。0。1"])
async def test_loopback_in_other_digits_is_refused(host: str) -> None:
    await reason(f"https://{host}/", Guard())


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1.",
        "0x7f.1",
        "2130706433.",
        "localhost.",
        "a.localhost",
        "nas.local",
        "metadata.google.internal",
        "127.0.0.1%2e",
        "[::1%25lo]",
        "[::ffff:10.0.0.1]",
        "\uff11\uff12\uff17.1",
    ],
)
def test_a_host_that_is_plainly_not_public_is_refused_though_nobody_here_resolves_it(host: str) -> None:
    with pytest.raises(Blocked):
        Guard(resolver=unknown).check_form(f"https://{host}/a.png")


@pytest.mark.parametrize("host", ["93.184.216.34", "93.184.216.34.", f"[{PUBLIC6}]", "local.example", "1e100.example"])
def test_a_host_that_may_be_public_passes_by_its_text(host: str) -> None:
    Guard(resolver=unknown).check_form(f"https://{host}/a.png")


@pytest.mark.parametrize(
    "host", ["a..b", "-", "a" * 70 + ".example", "xn--a", "☃..example", "a\x00b", "%00", "_", "\udcff"]
)
async def test_a_name_that_cannot_be_asked_for_is_refused_and_breaks_nothing(host: str) -> None:
    async def as_the_system(name: str, port: int) -> Sequence[str]:
        # Without a network: what the encoding of the name refuses comes before the question.
        name.encode("idna")
        raise OSError

    await reason(f"https://{host}/a.png", Guard(resolver=as_the_system))


async def test_the_systems_resolver_gives_addresses_as_text() -> None:
    assert list(await resolve("127.0.0.1", 443)) == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://user:secret@example.com/", "an address with a user name or password in it"),
        ("https://user@example.com/", "an address with a user name or password in it"),
        ("https://:@example.com/", "an address with a user name or password in it"),
        ("http://example.com/", "only https addresses are fetched"),
        ("https://example.com:8443/", "only port 443 is fetched from"),
        ("https://example.com:80/", "only port 443 is fetched from"),
        ("https://example.com:99999/", "not an address"),
        ("https://[::1/", "not an address"),
        ("https://", "not an http address"),
        ("https:///a.png", "not an http address"),
        ("ftp://example.com/", "not an http address"),
        ("file:///etc/passwd", "not an http address"),
        ("//example.com/a.png", "not an http address"),
        ("", "not an http address"),
    ],
)
async def test_an_address_is_refused_by_its_text_before_anything_is_resolved(url: str, told: str) -> None:
    asked: list[tuple[str, int]] = []
    guard = Guard(resolver=answering(PUBLIC4, asked=asked))
    assert await reason(url, guard) == told
    with pytest.raises(Blocked):
        guard.check_form(url)
    assert asked == []


async def test_the_operators_own_base_is_trusted_by_its_exact_scheme_host_and_port() -> None:
    guard = Guard(trusted=["http://127.0.0.1:9876/core.today/v1"], resolver=answering("127.0.0.1"))
    url = "http://127.0.0.1:9876/files/a.png?x=1"
    assert await guard.check(url) == Target(url=url, host="127.0.0.1:9876", sni=None)
    for other in ("http://127.0.0.1:9877/", "https://127.0.0.1:9876/", "http://localhost:9876/", "http://127.0.0.1/"):
        assert not guard.trusts(other)
        await reason(other, guard)


async def test_a_trusted_base_on_its_usual_port_is_the_same_with_and_without_the_port() -> None:
    guard = Guard(trusted=["https://api.example"], resolver=unknown)
    assert guard.trusts("https://API.example:443/a") and guard.trusts("https://api.example/b")
    assert not guard.trusts("https://api.example.evil.test/") and not guard.trusts("https://api.example:444/")


async def test_a_user_name_is_refused_even_at_a_trusted_base() -> None:
    guard = Guard(trusted=["https://api.example"], resolver=unknown)
    assert "user name" in await reason("https://me:pw@api.example/", guard)


async def test_a_base_that_is_no_address_trusts_nothing() -> None:
    guard = Guard(trusted=["", "not an address", "https://[::1"])
    assert not guard.trusts("") and not guard.trusts("not an address")


async def test_behind_the_operators_proxy_the_name_goes_out_as_it_stands_once_it_was_judged() -> None:
    guard = Guard(resolver=answering(PUBLIC4))
    url = "https://example.com/a.png"
    assert await guard.check(url, by_proxy=True) == Target(url=url, host="example.com", sni=None)
    with pytest.raises(Blocked):
        await Guard(resolver=answering("10.0.0.1")).check(url, by_proxy=True)


@given(st.text(max_size=60) | st.text(max_size=40).map(lambda text: f"https://{text}"))
def test_any_text_is_judged_or_refused_and_the_reason_never_repeats_it(text: str) -> None:
    told = ""
    try:
        Guard().check_form(text)
    except Blocked as blocked:
        told = str(blocked)
    assert len(text) < 20 or text not in told
