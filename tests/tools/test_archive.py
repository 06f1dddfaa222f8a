"""The archive: links that die, bodies that lie, disks that are full, and what is kept all the same."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from inline_snapshot import snapshot

from kontext_server.simulator.serve import Running
from kontext_tools.blobs.base import storage_failure
from kontext_tools.blobs.files import FileBlobs
from kontext_tools.edits import Edit
from kontext_tools.errors import Billed
from kontext_tools.guard import Guard
from kontext_tools.http import Http
from kontext_tools.jobs import Job, JobStatus, SendState
from kontext_tools.output_folder import OutputFolder
from kontext_tools.providers.base import Phase, RemoteOutput, Snapshot
from kontext_tools.providers.core_today import CoreToday
from kontext_tools.shelf import Shelf
from kontext_tools.views import Call, Quote
from support.bucket import QUICK, Held, door
from support.scripted import OFFER, Scripted
from support.scripted_host import Says, scripted
from support.workshop import OWNER, Workshop, output, png, workshop

pytestmark = pytest.mark.anyio

ENDED = (SendState.COMPLETED, SendState.FAILED, SendState.CANCELLED, SendState.UNKNOWN)


async def _edited(folder: Path, simulator: Running, **faults: Any) -> Job:
    base_url = f"{simulator.base_url}/core.today/v1"
    for fault in [faults] if faults else []:
        simulator.state.script({"wire": "core.today", "on": "file", **fault})
    http = Http()
    adapter = CoreToday(http, key="cdt_x", base_url=base_url)
    with anyio.fail_after(30):
        async with workshop(folder, adapter, guard=Guard(trusted=[base_url])) as shop:
            job = await shop.until((await shop.generate()).job.id, *ENDED)
    await http.aclose()
    return job


async def test_a_result_lies_on_disk_for_its_owner_alone(tmp_path: Path, simulator: Running) -> None:
    job = await _edited(tmp_path, simulator)
    assert job.outputs[0].remote_url is not None
    assert (tmp_path / job.outputs[0].blob).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("fault", ["expired", "404"])
async def test_a_dead_link_is_asked_for_once_more(tmp_path: Path, simulator: Running, fault: str) -> None:
    job = await _edited(tmp_path, simulator, fault=fault)
    assert job.status is JobStatus.COMPLETED
    assert job.sends[0].reasks == 1


async def test_a_link_that_stays_dead_ends_as_expired_and_paid(tmp_path: Path, simulator: Running) -> None:
    job = await _edited(tmp_path, simulator, fault="expired", times="always")
    assert job.failure is not None
    assert (job.status, job.failure.code, job.failure.billed) == (JobStatus.FAILED, "result_expired", Billed.YES)


@pytest.mark.parametrize(
    "fault", [{"fault": "500"}, {"fault": "accept_then_reset"}, {"fault": "truncated", "content_length": "right"}]
)
async def test_a_broken_download_is_tried_again(tmp_path: Path, simulator: Running, fault: dict[str, Any]) -> None:
    job = await _edited(tmp_path, simulator, **fault)
    assert job.status is JobStatus.COMPLETED


async def test_a_download_that_always_breaks_ends_as_expired(tmp_path: Path, simulator: Running) -> None:
    job = await _edited(tmp_path, simulator, fault="500", times="always")
    assert job.failure is not None
    assert job.failure.code == "result_expired"


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "wrong_type", "times": "always"},
        {"fault": "truncated", "content_length": "wrong", "times": "always"},
        {"fault": "redirect", "url": "https://169.254.169.254/x"},
        {"fault": "oversize"},
    ],
)
async def test_what_is_no_picture_of_an_allowed_place_and_size_is_not_kept(
    tmp_path: Path, simulator: Running, fault: dict[str, Any]
) -> None:
    job = await _edited(tmp_path, simulator, **fault)
    assert job.failure is not None
    assert (job.failure.code, job.failure.billed) == ("result_invalid", Billed.YES)
    assert not (tmp_path / "images").exists()
    assert list((tmp_path / ".tmp").iterdir()) == []  # a test may wait for its own disk


async def test_a_broken_picture_that_no_id_stands_for_is_fetched_again_by_its_address(tmp_path: Path) -> None:
    with anyio.fail_after(20):
        async with scripted() as host:
            host.say(Says(body=png()[:60]), Says(body=png()))
            at_once = Snapshot(phase=Phase.DONE, outputs=(RemoteOutput(url=f"{host.base_url}/a.png"),))
            provider = Scripted(creates=[at_once])
            async with workshop(tmp_path, provider, guard=Guard(trusted=[host.base_url])) as shop:
                job = await shop.until((await shop.generate()).job.id, *ENDED)
    assert (job.status, job.warnings, job.sends[0].pending_urls) == (JobStatus.COMPLETED, (), ())
    assert (len(host.heard), provider.looks, len(provider.creates)) == (2, 0, 1)


async def test_of_two_images_the_address_of_the_one_that_stays_broken_is_kept_beside_the_other(tmp_path: Path) -> None:
    with anyio.fail_after(20):
        async with scripted() as host:
            host.say(Says(body=png()), Says(body=png()[:60]))
            urls = [f"{host.base_url}/{name}.png" for name in ("whole", "broken")]
            done = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=tuple(RemoteOutput(url=url) for url in urls))
            provider = Scripted(creates=[done], offer=replace(OFFER, images_per_send=4))
            async with workshop(tmp_path, provider, guard=Guard(trusted=[host.base_url])) as shop:
                job = await shop.until((await shop.generate(num_images=2)).job.id, *ENDED)
    assert (job.status, [kept.n for kept in job.outputs]) == (JobStatus.COMPLETED, [1])
    assert [heard.path for heard in host.heard] == ["/whole.png", "/broken.png", "/broken.png"]
    assert (job.warnings, [url for url, _ in job.sends[0].pending_urls]) == (
        snapshot(
            (
                (
                    "Image 2 was not kept: The provider finished, and may have charged, but what it delivered is "
                    "truncated or broken."
                ),
            )
        ),
        urls,
    )


async def test_of_four_images_the_three_that_came_are_kept(tmp_path: Path) -> None:
    outputs = (output(), output("blue"), RemoteOutput(data=b"junk"), output("green"))
    done = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=outputs)
    provider = Scripted(creates=[done], offer=replace(OFFER, images_per_send=4))
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            job = await shop.until((await shop.generate(num_images=4)).job.id, *ENDED)
    assert job.status is JobStatus.COMPLETED
    assert [kept.n for kept in job.outputs] == [1, 2, 4]
    assert job.warnings == snapshot(
        (
            (
                "Image 3 was not kept: The provider finished, and may have charged, but what it delivered is neither "
                "PNG, JPEG, WebP nor GIF."
            ),
        )
    )


async def test_fewer_images_than_asked_and_another_format_are_told(tmp_path: Path) -> None:
    done = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
    provider = Scripted(creates=[done], offer=replace(OFFER, images_per_send=4))
    edit = Edit(prompt="a car", aspect_ratio="1:1", num_images=2, output_format="jpg")
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            view = await shop.studio.generate_image(edit, Call(owner=OWNER))
            assert not isinstance(view, Quote)
            job = await shop.until(view.job.id, *ENDED)
    assert job.warnings == snapshot(("The provider gave 1 of 2 images.", "jpg was asked for and png was delivered."))


async def _full(*_: object) -> None:
    await anyio.lowlevel.checkpoint()
    raise storage_failure(OSError(errno.ENOSPC, "full"))


async def _without_space(shop: Workshop) -> Job:
    """Ask for a picture, and give its job once it waits for space."""
    job_id = (await shop.generate()).job.id
    waiting = await shop.until(job_id, SendState.READY)
    while waiting.failure is None:
        waiting = await shop.until(job_id, SendState.READY)
    return waiting


async def test_a_full_disk_leaves_the_job_finishable_and_says_that_it_is_paid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
    keep = FileBlobs.keep
    monkeypatch.setattr(FileBlobs, "keep", _full)
    with anyio.fail_after(20):
        async with workshop(tmp_path, Scripted(creates=[done], looks=[done])) as shop:
            waiting = await _without_space(shop)
            job_id = waiting.id
            monkeypatch.setattr(FileBlobs, "keep", keep)
            await shop.studio.get_status(job_id, Call(owner=OWNER))
            job = await shop.until(job_id, *ENDED)
    assert waiting.failure is not None
    assert (waiting.failure.code, waiting.failure.billed, waiting.failure.retryable) == ("storage_full", "yes", True)
    assert waiting.failure.job_id == job_id
    assert waiting.status is JobStatus.PROCESSING
    assert job.status is JobStatus.COMPLETED


async def test_a_storage_that_is_away_holds_a_paid_picture_up_until_it_is_back(tmp_path: Path, held: Held) -> None:
    done = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
    with anyio.fail_after(40), door(held.base_url) as before:
        blobs = held.blobs(tmp_path, endpoint=before.url, pace=QUICK)
        before.shut = True
        provider = Scripted(creates=[done], looks=[done])
        async with workshop(tmp_path, provider, blobs=blobs) as shop:
            waiting = await _without_space(shop)
            assert list((tmp_path / ".tmp").iterdir()) == []
            before.shut = False
            await shop.studio.get_status(waiting.id, Call(owner=OWNER))
            job = await shop.until(waiting.id, *ENDED)
    assert waiting.failure is not None
    assert (waiting.failure.code, waiting.failure.billed, waiting.failure.retryable) == ("storage_busy", "yes", True)
    assert (waiting.status, job.status, len(provider.creates)) == (JobStatus.PROCESSING, JobStatus.COMPLETED, 1)
    assert held.objects() == {f"images/{job.id}-1.{end}" for end in ("png", "json")}


async def test_where_its_facts_find_no_space_a_picture_does_not_count_until_they_lie_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
    write = FileBlobs.write
    monkeypatch.setattr(FileBlobs, "write", _full)
    with anyio.fail_after(20):
        async with workshop(tmp_path, Scripted(creates=[done], looks=[done])) as shop:
            waiting = await _without_space(shop)
            job_id = waiting.id
            assert [path.suffix for path in (tmp_path / "images").iterdir()] == [".png"]
            monkeypatch.setattr(FileBlobs, "write", write)
            await shop.studio.get_status(job_id, Call(owner=OWNER))
            job = await shop.until(job_id, *ENDED)
    assert waiting.failure is not None
    assert (waiting.outputs, waiting.status, waiting.failure.code) == ((), JobStatus.PROCESSING, "storage_full")
    assert [kept.n for kept in job.outputs] == [1]
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == [f"{job_id}-1.json", f"{job_id}-1.png"]


async def test_a_finished_image_is_also_copied_to_the_operators_folder(tmp_path: Path) -> None:
    done = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
    folder = tmp_path / "mine"
    with anyio.fail_after(20):
        async with workshop(tmp_path / "data", Scripted(creates=[done]), output_dir=folder) as shop:
            job = await shop.until((await shop.generate()).job.id, *ENDED)
            assert (folder / f"{job.id}-1.png").read_bytes() == png(colour="red")
            await OutputFolder(folder, Shelf(FileBlobs(tmp_path / "data"))).copy(job.id, job.outputs[0])
    assert sorted(path.name for path in folder.iterdir()) == [f"{job.id}-1-2.png", f"{job.id}-1.png"]


async def test_an_operators_folder_that_cannot_be_written_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("a file", encoding="utf-8")
    done = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
    with anyio.fail_after(20):
        async with workshop(tmp_path / "data", Scripted(creates=[done]), output_dir=tmp_path / "mine") as shop:
            job = await shop.until((await shop.generate()).job.id, *ENDED)
    assert job.status is JobStatus.COMPLETED
