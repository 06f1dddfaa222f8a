"""What a list of images asks of a store, and what it gets: plain values, the same for every store.

What it is not: the words that a person or a model writes (`finding`), or a query (`sql_finds`). Above: stores,
finding, gallery, surface. Below: jobs, references.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kontext_tools.jobs import Output
from kontext_tools.references import Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow:
    """One kept image with the facts of its job that a list shows.

    Attributes:
        job_id: whose it is.
        output: its number and facts.
        label: of the job.
        prompt: of the job, as given.
        provider: who made it; of a job that was passed on, that may be another than the job names.
        created_at: when it was kept, UTC.
        parent: the image that the job started from, `red-car-4k7q/1`, where that is an earlier result.
    """

    job_id: str
    output: Output
    label: str
    prompt: str
    provider: str
    created_at: datetime
    parent: str | None

    @property
    def ref(self) -> Ref:
        """Its reference."""
        return Ref(job_id=self.job_id, n=self.output.n)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which images; without anything all of them.

    Attributes:
        words: that label, prompt or keep must hold, the last one perhaps its beginning only.
        any_word: whether one of the words is enough.
        since: kept then or later, UTC.
        derived_from: only what was made from this image, over any number of edits; `n` 0 is a job's source.
        provider: only what this one made.
    """

    words: tuple[str, ...] = ()
    any_word: bool = False
    since: datetime | None = None
    derived_from: Ref | None = None
    provider: str | None = None


EVERYTHING = Wanted()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a list, newest first.

    Attributes:
        rows: its images.
        last: the place of the last one in the line of all images, where more follow; the next page lies before it,
            whatever is kept meanwhile.
    """

    rows: tuple[ImageRow, ...] = ()
    last: int | None = None
