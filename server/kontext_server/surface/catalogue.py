"""What a client is told that there is to read: the fixed resources, the templates, an image's entry in the list.

What this is: the words of it. What it is not: the addresses (`uris`), or what lies behind one (`resources`). Above:
resources, server. Below: uris, studio_app (its page's entry), stores.finds.
"""

from __future__ import annotations

import mcp_types as types

from kontext_server.surface import studio_app
from kontext_server.surface.uris import GUIDE_URI, IMAGES_URI, JOBS_URI, PROVIDERS_URI, USAGE_URI
from kontext_tools.stores.finds import ImageRow

JSON, MARKDOWN = "application/json", "text/markdown"

TEMPLATES = [
    types.ResourceTemplate(
        name="image",
        title="An image as delivered",
        uri_template=f"{IMAGES_URI}/{{job}}/{{n}}",
        description="The bytes as delivered; n=0 is the source as it was sent.",
    ),
    types.ResourceTemplate(
        name="preview",
        title="A preview",
        uri_template=f"{IMAGES_URI}/{{job}}/{{n}}/preview",
        description="JPEG, longest side 768 px.",
        mime_type="image/jpeg",
    ),
    types.ResourceTemplate(
        name="thumb",
        title="A thumbnail",
        uri_template=f"{IMAGES_URI}/{{job}}/{{n}}/thumb",
        description="WebP, longest side 256 px.",
        mime_type="image/webp",
    ),
    types.ResourceTemplate(
        name="meta",
        title="Everything known of an image",
        uri_template=f"{IMAGES_URI}/{{job}}/{{n}}/meta",
        description="JSON: prompt, seed, provider, cost, parent.",
        mime_type=JSON,
    ),
    types.ResourceTemplate(
        name="lineage",
        title="Where an image comes from",
        uri_template=f"{IMAGES_URI}/{{job}}/{{n}}/lineage",
        description="JSON: its ancestors from the source on, and what was made from it.",
        mime_type=JSON,
    ),
    types.ResourceTemplate(
        name="job",
        title="A job",
        uri_template=f"{JOBS_URI}/{{job}}",
        description="JSON: one job, as get_status tells it in full.",
        mime_type=JSON,
    ),
]

FIXED = [
    *(
        types.Resource(name=name, title=title, uri=uri, description=description, mime_type=mime_type)
        for name, title, uri, description, mime_type in (
            ("jobs", "The newest jobs", JOBS_URI, "The newest 50 jobs with their images.", JSON),
            (
                "usage",
                "Spending",
                USAGE_URI,
                "Spent or reserved by day (UTC) and provider; today's budget left.",
                JSON,
            ),
            ("providers", "The providers", PROVIDERS_URI, "What each provider can do and costs.", JSON),
            ("guide", "How to prompt FLUX.1 Kontext", GUIDE_URI, "What to say and what to keep, in short.", MARKDOWN),
        )
    ),
    studio_app.RESOURCE,
]
"""Before the first page of images."""


def listed(row: ImageRow, priority: float) -> types.Resource:
    """Give an image's entry; `priority` from 0 to 1, by how new it is."""
    facts = row.output.facts
    return types.Resource(
        name=row.label or str(row.ref),
        title=row.prompt[:80],
        uri=row.ref.uri,
        description=f"{facts.width}x{facts.height}, {row.provider}, {row.created_at.isoformat(timespec='seconds')}",
        mime_type=facts.media_type,
        size=facts.size_bytes,
        annotations=types.Annotations(
            priority=round(priority, 2), last_modified=row.created_at.isoformat(timespec="seconds")
        ),
    )
