"""The names of what is kept: results, their facts, sources, thumbnails.

What this is: one home for the layout of the data folder, so that what is kept can be found again to be removed. What it
is not: the bytes (`base`). Above: archive, provenance, shelf, stores.forgets. Below: nothing.
"""

from __future__ import annotations

import re

IMAGES = "images/"
KEPT = ("images", "sources")
"""The folders of what cannot be made again."""
NOTHING = "nothing"
"""A key that never holds anything, to ask a place whether it answers."""
THUMB_PX = 256
"""The longest side of a thumbnail."""

_SOURCE = re.compile(r"sources/([0-9a-f]{64})\.[a-z0-9]+")
_IMAGE_OF = re.compile(rf"{IMAGES}([a-z0-9-]+)-[0-9]+\.[a-z0-9]+")


def image(job_id: str, n: int, extension: str) -> str:
    """Give the key of a job's image, as delivered."""
    return f"{IMAGES}{job_id}-{n}.{extension}"


def facts(job_id: str, n: int) -> str:
    """Give the key of the facts of a job's image: beside the picture, with its name."""
    return f"{IMAGES}{job_id}-{n}.json"


def source(sha256: str, extension: str) -> str:
    """Give the key of a source, which all jobs that start from the same bytes share."""
    return f"sources/{sha256}.{extension}"


def thumb(sha256: str) -> str:
    """Give the key of the thumbnail of any picture with these bytes."""
    return f"thumbs/{sha256}-{THUMB_PX}.webp"


def sources_in(text: str) -> dict[str, str]:
    """Give the keys of sources that a row's text names, each with its sha-256.

    >>> list(sources_in('{"blob": "sources/%s.png"}' % ("ab" * 32)).values()) == ["ab" * 32]
    True
    """
    return {found[0]: found[1] for found in _SOURCE.finditer(text)}


def jobs_of_images_in(text: str) -> set[str]:
    """Give the jobs whose kept images a row's text names.

    >>> jobs_of_images_in('{"blob": "images/red-car-4k7q-1.png"}')
    {'red-car-4k7q'}
    """
    return {found[1] for found in _IMAGE_OF.finditer(text)}
