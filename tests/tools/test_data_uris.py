"""`data:` URIs, bounded before they are decoded."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kontext_tools.data_uris import decoded, encoded


def uri(data: bytes, head: str = "image/png") -> str:
    return f"data:{head};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize("head", ["image/png", "", "IMAGE/PNG", "image/svg+xml;charset=utf-8"])
def test_a_base64_uri_gives_its_bytes(head: str) -> None:
    assert decoded(uri(b"picture", head), max_bytes=100) == b"picture"
    assert decoded(uri(b"picture", head).replace("data:", "DATA:").replace("base64", "BASE64"), max_bytes=100)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "data:",
        "data:image/png;base64",
        "data:image/png;base64,",
        "data:image/png,abc",
        "data:image/png;base64,@@@@",
        "data:image/png;base64,abc",
        "data:image/png;base64,ab\ncd",
        "data:image/png;base64,ab-_",
        "data:image/png;base64,é===",
        "xdata:image/png;base64,AAAA",
        f"data:{'x' * 101};base64,AAAA",
        f"data:a{';b=c' * 4};base64,AAAA",
    ],
)
def test_what_is_no_base64_uri_is_none(text: str) -> None:
    assert decoded(text, max_bytes=100) is None


@given(st.binary(min_size=1, max_size=40), st.integers(0, 40))
def test_the_limit_is_exact_to_the_byte(data: bytes, limit: int) -> None:
    if len(data) <= limit:
        assert decoded(uri(data), max_bytes=limit) == data
    else:
        with pytest.raises(OverflowError):
            decoded(uri(data), max_bytes=limit)


@given(st.binary(min_size=1, max_size=40))
def test_bytes_that_are_written_as_one_come_back_whole(data: bytes) -> None:
    assert encoded(data, "image/png") == uri(data)
    assert decoded(encoded(data, "image/png"), max_bytes=len(data)) == data


@given(st.text(max_size=60))
def test_any_text_is_bytes_or_none_or_too_large(text: str) -> None:
    try:
        data = decoded(f"data:{text}", max_bytes=20)
    except OverflowError:
        return
    assert data is None or 0 < len(data) <= 20
