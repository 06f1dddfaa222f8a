"""Signed addresses: what they prove, and for how long."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from kontext_server.web.addresses import LIVES_S, STEP_S, Addresses
from kontext_tools.references import Ref
from support.fake_clock import FakeClock

BASE = "http://127.0.0.1:8765"
REF = Ref(job_id="red-car-4k7q", n=1)


def _told(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def test_an_address_tells_its_owner_until_it_expires() -> None:
    clock = FakeClock()
    addresses = Addresses(BASE, bytes(32), clock)
    address = addresses.address("ann", REF)
    assert address.startswith(f"{BASE}/images/red-car-4k7q/1?owner=ann&until=")
    assert addresses.owner("red-car-4k7q", "1", _told(address)) == "ann"
    assert LIVES_S < addresses.left_s(_told(address)) <= LIVES_S + STEP_S
    clock.advance(LIVES_S)
    assert addresses.owner("red-car-4k7q", "1", _told(address)) == "ann"
    clock.advance(STEP_S)
    assert addresses.owner("red-car-4k7q", "1", _told(address)) is None


def test_within_an_hour_a_picture_has_one_address_and_afterwards_a_newer_one() -> None:
    clock = FakeClock()
    addresses = Addresses(BASE, bytes(32), clock)
    first = addresses.address("ann", REF)
    clock.advance(STEP_S - 1)
    assert addresses.address("ann", REF) == first
    clock.advance(1)
    assert addresses.address("ann", REF) != first


@pytest.mark.parametrize("part", ["job", "n", "owner", "until", "proof"])
def test_no_part_can_be_changed(part: str) -> None:
    addresses = Addresses(BASE, bytes(32), FakeClock())
    told = {"job": "red-car-4k7q", "n": "1"} | _told(addresses.address("ann", REF))
    changed = told | {part: told[part] + "1"}
    assert addresses.owner(told["job"], told["n"], told) == "ann"
    assert addresses.owner(changed["job"], changed["n"], changed) is None


def test_no_part_flows_into_the_next() -> None:
    addresses = Addresses(BASE, bytes(32), FakeClock())
    told = _told(addresses.address('ann", "1', REF))
    assert addresses.owner("red-car-4k7q", "1", told) == 'ann", "1'
    assert addresses.owner("red-car-4k7q", '1", "ann', told | {"owner": "1"}) is None


@pytest.mark.parametrize(
    "told", [{}, {"owner": "ann"}, {"owner": "ann", "until": "never", "proof": "é"}, {"proof": "\udcff"}]
)
def test_what_is_none_of_ours_is_no_address(told: dict[str, str]) -> None:
    assert Addresses(BASE, bytes(32), FakeClock()).owner("red-car-4k7q", "1", told) is None


def test_another_key_proves_nothing() -> None:
    told = _told(Addresses(BASE, bytes(32), FakeClock()).address("ann", REF))
    assert Addresses(BASE, b"1" * 32, FakeClock()).owner("red-car-4k7q", "1", told) is None
