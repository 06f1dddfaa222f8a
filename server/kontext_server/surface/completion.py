"""Completion: a person who fills in a template or a prompt is offered their own jobs and pictures, newest first.

What this is: `completion/complete`. What it is not: the search (`find_images`). Above: server. Below: studio, prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mcp_types as types

from kontext_server.app import App
from kontext_tools.finding import Search

MOST = 100
"""The protocol's own limit of one answer."""
AMONG = 1000
"""The newest so many are looked through; what is older is found by its words, with find_images."""

JOB = "job"
IMAGES = frozenset({"image", "ref"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A value that may be meant, and the label that a person may know it by."""

    value: str
    label: str = ""


async def complete(app: App, owner: str, params: types.CompleteRequestParams) -> types.CompleteResult:
    """Give the values that begin with what was typed, then those that hold it; none for an argument of free text."""
    templates = isinstance(params.ref, types.ResourceTemplateReference)
    name = params.argument.name
    if templates and name == JOB:
        candidates = await _jobs(app, owner)
    elif not templates and name in IMAGES:
        candidates = await _images(app, owner)
    else:
        return types.CompleteResult(completion=types.Completion(values=[], total=0, has_more=False))
    return types.CompleteResult(completion=matching(candidates, params.argument.value))


def matching(candidates: Sequence[Candidate], typed: str) -> types.Completion:
    """Give the candidates that what was typed may mean; the total only where all there are were looked through."""
    word = typed.strip().lower()
    begin = [one for one in candidates if one.value.startswith(word)]
    hold = [one for one in candidates if word in one.value or word in one.label.lower()]
    values = list(dict.fromkeys(one.value for one in (*begin, *hold)))
    whole = len(candidates) < AMONG
    return types.Completion(
        values=values[:MOST], total=len(values) if whole else None, has_more=len(values) > MOST or not whole
    )


async def _images(app: App, owner: str) -> list[Candidate]:
    finds = await app.studio.find_images(owner, Search(), limit=AMONG)
    return [Candidate(value=str(row.ref), label=row.label) for row in finds.rows]


async def _jobs(app: App, owner: str) -> list[Candidate]:
    # A job without a picture yet has its label in its id as well.
    labels = {row.value.partition("/")[0]: row.label for row in await _images(app, owner)}
    ids = await app.studio.job_ids(owner, limit=AMONG)
    return [Candidate(value=job_id, label=labels.get(job_id, "")) for job_id in ids]
