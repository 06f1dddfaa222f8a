"""What must stay the same, composed into the prompt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kontext_tools.prompting import compose


@pytest.mark.parametrize(
    ("prompt", "keep", "sent"),
    [
        ("Make it red", "", "Make it red"),
        ("  Make it red ", "  ", "Make it red"),
        ("Make it red", ".", "Make it red"),
        ("Make it red", "the pose", "Make it red. Keep the pose exactly the same."),
        ("Make it red.", "the pose.", "Make it red. Keep the pose exactly the same."),
        ("Red?", "Keep the pose", "Red? Keep the pose exactly the same."),
        ("Red!", "KEEP the pose", "Red! Keep the pose exactly the same."),
        ("Red…", "keepsakes", "Red… Keep keepsakes exactly the same."),
    ],
)
def test_what_is_kept_is_said_in_a_sentence_of_its_own(prompt: str, keep: str, sent: str) -> None:
    assert compose(prompt, keep) == sent


@given(st.text(max_size=30), st.text(max_size=30))
def test_nothing_that_was_asked_is_lost(prompt: str, keep: str) -> None:
    sent = compose(prompt, keep)
    assert sent.startswith(prompt.strip())
    assert keep.strip().rstrip(".") == "" or sent.endswith(" exactly the same.")
