"""Where a picture comes from: the facts that lie beside each kept result, as JSON.

What this is: what was asked, who made it and what came, for whoever finds the file without the database. What it is
not: the row (`stores`), or a mark inside the picture, whose bytes stay as delivered: a signed one would no longer be
valid. Above: archive. Below: jobs, references, budget, changes.

Never in it: an address of a provider, a key, or where the source lay.
"""

from __future__ import annotations

import json
from datetime import datetime

from kontext_tools.budget import Cost
from kontext_tools.changes import Change
from kontext_tools.jobs import Job, Output, Send, Source
from kontext_tools.references import Ref

GENERATED = "trainedAlgorithmicMedia"
EDITED = "compositeWithTrainedAlgorithmicMedia"
"""Words of IPTC's vocabulary `digitalsourcetype` (cv.iptc.org/newscodes/digitalsourcetype, read 2026-11)."""


def facts(
    job: Job, send: Send, output: Output, *, source: Source | None, change: Change | None, kept_at: datetime
) -> bytes:
    """Give the facts of one image, in UTF-8.

    Args:
        job: whose it is.
        send: that made it; its cost is that of all its images.
        output: the image.
        source: what the job started from, as far as it is known by now.
        change: what this image changed of it, where that was measured.
        kept_at: UTC.
    """
    ref = Ref(job_id=job.id, n=output.n)
    told = {
        "ref": str(ref),
        "uri": ref.uri,
        "tool": job.tool,
        **{name: value for name, value in job.edit.parameters().items() if name != "seed"},
        "sent_prompt": job.sent_prompt,
        "label": job.edit.label or None,
        "seed": output.seed,
        "provider": send.provider,
        # Of sends that went to different hosts, the job's model is that of the last.
        "model": job.model if send.provider == job.provider else None,
        "created_at": job.created_at.isoformat(),
        "kept_at": kept_at.isoformat(),
        "sha256": output.facts.sha256,
        "width": output.facts.width,
        "height": output.facts.height,
        "media_type": output.facts.media_type,
        "bytes": output.facts.size_bytes,
        "parent": None if source is None else source.parent,
        "source_sha256": None if source is None or source.facts is None else source.facts.sha256,
        "depth": job.depth,
        "change": None if change is None else change.to_dict(),
        "cost": (send.cost or Cost.listed(send.price)).to_dict(),
        "cost_is_of_images": send.count if send.count > 1 else None,
        "digital_source_type": GENERATED if source is None else EDITED,
    }
    known = {name: value for name, value in told.items() if value is not None}
    return (json.dumps(known, ensure_ascii=False, indent=2) + "\n").encode()
