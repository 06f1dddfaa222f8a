"""Another party's text, quoted: it can neither hide, reorder nor break a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kontext_tools.quoting import quoted


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("bad\nthing", '"bad thing"'),
        ("  a \t b  ", '"a b"'),
        ('say "no"', "\"say 'no'\""),
        ("", '""'),
        ("\x1b[31mred\x07", '"[31mred"'),
        ("a\u202eb\u200bc\ufeffd", '"a b c d"'),
        ("a\x9bb\x85c", '"a b c"'),
        ("hidden \U000e0068\U000e0069 tags", '"hidden tags"'),
        ("half \ud83d a pair", '"half a pair"'),
        ("café 붉은 차 🚗", '"café 붉은 차 🚗"'),
    ],
    ids=ascii,
)
def test_another_partys_text_is_quoted_without_what_hides_or_reorders(text: str, told: str) -> None:
    assert quoted(text) == told


def test_a_long_text_is_cut() -> None:
    assert quoted("x" * 500) == f'"{"x" * 500}"'
    assert quoted("x" * 501) == f'"{"x" * 499}…"'
    assert quoted("abcdef", limit_chars=3) == '"ab…"'


NASTY = st.characters(categories=["Cc", "Cf", "Zl", "Zp", "Cs"]) | st.sampled_from("ab \"'\n")


@given(st.text(max_size=700) | st.text(NASTY, max_size=700))
def test_a_quote_is_one_short_line_whatever_is_quoted(text: str) -> None:
    told = quoted(text)
    assert len(told) <= 502
    inside = told[1:-1]
    assert '"' not in inside and len(told.splitlines()) == 1
    assert not any(
        char < " "
        or "\x7f" <= char <= "\x9f"
        or "\u200b" <= char <= "\u200f"
        or "\u2028" <= char <= "\u202e"
        or "\u2060" <= char <= "\u206f"
        or "\ud800" <= char <= "\udfff"
        or "\U000e0000" <= char <= "\U000e007f"
        or char == "\ufeff"
        for char in inside
    )
    told.encode()
