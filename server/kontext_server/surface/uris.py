"""Our own addresses: the fixed ones, and which image or job another one names.

What this is: CONTRACT.md section 3's `kontext://`, as it is written and as it is read. What it is not: what lies behind
an address (`resources`), or the words of their list (`catalogue`). Above: these, studio_app, notices, recording, web.
Below: references.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kontext_tools.references import Ref

SCHEME = "kontext://"
IMAGES_URI = f"{SCHEME}images"
"""With a query a search: the studio's own address, which no template tells. A model has find_images."""
JOBS_URI = f"{SCHEME}jobs"
PROVIDERS_URI = f"{SCHEME}providers"
USAGE_URI = f"{SCHEME}usage"
GUIDE_URI = f"{SCHEME}guide"

_IMAGE = re.compile(rf"{IMAGES_URI}/([a-z0-9-]{{1,64}})/([0-9]{{1,2}})(?:/(preview|thumb|meta|lineage))?")
_JOB = re.compile(rf"{JOBS_URI}/([a-z0-9-]{{1,64}})")
_TOLD_AS_JSON = ("meta", "lineage")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageUri:
    """One form of an image.

    Attributes:
        ref: of the image; there may be none.
        form: `preview`, `thumb`, `meta` or `lineage`; empty for the bytes as delivered.
    """

    ref: Ref
    form: str

    @property
    def is_picture(self) -> bool:
        """Whether a picture lies there, not what is known of one."""
        return self.form not in _TOLD_AS_JSON


def image_of(uri: str) -> ImageUri | None:
    """Read the address of an image in one of its forms; `None` where it is none."""
    found = _IMAGE.fullmatch(uri)
    return None if found is None else ImageUri(ref=Ref(job_id=found[1], n=int(found[2])), form=found[3] or "")


def job_of(uri: str) -> str | None:
    """Read the job's id from a job's address; `None` where it is none."""
    found = _JOB.fullmatch(uri)
    return None if found is None else found[1]
