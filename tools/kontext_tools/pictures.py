"""The pictures of a job: what it starts from, and what it made.

What this is: two values with the proof of our kept copy. What it is not: the bytes (`shelf`) or an argument on its way
to being a source (`inputs`). Above: jobs, which gives these names on, plans. Below: images.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kontext_tools.images import ImageFacts


class SourceKind(StrEnum):
    """Where an edit's picture came from."""

    FILE = "file"
    DATA = "data"
    URL = "url"
    RESULT = "result"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The picture that an edit starts from, as it was sent.

    Attributes:
        kind: where it came from.
        facts: of our own cleaned copy; `None` while an https source has not been fetched yet, or could not be.
        blob: key of that copy in Blobs.
        url: the https address as given; secret where it is signed.
        parent: the earlier result, `red-car-4k7q/1`, where it is one.
    """

    kind: SourceKind
    facts: ImageFacts | None = None
    blob: str | None = None
    url: str | None = None
    parent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One kept image of a job, number `n` from 1; `remote_url` is the provider's address, a secret."""

    n: int
    facts: ImageFacts
    blob: str
    seed: int | None = None
    remote_url: str | None = None
