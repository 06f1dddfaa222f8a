"""An image argument becomes the source of a job: an earlier result, a file, an address, a data URI.

What this is: the order in which an argument is read, and the refusals about references. What it is not: the reading
of bytes (`sources`). Above: serving, planning, studio. Below: uploads, shelf, sources, data_uris, references,
stores.base.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kontext_tools.blobs import keys
from kontext_tools.blobs.base import Blobs
from kontext_tools.data_uris import is_data_uri
from kontext_tools.errors import InvalidArgument, Refusal, SourceNotAllowed, UnknownRef
from kontext_tools.formats import EXTENSIONS
from kontext_tools.jobs import Job, Output, Source, SourceKind
from kontext_tools.references import Ref, nearest, parse_ref
from kontext_tools.shelf import Shelf
from kontext_tools.sources import Sources, is_remote
from kontext_tools.stores.base import Store
from kontext_tools.uploads import Uploads

NEAREST_AMONG = 200
_LIKE_A_REF = re.compile(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)+(?:/\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A source, and how many edits lie behind it."""

    source: Source
    depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One of the owner's images: its job, and the output or (n = 0) the source."""

    job: Job
    ref: Ref
    output: Output | None


class Inputs:
    """Reads image arguments for one store."""

    def __init__(
        self, store: Store, blobs: Blobs, sources: Sources, shelf: Shelf, *, uploads: Uploads | None = None
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._sources = sources
        self._shelf = shelf
        self._uploads = uploads

    async def load(self, owner: str, text: str) -> Input:
        """Give the source that an argument names; its cleaned bytes are kept before anything is sent.

        An https address is judged, not fetched. Raises `UnknownRef`, `SourceNotAllowed`, `SourceUnreadable`,
        `SourceTooLarge`, `ResultInvalid` and `StorageFull`.
        """
        text = text.strip()
        if is_data_uri(text):
            picture = await self._sources.from_data_uri(text)
            blob = await self._shelf.keep_source(picture.data, picture.facts)
            return Input(source=Source(kind=SourceKind.DATA, facts=picture.facts, blob=blob), depth=0)
        if self._uploads is not None and self._uploads.names(text):
            return Input(source=await self._uploads.source(owner, text), depth=0)
        if is_remote(text):
            self._sources.check_url(text)
            await self._sources.check_host(text)
            return Input(source=Source(kind=SourceKind.URL, url=text), depth=0)
        ref = parse_ref(text)
        if ref is None and _LIKE_A_REF.fullmatch(text):
            raise await self._unknown(owner, text, "image")
        if ref is None:
            path = await self._path_of(owner, text)
            ref = self._own(path)
            if ref is None:
                picture = await self._sources.from_file(path)
                blob = await self._shelf.keep_source(picture.data, picture.facts)
                return Input(source=Source(kind=SourceKind.FILE, facts=picture.facts, blob=blob), depth=0)
        return await self._result(owner, ref)

    async def _path_of(self, owner: str, text: str) -> Path:
        """Read a path; where none may be read, the refusal says how its file is uploaded."""
        try:
            return self._sources.path_of(text)
        except SourceNotAllowed as refusal:
            if self._uploads is None:
                raise
            raise await self._uploads.instead(owner, refusal) from None

    async def fetched(self, source: Source) -> Source:
        """Fetch an https source now, for a provider that takes bytes only."""
        assert source.url is not None
        picture = await self._sources.from_url(source.url, self._blobs.temporary())
        blob = await self._shelf.keep_source(picture.data, picture.facts)
        return Source(kind=SourceKind.URL, facts=picture.facts, blob=blob, url=source.url)

    async def named(self, owner: str, text: str, *, field: str) -> Found:
        """Give the owner's image that an argument names: by its reference, its address or its path.

        Raises:
            UnknownRef: as `find`, or it names none of ours.
        """
        ref = parse_ref(text)
        if ref is None:
            with contextlib.suppress(Refusal):
                ref = self._own(self._sources.path_of(text.strip()))
        if ref is None:
            raise await self._unknown(owner, text, field)
        return await self.find(owner, ref, field=field)

    async def find(self, owner: str, ref: Ref, *, field: str = "image") -> Found:
        """Give one of the owner's images.

        Args:
            owner: whose.
            ref: the image.
            field: the argument that names it, for a refusal.

        Raises:
            UnknownRef: no job, no such number, several outputs and no number, or no image yet.
        """
        job = await self._store.job(owner, ref.job_id)
        if job is None:
            raise await self._unknown(owner, str(ref), field)
        if ref.n == 0 and job.source is not None and job.source.blob is not None:
            return Found(job=job, ref=ref, output=None)
        by_number = {output.n: output for output in job.outputs}
        if ref.n is None and len(by_number) == 1:
            output = next(iter(by_number.values()))
            return Found(job=job, ref=Ref(job_id=job.id, n=output.n), output=output)
        if ref.n in by_number:
            return Found(job=job, ref=ref, output=by_number[ref.n])
        raise _no_such_image(job, field)

    def _own(self, path: Path) -> Ref | None:
        """Give the reference that a path of one of our own results stands for."""
        key = self._blobs.key_of(path)
        # The facts that lie beside a picture are no picture.
        if key is None or not key.startswith(keys.IMAGES) or PurePosixPath(key).suffix[1:] not in EXTENSIONS.values():
            return None
        job_id, _, n = PurePosixPath(key).stem.rpartition("-")
        return parse_ref(f"{job_id}/{n}")

    async def _result(self, owner: str, ref: Ref) -> Input:
        found = await self.find(owner, ref)
        if found.output is None:
            before = found.job.source
            assert before is not None and before.blob is not None and before.facts is not None
            await self._shelf.read(before.blob, before.facts)
            source = Source(kind=SourceKind.RESULT, facts=before.facts, blob=before.blob, parent=before.parent)
            return Input(source=source, depth=max(0, found.job.depth - 1))
        output = found.output
        await self._shelf.read(output.blob, output.facts)
        source = Source(kind=SourceKind.RESULT, facts=output.facts, blob=output.blob, parent=str(found.ref))
        return Input(source=source, depth=found.job.depth)

    async def _unknown(self, owner: str, text: str, field: str) -> UnknownRef:
        page = await self._store.images(owner, limit=NEAREST_AMONG)
        near = nearest(text, [str(row.ref) for row in page.rows])
        fix = (
            f"Call again with one of the nearest: {', '.join(near)}."
            if near
            else "Call again with "
            + self._sources.instead("the absolute path of an image, an https address,", "an https address, a data URI")
            + " or an earlier answer's reference."
            if field == "image"
            else "There is no image yet: make one with edit_image or generate_image first."
        )
        return UnknownRef("No image has that reference; nothing was sent.", fix=fix, field=field)


def _no_such_image(job: Job, field: str) -> UnknownRef:
    # A plan's are its steps' images, under the steps' own references.
    refs = ", ".join(f"{holder.id}/{output.n}" for holder, output in job.images)
    if refs:
        what = "has no single image of that number" if job.plan is None else "is a plan, not an image"
        message, fix = f"{job.id} {what}", f"Call again with one of: {refs}."
    elif job.status.ended:
        message, fix = f"{job.id} ended without an image", "Call again with another image."
    else:
        message = f"{job.id} has no image yet"
        fix = f"Call get_status(job_id='{job.id}', wait_seconds=25) first, then call again."
    return UnknownRef(f"{message}; nothing was sent.", fix=fix, field=field, job_id=job.id)


def require_prompt(prompt: str) -> None:
    """Refuse an empty prompt before anything is read.

    Raises:
        InvalidArgument: nothing but blanks.
    """
    if not prompt.strip():
        raise InvalidArgument(
            "prompt is empty; nothing was sent.",
            fix="Call again with prompt saying what to change, such as 'Make the car red'.",
            field="prompt",
        )
