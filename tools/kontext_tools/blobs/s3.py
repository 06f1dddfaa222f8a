"""Blobs in S3-compatible storage: what many machines share. Temporary files stay on this one.

What this is: the same verbs as `files`, over obstore, which the extra `s3` brings and which is imported with this
module alone. What it is not: settings or the environment (`kontext_server.storage`). Above: the composition root.
Below: files (for what is temporary), obstore.

Durable means acknowledged: S3 answers a write once it is kept, and shows it to every reader from then on (Amazon's user
guide, "Amazon S3 data consistency model", read 2026-11-21). obstore's synchronous calls run in worker threads: its
asynchronous ones let a thread of its own touch Python at the end, and abort the process when it comes late (seen here
with 0.12.1; PyO3/pyo3-async-runtimes issue 40).
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread
import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from kontext_tools.blobs.base import storage_failure
from kontext_tools.blobs.files import RENEWED_S, FileBlobs
from kontext_tools.errors import KontextError, StorageBusy, StorageFull
from kontext_tools.formats import EXTENSIONS

if TYPE_CHECKING:
    from obstore import Attributes
    from obstore.store import ClientConfig, S3Config

T = TypeVar("T")

log = logging.getLogger(__name__)

AT_ONCE = 16
"""So many requests of a process are under way: each holds a thread, and a picture in memory at most."""
PART_BYTES = 8 * 1024 * 1024
"""A longer file goes up in parts of this size. S3 takes 5 MiB at least."""
PARTS_AT_ONCE = 4
RENEWED = "renewed/"
"""Under it, beside the keys, lies an empty object for each source that was wanted anew: S3 sets no object's time."""

_WRITTEN = "kontext-written"
"""Metadata of each object: when it was written, in seconds, by the machine that wrote it. The storage's own time is
another clock's, and in whole seconds: what was written in the second of a deletion would look older than it."""
_FULL = re.compile(r"\b507\b|StorageFull|QuotaExceeded")
_MEDIA_TYPES = {f".{extension}": media_type for media_type, extension in EXTENSIONS.items()} | {
    ".json": "application/json"
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Where objects lie, and with which rights.

    Attributes:
        name: the bucket's. It must keep no versions, or nothing that is removed is gone.
        prefix: before every key, without slashes around it; may be empty.
        region: that requests are signed for.
        key_id: the access key's id.
        secret: the access key.
        endpoint: another than Amazon's, with the bucket as the first part of its paths; http goes where it is named.
        proxy: the only one used.
    """

    name: str
    prefix: str
    region: str
    key_id: str = field(repr=False)
    secret: str = field(repr=False)
    endpoint: str | None = None
    proxy: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long the storage is waited for, in seconds, for each request.

    Attributes:
        connect_s: for a connection.
        silence_s: for the next byte.
        request_s: for a whole request and its reply; 64 MB need 0.5 MB a second.
        retries: of a request that got no answer, or a 5xx; every one of ours may be repeated.
        retry_within_s: no further one begins after that.
    """

    connect_s: float = 5.0
    silence_s: float = 15.0
    request_s: float = 120.0
    retries: int = 2
    retry_within_s: float = 20.0


class S3Blobs:
    """Keeps bytes in a bucket. See `blobs.base.Blobs` for the verbs."""

    def __init__(self, folder: Path, bucket: Bucket, *, pace: Pace | None = None) -> None:
        """Take this machine's data folder, for temporary files, and the bucket; nothing is sent yet."""
        self._local = FileBlobs(folder)
        self._store = _store(bucket, pace or Pace())
        self._limit = anyio.CapacityLimiter(AT_ONCE)

    def temporary(self) -> Path:
        """Give a fresh path in this machine's data folder."""
        return self._local.temporary()

    async def keep(self, temporary: Path, key: str) -> None:
        """Send a temporary file up under a key, and remove it once that is acknowledged."""

        def keep() -> None:
            temporary.stat()  # where it is gone, obstore's own error reads as one of the storage
            self._put(key, temporary)

        await self._ask(keep)
        await anyio.to_thread.run_sync(partial(temporary.unlink, missing_ok=True))

    async def write(self, key: str, data: bytes, *, durable: bool = True) -> None:  # noqa: ARG002  # S3 knows no other
        """Keep bytes under a key; the same key is replaced as a whole or not at all."""
        await self._ask(lambda: self._put(key, data))

    async def read(self, key: str) -> bytes | None:
        """Give the bytes, or `None` where the storage says that there are none."""

        def read() -> bytes | None:
            try:
                return bytes(obstore.get(self._store, key).bytes())
            except FileNotFoundError as error:
                if _no_bucket(error):
                    raise
                return None

        return await self._ask(read, reads=True)

    def path(self, key: str) -> None:  # the seam's
        """Give `None`: nothing that is kept is a file of this machine."""

    def key_of(self, path: Path) -> None:  # the seam's
        """Give `None`: no path of this machine is a key."""

    async def address(self, key: str, *, expires_s: float) -> str:
        """Give a presigned address; nothing is sent for it."""
        return await self._ask(lambda: obstore.sign(self._store, "GET", key, timedelta(seconds=expires_s)))

    async def renew(self, key: str) -> bool:
        """Lay an empty object beside, whose time counts as the key's.

        It comes first: whoever removes the key meanwhile either sees it, or is seen here to have removed it.
        """

        def renew() -> bool:
            self._put(RENEWED + key, b"")
            if self._written_s(key) is not None:
                return True
            obstore.delete(self._store, RENEWED + key)
            return False

        return await self._ask(renew)

    async def remove(self, keys: Mapping[str, datetime]) -> frozenset[str]:
        """Remove the objects of keys; give those that were left."""
        left: set[str] = set()

        async def remove(key: str, since: datetime) -> None:
            try:
                if not await self._ask(lambda: self._removed(key, since.timestamp())):
                    left.add(key)
            except KontextError as error:
                log.warning("a deleted object is still there: %s", error.failure.code)
                left.add(key)

        async with anyio.create_task_group() as tasks:
            for key, since in keys.items():
                tasks.start_soon(remove, key, since)
        return frozenset(left)

    async def sweep(self) -> None:
        """Remove temporary files of this machine that nobody writes any more."""
        await self._local.sweep()

    def _put(self, key: str, what: bytes | Path) -> None:
        attributes: Attributes = {_WRITTEN: repr(time.time())}
        media_type = _MEDIA_TYPES.get(PurePosixPath(key).suffix)
        if media_type is not None:
            attributes["Content-Type"] = media_type
        obstore.put(self._store, key, what, attributes=attributes, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE)

    def _written_s(self, key: str) -> float | None:
        """Give when an object was written; `None` where there is none."""
        try:
            found = obstore.get(self._store, key, options={"head": True})
        except FileNotFoundError:
            return None
        written = found.attributes.get(_WRITTEN)
        with suppress(TypeError, ValueError):
            return float(written or "")
        # One that others put there: its time is cut to the second, so it counts as the end of that.
        return found.meta["last_modified"].timestamp() + 1

    def _removed(self, key: str, since_s: float) -> bool:
        both = (key, RENEWED + key)
        now_s = time.time()
        for written_s in map(self._written_s, both):
            if written_s is not None and written_s > since_s and abs(now_s - written_s) < RENEWED_S:
                return False
        for one in both:
            try:
                # Also where nothing was found: only here does the storage tell a bucket that is not there.
                obstore.delete(self._store, one)
            except FileNotFoundError as error:
                if _no_bucket(error):
                    raise
        return True

    async def _ask(self, work: Callable[[], T], *, reads: bool = False) -> T:
        # Whoever stops waiting for a silent storage need not wait for what leaves nothing behind.
        try:
            return await anyio.to_thread.run_sync(work, abandon_on_cancel=reads, limiter=self._limit)
        except (BaseError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise storage_failure(error) from error  # of this machine: our temporary file
            # Not chained: the text holds addresses, and the storage's own words.
            raise _failure(error) from None


NO_PROXY, EVERY_HOST = "http://127.0.0.1:9", "*,0.0.0.0/0,::/0"
"""A proxy that no address goes through. Where none is named, `HTTP_PROXY` and its like are read."""


def _store(bucket: Bucket, pace: Pace) -> S3Store:
    """Make obstore's client; what it would else take from the environment is said here."""
    config: S3Config = {
        "region": bucket.region,
        "access_key_id": bucket.key_id,
        "secret_access_key": bucket.secret,
        "virtual_hosted_style_request": bucket.endpoint is None,
    }
    if bucket.endpoint is not None:
        config["endpoint"] = bucket.endpoint
    client: ClientConfig = {
        "allow_http": (bucket.endpoint or "").startswith("http:"),
        "connect_timeout": timedelta(seconds=pace.connect_s),
        "read_timeout": timedelta(seconds=pace.silence_s),
        "timeout": timedelta(seconds=pace.request_s),
        "proxy_url": bucket.proxy or NO_PROXY,
        "proxy_excludes": "" if bucket.proxy else EVERY_HOST,
    }
    return S3Store(
        bucket.name,
        prefix=bucket.prefix or None,
        config=config,
        client_options=client,
        retry_config={
            "max_retries": pace.retries,
            "retry_timeout": timedelta(seconds=pace.retry_within_s),
            "backoff": {
                "init_backoff": timedelta(milliseconds=100),
                "max_backoff": timedelta(seconds=2),
                "base": 2,
            },
        },
    )


def _no_bucket(error: Exception) -> bool:
    return "NoSuchBucket" in str(error)


def _failure(error: Exception) -> KontextError:
    """Give the failure that an error of the storage stands for; of the storage's own words nothing."""
    if _FULL.search(str(error)):
        return StorageFull(
            "The picture storage is full.",
            fix="A person must free space in the storage that KONTEXT_BLOB_URL names; then call again.",
        )
    if isinstance(error, (PermissionDeniedError, UnauthenticatedError)) or _no_bucket(error):
        return StorageBusy(
            "The picture storage refuses us.",
            fix="A person must mend KONTEXT_BLOB_URL, or AWS_ACCESS_KEY_ID and its rights there; then call again.",
        )
    return StorageBusy(
        "The picture storage does not answer.",
        fix="Call again in a minute; if that lasts, a person must look at the storage that KONTEXT_BLOB_URL names.",
    )
