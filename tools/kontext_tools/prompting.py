"""Composes what must stay the same into the prompt that is sent.

What it is not: a rewriter. Nothing is added that the caller did not name. Above: studio. Below: nothing.
"""

from __future__ import annotations


def compose(prompt: str, keep: str) -> str:
    """Give the prompt that is sent.

    A clause that says what stays is the model maker's main advice for edits (BFL's prompting guide, read 2026-11).

    >>> compose("Make the car red.", "the background and the light")
    'Make the car red. Keep the background and the light exactly the same.'
    """
    asked, kept = prompt.strip(), keep.strip().rstrip(".")
    if not kept:
        return asked
    lowered = kept.lower()
    if lowered.startswith("keep "):
        kept = kept[5:]
    stop = "" if asked.endswith((".", "!", "?", "…")) else "."
    return f"{asked}{stop} Keep {kept} exactly the same."
