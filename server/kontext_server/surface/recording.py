"""What a page that is one file holds: the resources that its view will read, with nothing in them that is not to share.

What this is: jobs, their images and what those were made from, read by their addresses from whoever serves them, a
client's connection or `resources` itself. The file is a small world of its own: an image's line ends at the picture
that its first job here was sent. What it is not: the page (`studio_page`). Above: cli. Below: resources' values.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, cast

from kontext_server.surface.catalogue import JSON
from kontext_server.surface.listings import lineage_fields
from kontext_server.surface.resources import Content
from kontext_server.surface.uris import JOBS_URI
from kontext_tools.lineage import Lineage, Relative
from kontext_tools.references import URI_PREFIX, Ref

Read = Callable[[str], Awaitable[Content]]
"""Gives what a resource holds; raises where there is none."""
Fields = dict[str, Any]

NOT_TO_SHARE = frozenset({"path", "url", "request", "sha256", "timeline"})
"""Where pictures lie, what was sent word for word, what proves it and when: the person's own."""


async def recorded(read: Read, jobs: Iterable[str]) -> dict[str, Fields]:
    """Record jobs, a plan with its steps' jobs.

    Args:
        read: raises of its own kind.
        jobs: their ids.

    Returns:
        By URI `{mimeType, text}` or `{mimeType, blob}`: each job; of each of its images, and of the source where it is
        no image here and is kept, the preview, the facts, and the line of ancestors and descendants within the file.
    """
    told = await _jobs(read, jobs)
    family = _Family(told)
    found = {_job_uri(job_id): _text(family.job(fields)) for job_id, fields in told.items()}
    for ref in family.refs:
        uri = f"{URI_PREFIX}{ref}"
        meta = await _fields(read, f"{uri}/meta")
        found[f"{uri}/preview"] = _blob(await read(f"{uri}/preview"))
        found[f"{uri}/meta"] = _text({**_to_share(meta), "job": family.job(meta["job"])})
        found[f"{uri}/lineage"] = _text(lineage_fields(family.lineage(ref)))
    return found


class _Family:
    """The images of a file, and which was made from which.

    Attributes:
        refs: the sources, then the images, in the order of their jobs.
    """

    def __init__(self, jobs: Mapping[str, Fields]) -> None:
        self._jobs = jobs
        made = list(dict.fromkeys(image["ref"] for fields in jobs.values() for image in fields["images"]))
        self._parents = dict[str, str]()
        for ref in made:
            fields, source = jobs[_job_of(ref)], f"{_job_of(ref)}/0"
            if fields.get("parent") in made:
                self._parents[ref] = fields["parent"]
            elif source in fields["sha256"]:
                self._parents[ref] = source
        self.refs = list(dict.fromkeys([*(ref for ref in self._parents.values() if ref not in made), *made]))

    def job(self, fields: Fields) -> Fields:
        """Give a job's fields; its parent only where that is here."""
        return _to_share({name: value for name, value in fields.items() if name != "parent" or value in self.refs})

    def lineage(self, ref: str) -> Lineage:
        """Give an image's ancestors and descendants here."""
        line, born = [ref], [ref]
        while (above := self._parents.get(line[0])) is not None and above not in line:
            line.insert(0, above)
        for one in born:
            born += [child for child, parent in self._parents.items() if parent == one and child not in born]
        return Lineage(
            ref=_ref(ref),
            ancestors=tuple(self._relative(one) for one in line[:-1]),
            descendants=tuple(self._relative(one) for one in born[1:]),
            whole=True,
        )

    def _relative(self, text: str) -> Relative:
        """Tell an image by its job here; a source is as old as that, and has no words."""
        ref, job = _ref(text), self._jobs[_job_of(text)]
        return Relative(
            ref=ref,
            prompt="" if ref.n == 0 else job["prompt"],
            created_at=datetime.fromisoformat(job["created_at"]),
            parent=self._parents.get(text),
        )


async def _jobs(read: Read, jobs: Iterable[str]) -> dict[str, Fields]:
    told, waiting = dict[str, Fields](), list(jobs)
    for job_id in waiting:
        if job_id not in told:
            told[job_id] = await _fields(read, _job_uri(job_id))
            waiting += [_job_of(image["ref"]) for image in told[job_id]["images"]]
    return told


async def _fields(read: Read, uri: str) -> Fields:
    return json.loads((await read(uri)).data)


def _to_share(value: Any) -> Any:
    if isinstance(value, dict):
        fields = cast("Fields", value)
        return {name: _to_share(item) for name, item in fields.items() if name not in NOT_TO_SHARE}
    if isinstance(value, list):
        return [_to_share(item) for item in cast("list[Any]", value)]
    return value


def _text(fields: Fields) -> Fields:
    return {"mimeType": JSON, "text": json.dumps(fields, ensure_ascii=False, separators=(",", ":"))}


def _blob(content: Content) -> Fields:
    assert isinstance(content.data, bytes)
    return {"mimeType": content.media_type, "blob": base64.b64encode(content.data).decode("ascii")}


def _job_uri(job_id: str) -> str:
    return f"{JOBS_URI}/{job_id}"


def _ref(text: str) -> Ref:
    job_id, _, n = text.partition("/")
    return Ref(job_id=job_id, n=int(n))


def _job_of(ref: str) -> str:
    return _ref(ref).job_id
