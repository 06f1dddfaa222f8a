"""The archive: finished pictures on their way into the blobs.

What this is: finished outputs become files before any row says so, and what an edit changed is measured. What it is
not: states or leases (`finishing`). Above: finishing. Below: originals, shelf, http, blobs, output_folder, changes,
delivered, prints.

Outputs die in minutes at some hosts, so they come first: stream to a temporary file, limits, magic bytes, decode,
sha-256, fsync, rename, fsync of the folder, and then the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio.to_thread

from kontext_tools import changes, darkroom, delivered, provenance, tracing
from kontext_tools.blobs import keys
from kontext_tools.blobs.base import Blobs, storage_failure
from kontext_tools.changes import Change
from kontext_tools.clocks import Clock
from kontext_tools.delivered import Delivered
from kontext_tools.errors import Billed, Failure, KontextError, ResultExpired, ResultInvalid, StorageBusy, StorageFull
from kontext_tools.guard import Blocked
from kontext_tools.http import Http, Lost, Refetched, TooLarge
from kontext_tools.images import MAX_OUTPUT_BYTES
from kontext_tools.jobs import Job, Output, Send, Source
from kontext_tools.originals import Originals
from kontext_tools.output_folder import OutputFolder
from kontext_tools.prints import Print
from kontext_tools.providers.base import RemoteOutput
from kontext_tools.shelf import Shelf
from kontext_tools.stores.base import JobNews
from kontext_tools.trash import Trash
from kontext_tools.waiting import Waiting


class _Expired(Exception):
    """A link does not work (any more)."""


class _Broken(Exception):
    """What was fetched is no whole picture: the fetch may have been at fault, so it is worth one more."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class _NotNow(Exception):
    """The disk is full or the storage silent (with its failure), or the connection broke (without)."""

    def __init__(self, failure: Failure | None, waits_at: str = "") -> None:
        super().__init__("not now")
        self.failure = failure
        self.waits_at = waits_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What an archiving brought.

    Attributes:
        outputs: newly kept images; they count whatever became of the others.
        total: images that the send has now in all.
        expired: whether a link was dead: fresh ones are needed.
        broken: whether a link gave what is no whole picture: it may be fetched once more.
        not_now: whether the rest must be tried again later.
        failure: why something is missing.
        waits_at: the place here where a picture waits that could not be kept; empty where none does.
        refused: a warning for each picture that came and was not kept, to be told where it is not fetched again.
        news: for the job.
    """

    outputs: tuple[Output, ...]
    total: int
    expired: bool
    broken: bool
    not_now: bool
    failure: Failure | None
    waits_at: str = ""
    refused: tuple[str, ...]
    news: JobNews


class Archive:
    """Makes outputs files."""

    def __init__(
        self,
        blobs: Blobs,
        shelf: Shelf,
        originals: Originals,
        http: Http,
        clock: Clock,
        trash: Trash,
        waiting: Waiting,
        *,
        output_dir: Path | None = None,
        preview_px: int = 0,
    ) -> None:
        """Take what it needs; of each picture a preview is made whose longest side is `preview_px`, 0 for none."""
        self._blobs = blobs
        self._shelf = shelf
        self._originals = originals
        self._http = http
        self._clock = clock
        self._trash = trash
        self._waiting = waiting
        self._output_folder = None if output_dir is None else OutputFolder(output_dir, shelf)
        self._preview_px = preview_px

    async def sweep(self) -> None:
        """Remove what dead processes left half-written, or half deleted."""
        await self._blobs.sweep()
        await self._trash.empty()

    async def waits_here(self, place: str) -> bool:
        """Whether a place where pictures wait is this machine's own."""
        return await anyio.to_thread.run_sync(self._waiting.name) == place

    async def let_go(self, send: Send) -> None:
        """Let go of what waits of a send: it has ended."""
        for n in range(send.first_output, send.first_output + send.count):
            await self.drop(send.job_id, n)

    async def drop(self, job_id: str, n: int) -> None:
        """Let go of one picture that waits."""
        self._waiting.drop(job_id, n)

    async def waiting(self) -> list[tuple[str, int]]:
        """Give what waits here: jobs' ids and numbers of pictures."""
        return await anyio.to_thread.run_sync(lambda: list(self._waiting.waiting()))

    async def keep(self, job: Job, send: Send, outputs: Sequence[RemoteOutput]) -> Kept:
        """Make a send's outputs files, each whole before it counts; one that fails does not lose the others."""
        have = {output.n for output in job.outputs}
        fresh: list[Output] = []
        change: Change | None = None
        refused: list[str] = []
        warnings: list[str] = []
        failure: Failure | None = None
        expired, broken, not_now, waits_at = False, False, False, ""
        for n, remote in enumerate(outputs[: send.count], start=send.first_output):
            if n in have:
                continue
            try:
                output, changed = await self._keep_one(job, send, n, remote)
                fresh.append(output)
                change = changed if n == 1 else change
            except (ResultInvalid, _Broken) as invalid:
                broken, failure = broken or isinstance(invalid, _Broken), invalid.failure
                refused.append(f"Image {n} was not kept: {failure.message}")
            except _Expired:
                expired, failure = True, dead_link()
            except _NotNow as reason:
                not_now, failure, waits_at = True, reason.failure, reason.waits_at
                break
        if 0 < len(outputs) < send.count:
            warnings.append(f"The provider gave {len(outputs)} of {send.count} images.")
        warnings += _format_warnings(job, fresh)
        if change is not None:
            warnings += changes.warnings(change)
        mine = range(send.first_output, send.first_output + send.count)
        return Kept(
            outputs=tuple(fresh),
            total=len(fresh) + len([n for n in have if n in mine]),
            expired=expired or not outputs,
            broken=broken,
            not_now=not_now,
            failure=failure,
            waits_at=waits_at,
            refused=tuple(refused),
            news=JobNews(change=change, warnings=tuple(warnings)),
        )

    async def _keep_one(self, job: Job, send: Send, n: int, remote: RemoteOutput) -> tuple[Output, Change | None]:
        """Make one output a file, measure what it changed, and lay its facts beside it: only then may a row say so."""
        try:
            temporary = self._blobs.temporary()
            try:
                if not self._waiting.take(job.id, n, temporary):
                    with tracing.part("kontext.download", n):
                        await self._receive(remote, temporary)
                with tracing.part("kontext.decode", n):
                    came = await self._proven(remote, temporary, job.id, n)
                    facts = came.facts
                    tracing.note_bytes(facts.size_bytes)
                key = keys.image(job.id, n, facts.extension)
                if self._blobs.path(key) is None:  # it goes to other machines
                    await anyio.to_thread.run_sync(self._waiting.hold, temporary, job.id, n)
                with tracing.part("kontext.store", n):
                    await self._blobs.keep(temporary, key)
                    tracing.note_bytes(facts.size_bytes)
            finally:
                temporary.unlink(missing_ok=True)
            seed = remote.seed if remote.seed is not None else send.sent_seed
            output = Output(n=n, facts=facts, blob=key, seed=seed, remote_url=remote.url)
            if came.preview is not None:
                self._shelf.previewed(facts, self._preview_px, came.preview)
            source = await self._originals.copy(job)
            change = await self._change(source, came.copy)
            beside = provenance.facts(job, send, output, source=source, change=change, kept_at=self._clock.now())
            await self._blobs.write(keys.facts(job.id, n), beside)
        except (StorageFull, StorageBusy) as later:
            paid = Billed.NO if send.price.amount == 0 else Billed.YES
            waits_at = await anyio.to_thread.run_sync(self._waiting.settle, job.id, n)
            raise _NotNow(replace(later.failure, billed=paid, job_id=job.id), waits_at) from later
        if self._output_folder is not None:
            await self._output_folder.copy(job.id, output)
        return output, change

    async def _proven(self, remote: RemoteOutput, temporary: Path, job_id: str, n: int) -> Delivered:
        prove = partial(delivered.proven, temporary, copy_px=changes.COPY_PX, preview_px=self._preview_px)
        try:
            return await darkroom.work(prove)
        except ResultInvalid as invalid:
            # What waited and is whole no more is fetched anew.
            await anyio.to_thread.run_sync(self._waiting.drop, job_id, n)
            if remote.url is None:
                raise
            raise _Broken(invalid.failure) from invalid

    async def _receive(self, remote: RemoteOutput, temporary: Path) -> None:
        try:
            if remote.data is not None:
                await anyio.to_thread.run_sync(temporary.write_bytes, remote.data)
                return
            assert remote.url is not None
            await self._http.download(remote.url, temporary, max_bytes=MAX_OUTPUT_BYTES)
        except Refetched as answered:
            if answered.status in (401, 403, 404, 410):
                raise _Expired from answered
            raise _NotNow(None) from answered
        except Lost as lost:
            raise _NotNow(None) from lost
        except TooLarge as large:
            raise _invalid("it is over 64 MB") from large
        except Blocked as blocked:
            raise _invalid(f"its address may not be fetched ({blocked})") from blocked
        except OSError as error:
            raise storage_failure(error) from error

    async def _change(self, source: Source | None, after: Print | None) -> Change | None:
        if source is None or source.blob is None or source.facts is None or after is None:
            return None
        try:
            async with darkroom.slot():
                data = await self._shelf.read(source.blob, source.facts)
                return await anyio.to_thread.run_sync(lambda: changes.compare(changes.copy_of(data), after))
        except KontextError:
            return None


def _format_warnings(job: Job, outputs: Sequence[Output]) -> list[str]:
    asked = job.edit.output_format
    other = {output.facts.extension for output in outputs} - {asked}
    return [f"{asked} was asked for and {extension} was delivered." for extension in sorted(other)]


def _invalid(reason: str) -> ResultInvalid:
    return ResultInvalid(
        f"The provider's result was not kept: {reason}.",
        fix="Call again with the same arguments and a new request_key, or set provider to another one.",
        billed=Billed.YES,
    )


def dead_link() -> Failure:
    """Give the failure of a result whose link died before it was fetched."""
    return ResultExpired(
        "The provider's link to the result died before it was fetched.",
        fix="Let a person look for the picture at the provider; then call again with a new request_key.",
    ).failure
