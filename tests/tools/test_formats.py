"""Which way up EXIF says a picture stands, over sound and crooked blocks."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kontext_tools.formats import orientation_of, sniff, upright_exif

SHORT, LONG, ASCII = 3, 4, 2


def tiff(order: str, kind: int, value: int, *, count: int = 2, tag: int = 0x0112) -> bytes:
    mark = b"II*\x00" if order == "<" else b"MM\x00*"
    first = struct.pack(f"{order}HHI4s", 0x010F, ASCII, 4, b"abc\x00")
    shape = "HHIHH" if kind == SHORT else "HHII"
    second = struct.pack(order + shape, tag, kind, 1, value, *([0] if kind == SHORT else []))
    return mark + struct.pack(f"{order}IH", 8, count) + first + second + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [SHORT, LONG])
@pytest.mark.parametrize("value", range(1, 9))
def test_the_orientation_is_read_and_set_upright_in_both_byte_orders(order: str, kind: int, value: int) -> None:
    block = tiff(order, kind, value)
    assert orientation_of(block) == value
    assert upright_exif(block) == tiff(order, kind, 1)


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"XX*\x00\x08\x00\x00\x00",
        tiff("<", SHORT, 0),
        tiff("<", SHORT, 9),
        tiff("<", ASCII, 6),
        tiff("<", SHORT, 6, tag=0x0113),
        tiff("<", SHORT, 6)[:30],
        tiff(">", SHORT, 6, count=65_535, tag=0x0113),
        b"II*\x00\xff\xff\xff\xff",
    ],
)
def test_what_says_nothing_sensible_is_upright_and_left_alone(block: bytes) -> None:
    assert orientation_of(block) == 1
    assert upright_exif(block) == block


@given(st.binary(max_size=200))
def test_any_bytes_are_read(block: bytes) -> None:
    for begun in (block, b"II*\x00" + block, b"MM\x00*" + block):
        assert 1 <= orientation_of(begun) <= 8
        assert len(upright_exif(begun)) == len(begun)
    assert sniff(block) is None or len(block) > 2
