from __future__ import annotations

import math
from dataclasses import replace

import pytest

from kontext_server.simulator.files import Shelf, new_file


def test_a_file_that_expires_is_signed_and_a_public_one_is_not() -> None:
    signed = new_file("w", b"x", "image/png", 12.5)
    assert signed.url("http://h") == f"http://h/_files/{signed.name}?Expires=13&Signature={signed.signature}"
    assert new_file("w", b"x", "image/png").url("http://h").endswith(".png")
    assert new_file("w", b"x", "image/png").expires_at == math.inf


@pytest.mark.parametrize(
    ("media_type", "ending"), [("image/jpeg", ".jpg"), ("image/webp", ".webp"), ("text/plain", ".png")]
)
def test_a_name_holds_128_random_bits_and_ends_as_its_kind(media_type: str, ending: str) -> None:
    name = new_file("w", b"", media_type).name
    assert name.endswith(ending)
    assert len(bytes.fromhex(name.removesuffix(ending))) == 16


def test_the_oldest_files_make_room_by_number_and_by_size() -> None:
    shelf = Shelf(most_files=2, most_bytes=10)
    small = [shelf.add(new_file("w", b"1", "image/png")) for _ in range(3)]
    assert [shelf.get(file.name) for file in small] == [None, small[1], small[2]]
    big = shelf.add(new_file("w", b"1" * 99, "image/png"))
    assert (shelf.get(small[2].name), shelf.get(big.name)) == (None, big)


def test_a_file_of_the_same_name_takes_the_place() -> None:
    shelf = Shelf(most_files=9, most_bytes=10)
    first = shelf.add(new_file("w", b"1" * 8, "image/png"))
    shelf.add(replace(first, content=b"2" * 8))
    kept = shelf.add(new_file("w", b"3", "image/png"))
    found = shelf.get(first.name)
    assert found is not None
    assert found.read() == b"2" * 8
    assert shelf.get(kept.name) is kept
