"""The provider `sandbox`: an honest stand-in that needs no key and no network.

What this is: a provider like the others, with a waiting time, a cancel and orders that outlive the process,
so that everything can be tried and shown for nothing. It edits real pixels by simple means and says so. What
it is not: a model. Orders are files in one folder, two for each: the source's bytes and, once those are safe,
the order itself; a third marks it cancelled. Above: engine, studio. Below: base, painting (loaded when it
first paints).
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter, to_thread

from kontext_tools import disk
from kontext_tools.budget import FREE, Price, Unit
from kontext_tools.edits import MAX_SEED
from kontext_tools.errors import Failure, KontextError, ProviderError, SourceUnreadable, StorageFull
from kontext_tools.providers.base import (
    Cancelling,
    CancelOutcome,
    FetchFailed,
    Intent,
    Offer,
    Order,
    Phase,
    RemoteOutput,
    Snapshot,
    SubmitFailed,
    Verdict,
)

HONESTY = "Sandbox: no model was asked; simple pixel edits stand in for FLUX.1 Kontext."

OFFER = Offer(
    name="sandbox",
    model="sandbox",
    price=Price(amount=Decimal(0), unit=Unit.USD),
    typical_s=1.0,
    takes_url=False,
    cancelling=Cancelling.YES,
    note=HONESTY,
    evidence="this program; the parameters are core.today's, CONTRACT.md section 2",
)
KEPT_S = 3600.0
"""Age at which an order is swept."""

_REMOTE_ID = re.compile(r"[0-9a-f]{32}")
_ID_BYTES = 16
_WAITING_SHARE = 0.2
_PAINTERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """An order as it lies on the disk.

    Attributes:
        created_s: seconds since the epoch, by the sandbox's clock.
        prompt: as the caller wrote it, without what is to be kept.
        ratio: of the output.
        output_format: png or jpg.
        seed: asked for, or drawn from the order's id.
        edits: whether a source lies beside it.
    """

    created_s: float
    prompt: str
    ratio: str
    output_format: str
    seed: int
    edits: bool


class Sandbox:
    """The provider that works without a provider.

    Args:
        folder: where orders lie; made when it is missing, 0700.
        duration_s: seconds that a job takes.
        clock: seconds since the epoch.
    """

    def __init__(self, folder: Path, *, duration_s: float = 1.0, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._duration_s = duration_s
        self._clock = clock

    @property
    def offer(self) -> Offer:
        """What it can do: what core.today takes, for nothing."""
        return OFFER

    def request(self, order: Order) -> dict[str, Any]:
        """Give the order for people to read."""
        edit = order.edit
        body: dict[str, Any] = {
            "model": OFFER.model,
            "prompt": order.prompt,
            "aspect_ratio": edit.aspect_ratio,
            "output_format": edit.output_format,
            "safety_tolerance": edit.safety_tolerance,
            "prompt_upsampling": edit.prompt_upsampling,
        }
        if order.seed is not None:
            body["seed"] = order.seed
        if order.image is not None:
            body["input_image"] = order.image.filename
        return body

    async def submit(self, order: Order, intent: Intent) -> Snapshot:
        """Take an order. Raises `SubmitFailed` where the picture has no bytes or the disk is full."""
        source = await _source_of(order)
        await intent()
        remote_id = secrets.token_hex(_ID_BYTES)
        seed = order.seed if order.seed is not None else int(remote_id[:8], 16) % (MAX_SEED + 1)
        kept = _Kept(
            created_s=self._clock(),
            # The words after "keep" name what must not change; they choose no effect.
            prompt=order.edit.prompt,
            ratio=order.edit.aspect_ratio,
            output_format=order.edit.output_format,
            seed=seed,
            edits=source is not None,
        )
        try:
            await to_thread.run_sync(self._write, remote_id, kept, source)
        except OSError as error:
            raise SubmitFailed(Verdict.REFUSED, _disk_failure(error)) from error
        return Snapshot(phase=Phase.WAITING, remote_id=remote_id, progress=0.0, raw_status=Phase.WAITING)

    async def fetch(self, remote_id: str) -> Snapshot:
        """Look at an order, and paint it once its time has come. Raises `FetchFailed` for an id not known here."""
        kept = await to_thread.run_sync(self._read, remote_id)
        if await to_thread.run_sync(self._path(remote_id, "cancelled").exists):
            return Snapshot(phase=Phase.CANCELLED, remote_id=remote_id, cost=FREE, raw_status=Phase.CANCELLED)
        progress = self._progress(kept)
        if progress < 1:
            phase = Phase.WAITING if progress < _WAITING_SHARE else Phase.WORKING
            return Snapshot(phase=phase, remote_id=remote_id, progress=progress, raw_status=phase)
        try:
            data = await to_thread.run_sync(
                partial(self._painted, remote_id, kept), limiter=self._painters, abandon_on_cancel=True
            )
        except (KontextError, OSError) as error:
            return Snapshot(
                phase=Phase.FAILED,
                remote_id=remote_id,
                cost=FREE,
                failure=_paint_failure(error),
                raw_status=Phase.FAILED,
            )
        return Snapshot(
            phase=Phase.DONE,
            remote_id=remote_id,
            outputs=(RemoteOutput(data=data, seed=kept.seed),),
            progress=1.0,
            cost=FREE,
            raw_status=Phase.DONE,
        )

    async def cancel(self, remote_id: str) -> CancelOutcome:
        """Cancel an order that is not done yet. Raises `FetchFailed` for an id not known here."""
        kept = await to_thread.run_sync(self._read, remote_id)
        mark = self._path(remote_id, "cancelled")
        if await to_thread.run_sync(mark.exists):
            return CancelOutcome.ACCEPTED
        if self._progress(kept) >= 1:
            return CancelOutcome.ENDED
        try:
            await to_thread.run_sync(_write_durably, mark, b"", self._clock())
        except OSError as error:
            raise FetchFailed(_disk_failure(error)) from error
        return CancelOutcome.ACCEPTED

    @cached_property
    def _painters(self) -> CapacityLimiter:
        return CapacityLimiter(_PAINTERS)

    def _progress(self, kept: _Kept) -> float:
        elapsed_s = self._clock() - kept.created_s
        # A clock that was set back would else hold the order for as long.
        if elapsed_s < 0 or elapsed_s >= self._duration_s:
            return 1.0
        return round(elapsed_s / self._duration_s, 2)

    def _path(self, remote_id: str, ending: str) -> Path:
        if not _REMOTE_ID.fullmatch(remote_id):
            raise _gone()
        return self._folder / f"{remote_id}.{ending}"

    def _read(self, remote_id: str) -> _Kept:
        try:
            return _Kept(**json.loads(self._path(remote_id, "json").read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            raise _gone() from error

    def _write(self, remote_id: str, kept: _Kept, source: bytes | None) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sweep()
        if source is not None:
            _write_durably(self._path(remote_id, "source"), source, kept.created_s)
        # The order comes last: where it can be read, all of it is there.
        _write_durably(self._path(remote_id, "json"), json.dumps(asdict(kept)).encode(), kept.created_s)

    def _sweep(self) -> None:
        """Remove what is older than an hour, whatever a killed process left half written included."""
        oldest_s = self._clock() - KEPT_S
        for path in self._folder.iterdir():
            if _REMOTE_ID.fullmatch(path.name.partition(".")[0]):
                # Another order's temporary file may be renamed between the listing and the look; on Windows an open
                # file stays. A sweep never keeps an order from being taken.
                with suppress(OSError):
                    if path.stat().st_mtime < oldest_s:
                        path.unlink()

    def _painted(self, remote_id: str, kept: _Kept) -> bytes:
        from kontext_tools.providers.painting import generated, painted

        look = kept.ratio, kept.seed, kept.output_format
        if not kept.edits:
            return generated(kept.prompt, *look)
        return painted(self._path(remote_id, "source").read_bytes(), kept.prompt, *look)


async def _source_of(order: Order) -> bytes | None:
    if order.image is None:
        return None
    if order.image.read is None:
        failure = SourceUnreadable(
            "The sandbox has no network and the picture came without its bytes; nothing was sent.",
            fix="Pass a file or an earlier result instead of an address.",
            field="image",
        ).failure
        raise SubmitFailed(Verdict.REFUSED, failure)
    return await order.image.read()


def _write_durably(path: Path, data: bytes, mtime_s: float) -> None:
    """Write a file that is whole or not there, 0600, its age told by the sandbox's own clock."""
    temporary = path.with_suffix(f"{path.suffix}.{secrets.token_hex(4)}.tmp")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            disk.sync(file.fileno())
        os.utime(temporary, (mtime_s, mtime_s))
        disk.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    disk.sync_folder(path.parent)


def _gone() -> FetchFailed:
    failure = ProviderError(
        "The sandbox does not know this order; it may be older than an hour.",
        fix="Make the call again: it costs nothing.",
    ).failure
    return FetchFailed(failure, gone=True)


def _disk_failure(error: OSError) -> Failure:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(
            "The disk that holds the sandbox's orders is full; nothing was charged.",
            fix="Free some space, then make the same call again.",
        ).failure
    return ProviderError(
        "The sandbox cannot write to the data folder; nothing was charged.",
        fix="A person must mend the rights of KONTEXT_DATA_DIR.",
    ).failure


def _paint_failure(error: Exception) -> Failure:
    if isinstance(error, KontextError):
        return error.failure
    return ProviderError(
        "The sandbox's copy of the source is no longer there.", fix="Make the call again: it costs nothing."
    ).failure
