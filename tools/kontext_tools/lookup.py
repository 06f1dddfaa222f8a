"""A job by the id that somebody wrote, or the nearest ones in a refusal.

What this is: the look-up of one of an owner's jobs by name. What it is not: that of an image (`inputs`). Above: studio,
forgetting. Below: stores.base, references.
"""

from __future__ import annotations

from kontext_tools.errors import NotFound
from kontext_tools.jobs import Job
from kontext_tools.references import nearest, parse_ref
from kontext_tools.stores.base import Store


async def find_job(store: Store, owner: str, text: str, *, field: str = "job_id") -> Job:
    """Give one of the owner's jobs by its id or the reference of one of its images.

    Args:
        store: where it is.
        owner: whose.
        text: as it was written.
        field: the argument that names it, for a refusal.

    Raises:
        NotFound: no such job of this owner.
    """
    ref = parse_ref(text)
    job = None if ref is None else await store.job(owner, ref.job_id)
    if job is not None:
        return job
    near = nearest(text, await store.recent_ids(owner))
    fix = f"Call again with {field} one of: {', '.join(near)}." if near else "Make a job first: it answers with its id."
    raise NotFound("No job has that id.", fix=fix, field=field)
