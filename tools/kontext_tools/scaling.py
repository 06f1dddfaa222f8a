"""Makes a picture fit a host's stated limits: the one lossy step that is done unasked, and is told.

Above: originals. Below: images, pixels (loaded on first use).
"""

from __future__ import annotations

from kontext_tools.images import ImageFacts, read_facts

SMALLEST_PX = 64


def scaled(data: bytes, *, longest_px: int | None, most_bytes: int | None) -> tuple[bytes, ImageFacts]:
    """Make a picture smaller in steps, in its own format, until it fits. Synchronous: call it in a worker thread.

    Args:
        data: a cleaned picture.
        longest_px: its longest side at most, or `None`.
        most_bytes: its size at most, or `None`.
    """
    from kontext_tools import pixels

    facts = read_facts(data)
    longest = max(facts.width, facts.height)
    longest = min(longest, longest_px or longest)
    while True:
        smaller = pixels.resized(data, facts.media_type, longest)
        if most_bytes is None or len(smaller) <= most_bytes or longest <= SMALLEST_PX:
            return smaller, read_facts(smaller)
        longest = longest * 4 // 5
