"""Names for jobs and their images: `red-car-4k7q` and `red-car-4k7q/1`.

What this is: making, parsing and finding the nearest. What it is not: the look-up itself, which is always among one
owner's jobs (`stores`). Above: studio, surface. Below: nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
MAX_SLUG_CHARS = 16
TAIL_CHARS = 4
URI_PREFIX = "kontext://images/"

_JOB_ID = re.compile(rf"[a-z0-9]+(?:-[a-z0-9]+)*-[{CROCKFORD}]{{4,}}")
_REF = re.compile(rf"({_JOB_ID.pattern})(?:/([0-9]{{1,2}}))?")
_MOST_CHARS = 200
_ARTICLES = {
    "a",
    "an",
    "the",
    "this",
    "that",
    "it",
    "its",
    "my",
    "me",
    "of",
    "on",
    "in",
    "into",
    "to",
    "and",
    "with",
}
_STOP_WORDS = _ARTICLES | {"change", "image", "make", "photo", "picture", "please", "turn"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """One output of a job; `n` 0 is the source as it was sent, `None` the only output."""

    job_id: str
    n: int | None = None

    def __str__(self) -> str:
        return self.job_id if self.n is None else f"{self.job_id}/{self.n}"

    @property
    def uri(self) -> str:
        """The resource URI of the image's bytes."""
        return f"{URI_PREFIX}{self.job_id}/{1 if self.n is None else self.n}"


def slug(text: str) -> str:
    """Give at most 16 characters of lower-case words; `image` where nothing is left.

    >>> slug("Make the car bright red, please")
    'car-bright-red'
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain)
    telling = [word for word in words if word not in _STOP_WORDS] or words
    kept: list[str] = []
    for word in telling:
        if len("-".join([*kept, word])) > MAX_SLUG_CHARS:
            break
        kept.append(word)
    return "-".join(kept) or (telling[0][:MAX_SLUG_CHARS] if telling else "image")


def new_job_id(text: str, random: Random, *, tail_chars: int = TAIL_CHARS) -> str:
    """Draw an id from a label or prompt; the store redraws on a collision, with a longer tail."""
    tail = "".join(random.choice(CROCKFORD) for _ in range(tail_chars))
    return f"{slug(text)}-{tail}"


def is_job_id(text: str) -> bool:
    """Whether the text has the form of a job id."""
    return _JOB_ID.fullmatch(text) is not None


def parse_ref(text: str) -> Ref | None:
    """Read `red-car-4k7q/1`, `red-car-4k7q` or its resource URI; `None` for anything else."""
    bare = text.strip().strip("`'\"").strip()
    if bare.lower().startswith(URI_PREFIX):
        bare = bare[len(URI_PREFIX) :]
    found = _REF.fullmatch(bare.lower())
    if found is None:
        return None
    return Ref(job_id=found[1], n=None if found[2] is None else int(found[2]))


def nearest(text: str, candidates: Iterable[str], *, count: int = 3) -> list[str]:
    """Give the candidates most like the text, best first: a wrong name is told the right ones, however far.

    Of a long text only the beginning is looked at: a megabyte would take seconds and a hundred times its memory.
    """
    from difflib import get_close_matches

    return get_close_matches(text[:_MOST_CHARS].strip().lower(), list(candidates), n=count, cutoff=0.0)
