"""What is S3's alone: where objects lie, how it fails, what it is told of when something was written."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest
from inline_snapshot import snapshot

from kontext_tools.blobs.s3 import RENEWED, Pace, S3Blobs
from kontext_tools.errors import KontextError, StorageBusy
from support.bucket import IMPATIENT, KEY_ID, PREFIX, QUICK, SECRET, Held, asked, door, place
from support.scripted_host import Says, scripted

pytestmark = pytest.mark.anyio

KEY = "images/red-car-4k7q-1.png"
SOURCE = f"sources/{'ab' * 32}.png"


@pytest.fixture
def blobs(tmp_path: Path, held: Held) -> S3Blobs:
    return held.blobs(tmp_path)


async def test_objects_lie_under_the_prefix_and_only_what_is_temporary_on_this_machine(
    blobs: S3Blobs, held: Held, tmp_path: Path
) -> None:
    await blobs.write(KEY, b"picture")
    await blobs.write("images/red-car-4k7q-1.json", b"{}")
    assert held.objects() == {KEY, "images/red-car-4k7q-1.json"}
    assert list(tmp_path.iterdir()) == []
    assert (blobs.path(KEY), blobs.key_of(tmp_path / KEY)) == (None, None)


async def _told(host: str, tmp_path: Path, pace: Pace = QUICK) -> tuple[str, str, str, bool]:
    """Give how a failure is told, the same whatever was asked."""
    blobs = S3Blobs(tmp_path, place("hidden-bucket", host), pace=pace)
    temporary = blobs.temporary()
    temporary.write_bytes(b"paid for")
    failures: set[tuple[str, str, str, bool]] = set()
    for verb in (
        lambda: blobs.read(KEY),
        lambda: blobs.write(KEY, b"x"),
        lambda: blobs.renew(SOURCE),
        lambda: blobs.keep(temporary, KEY),
    ):
        with pytest.raises(KontextError) as caught:
            await verb()
        failure = caught.value.failure
        failures.add((failure.code, failure.message, failure.fix, failure.retryable))
        assert caught.value.__cause__ is None and caught.value.__suppress_context__
    assert temporary.read_bytes() == b"paid for"
    (told,) = failures
    text = " ".join(told[:3])
    assert not [word for word in ("hidden-bucket", host, KEY_ID, SECRET, "Words of") if word in text]
    return told


def _says(status: int, code: str) -> Says:
    return Says(status=status, body=f"<Error><Code>{code}</Code><Message>Words of theirs</Message></Error>".encode())


async def test_a_storage_that_refuses_us_is_told_as_that(tmp_path: Path) -> None:
    with anyio.fail_after(30):
        async with scripted(_says(403, "AccessDenied")) as host:
            refused = await _told(host.base_url, tmp_path)
    assert refused == snapshot(
        (
            "storage_busy",
            "The picture storage refuses us.",
            "A person must mend KONTEXT_BLOB_URL, or AWS_ACCESS_KEY_ID and its rights there; then call again.",
            True,
        )
    )


async def test_a_storage_without_space_is_told_as_full(tmp_path: Path) -> None:
    with anyio.fail_after(30):
        async with scripted(_says(507, "XMinioStorageFull")) as host:
            full = await _told(host.base_url, tmp_path)
    assert full == snapshot(
        (
            "storage_full",
            "The picture storage is full.",
            "A person must free space in the storage that KONTEXT_BLOB_URL names; then call again.",
            True,
        )
    )


@pytest.mark.parametrize("how", ["closed", "hangs up", "fails", "silent"])
async def test_a_storage_that_does_not_answer_is_told_as_that_and_never_as_nothing(tmp_path: Path, how: str) -> None:
    never = anyio.Event()
    says = {"hangs up": Says(status=None), "fails": _says(500, "InternalError"), "silent": Says(after=never)}
    with anyio.fail_after(60):
        async with scripted(says.get(how, Says())) as host:
            pace = IMPATIENT if how == "silent" else QUICK
            silent = await _told("http://127.0.0.1:9" if how == "closed" else host.base_url, tmp_path, pace)
            never.set()
    assert silent[:2] == ("storage_busy", "The picture storage does not answer.")


async def test_whoever_stops_waiting_for_a_silent_storage_goes_at_once(tmp_path: Path) -> None:
    with anyio.fail_after(30):
        async with scripted(Says(status=None, after=(never := anyio.Event()))) as host:
            blobs = S3Blobs(tmp_path, place("a-bucket", host.base_url), pace=QUICK)
            with anyio.CancelScope() as waiting:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(blobs.read, KEY)
                    await host.asked.wait()
                    waiting.cancel()
            assert waiting.cancelled_caught and len(host.heard) == 1
            never.set()


async def test_a_bucket_that_is_not_there_holds_not_nothing(tmp_path: Path, storage: str) -> None:
    blobs = S3Blobs(tmp_path, place("nobody-made-this", storage))
    with pytest.raises(StorageBusy, match="refuses us"):
        await blobs.read(KEY)
    ahead = datetime.now(UTC) + timedelta(days=1)
    assert await blobs.remove({KEY: ahead}) == {KEY}


async def test_what_could_not_be_removed_is_left_and_logged_without_its_name(
    tmp_path: Path, held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    ahead = datetime.now(UTC) + timedelta(days=1)
    with door(held.base_url) as before, caplog.at_level(logging.DEBUG):
        blobs = held.blobs(tmp_path, endpoint=before.url, pace=QUICK)
        await blobs.write(KEY, b"one")
        before.shut = True
        assert await blobs.remove({KEY: ahead}) == {KEY}
        assert before.turned_away > 0
        before.shut = False
        assert await blobs.remove({KEY: ahead}) == frozenset()
    assert held.objects() == set()
    assert [record.getMessage() for record in caplog.records if record.name.startswith("kontext")] == [
        "a deleted object is still there: storage_busy"
    ]


async def test_what_says_that_a_source_is_wanted_anew_goes_with_it(blobs: S3Blobs, held: Held) -> None:
    assert not await blobs.renew(SOURCE)
    assert held.objects() == set()
    await blobs.write(SOURCE, b"one")
    assert await blobs.renew(SOURCE)
    assert held.objects() == {SOURCE, RENEWED + SOURCE}
    assert await blobs.remove({SOURCE: datetime.now(UTC)}) == frozenset()
    assert held.objects() == set()


async def test_what_others_put_there_counts_as_written_at_the_end_of_its_second(blobs: S3Blobs, held: Held) -> None:
    held.put(SOURCE, b"carried over")
    assert await blobs.read(SOURCE) == b"carried over"
    assert await blobs.remove({SOURCE: datetime.now(UTC) - timedelta(seconds=2)}) == {SOURCE}
    assert await blobs.remove({SOURCE: datetime.now(UTC) + timedelta(seconds=2)}) == frozenset()


async def test_a_presigned_address_gives_the_picture_and_ends(blobs: S3Blobs, held: Held) -> None:
    await blobs.write(KEY, b"picture")
    url = await blobs.address(KEY, expires_s=3600)
    parts = urlsplit(url)
    assert asked("GET", url) == b"picture"
    assert (parts.path, parse_qs(parts.query)["X-Amz-Expires"]) == (f"/{held.name}/{PREFIX}/{KEY}", ["3600"])
    assert SECRET not in url


async def test_another_proxy_than_the_one_named_is_never_used(
    held: Held, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    blobs = held.blobs(tmp_path)
    await blobs.write(KEY, b"picture")
    assert await blobs.read(KEY) == b"picture"


async def test_the_proxy_that_is_named_is_used(held: Held, tmp_path: Path) -> None:
    bucket = place(held.name, "http://storage.invalid")
    with door(held.base_url) as proxy:
        proxy.shut = True
        blobs = S3Blobs(tmp_path, replace(bucket, proxy=proxy.url), pace=QUICK)
        with pytest.raises(StorageBusy):
            await blobs.read(KEY)
        assert proxy.turned_away > 0


def test_what_a_bucket_is_shown_as_holds_no_key() -> None:
    shown = repr(place("a-bucket", "https://storage.example"))
    assert KEY_ID not in shown and SECRET not in shown
