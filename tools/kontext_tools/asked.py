"""By what a call is recognised as the one that a job was made of, by somebody who knows only the call's arguments.

What this is: a digest of a job's words and of its images as they were given. What it is not: what makes two calls
identical (`drafting`), or a proof: 32 bits tell a person's few running jobs apart, and no more. Above: the surface.
Below: jobs, data_uris.

The studio computes the same in a frame that has no `crypto.subtle` (`server/studio`): FNV-1a over UTF-8, by
http://www.isthe.com/chongo/tech/comp/fnv/ and draft-eastlake-fnv.
"""

from __future__ import annotations

from kontext_tools.data_uris import is_data_uri
from kontext_tools.edits import Edit
from kontext_tools.jobs import Job

_OFFSET, _PRIME, _BITS = 0x811C9DC5, 0x01000193, 0xFFFFFFFF
_BETWEEN, _WITHIN = "\x00", "\x01"


def asked(job: Job) -> str | None:
    """Give the digest of what a job's call asked for, so that nobody is told the images themselves.

    Of an edit or a generation it is that of `prompt NUL image`, of a plan that of its steps in the caller's order, each
    `id SOH prompt SOH image`, with NUL between them; an image that was not given is empty.

    Returns:
        8 hex digits; `None` where no call asked for it (a plan's step), or where it was given a data URI, of which the
        row keeps only the beginning.
    """
    if job.part is not None:
        return None
    if job.plan is None:
        return None if _was_cut(job.edit) else fnv1a(_BETWEEN.join((job.edit.prompt, job.edit.image or "")))
    if any(_was_cut(step.edit) for step in job.plan.steps):
        return None
    steps = ((step.id, step.edit.prompt, step.edit.image or "") for step in job.plan.steps)
    return fnv1a(_BETWEEN.join(map(_WITHIN.join, steps)))


def fnv1a(text: str) -> str:
    """Give the 32-bit FNV-1a of a text's UTF-8 as 8 hex digits.

    >>> fnv1a(""), fnv1a("café")
    ('811c9dc5', 'a82b5049')
    """
    found = _OFFSET
    for byte in text.encode():
        found = (found ^ byte) * _PRIME & _BITS
    return f"{found:08x}"


def _was_cut(edit: Edit) -> bool:
    return edit.image is not None and is_data_uri(edit.image)
