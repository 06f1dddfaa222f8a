"""What a task tells while its job runs, with a provider that does what the test says, on a clock that it moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from inline_snapshot import snapshot

from kontext_server.surface.server import make_server
from kontext_tools.errors import OutcomeUnknown
from kontext_tools.jobs import SendState
from kontext_tools.providers.base import CancelOutcome, Lost, Phase, Snapshot, SubmitFailed, Verdict
from support.looking_in import DataFolder
from support.scripted import OFFER, Scripted, waiting
from support.scripted_app import scripted_app
from support.stdio_server import fields_of
from support.task_client import cancel, get, result_of, taking_tasks, task_of
from support.workshop import output

pytestmark = pytest.mark.anyio

CAR: dict[str, Any] = {"prompt": "a red car"}
WORKING = Snapshot(phase=Phase.WORKING, remote_id="r1")
DONE = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))

LOST = SubmitFailed(Verdict.UNKNOWN, OutcomeUnknown("lost", fix="look").failure)


async def test_a_task_tells_where_its_job_stands_and_then_for_good_what_became_of_it(tmp_path: Path) -> None:
    provider = Scripted(creates=[waiting()], looks=[WORKING, DONE])
    async with scripted_app(tmp_path, provider) as (app, shop), taking_tasks(make_server(app)) as client:
        told = await task_of(client, "generate_image", CAR)
        job_id = DataFolder(tmp_path).one("SELECT id FROM jobs")
        await shop.until(job_id, SendState.SUBMITTED)
        shop.clock.advance(4)
        eta_s = round(10 - shop.clock.monotonic())
        standing = await get(client, told.task_id)
        await shop.until(job_id, SendState.COMPLETED)
        ended = await get(client, told.task_id)
        shop.clock.advance(3600)
        later = await get(client, told.task_id)
    assert standing.pop("statusMessage").endswith(f" at core.today, about {eta_s} s to go.")
    assert standing.pop("taskId") == told.task_id
    assert {name: value for name, value in standing.items() if name != "_meta"} == snapshot(
        {
            "status": "working",
            "createdAt": "2026-11-20T12:00:00.000Z",
            "lastUpdatedAt": "2026-11-20T12:00:00.000Z",
            "ttlMs": 86400000,
            "pollIntervalMs": 1000,
            "resultType": "complete",
        }
    )
    assert later == ended
    assert ended["lastUpdatedAt"] > standing["lastUpdatedAt"]
    assert fields_of(result_of(ended))["status"] == "completed"


async def test_a_cancel_that_the_provider_refuses_is_told_and_the_picture_comes(tmp_path: Path) -> None:
    now = WORKING

    async def look() -> Snapshot:
        return now

    provider = Scripted(creates=[waiting()], looks=[look])
    provider.cancel_outcome = CancelOutcome.CANNOT
    async with scripted_app(tmp_path, provider) as (app, shop), taking_tasks(make_server(app)) as client:
        told = await task_of(client, "generate_image", CAR)
        job_id = DataFolder(tmp_path).one("SELECT id FROM jobs")
        await shop.until(job_id, SendState.SUBMITTED)
        await cancel(client, told.task_id)
        standing = await get(client, told.task_id)
        now = DONE
        await shop.until(job_id, SendState.COMPLETED)
        ended = await get(client, told.task_id)
    assert provider.cancels == ["r1"]
    assert standing["status"] == "working"
    assert standing["statusMessage"].endswith("Its cancel was asked for.")
    assert fields_of(result_of(ended))["status"] == "completed"


class Lists(Scripted):
    """A host that lists its jobs, and shows the lost one when the test says so."""

    def __init__(self) -> None:
        super().__init__(creates=[LOST], looks=[DONE], offer=replace(OFFER, finds=True))
        self.listed: list[str] = []

    async def find(self, lost: Lost) -> Sequence[str]:  # noqa: ARG002  # the seam names it
        """Show the ids."""
        return self.listed


async def test_one_whose_reply_was_lost_is_working_for_as_long_as_it_is_looked_for(tmp_path: Path) -> None:
    host = Lists()
    async with scripted_app(tmp_path, host) as (app, shop), taking_tasks(make_server(app)) as client:
        told = await task_of(client, "generate_image", CAR)
        job_id = DataFolder(tmp_path).one("SELECT id FROM jobs")
        job = await shop.until(job_id, SendState.UNKNOWN)
        while not job.settled:
            job = await shop.until(job_id, SendState.UNKNOWN)
            shop.clock.advance(0.5)
            with anyio.move_on_after(0.02):
                await anyio.sleep_forever()
        searched = await get(client, told.task_id)
        status = await client.call_tool("get_status", {"job_id": job_id})
        host.listed = ["r1"]
        await shop.until(job_id, SendState.COMPLETED)
        result = result_of(await get(client, told.task_id))
    # A call that waits is told that it is in doubt by then; a task can wait for what is found.
    assert (searched["status"], fields_of(status)["status"]) == ("working", "unknown")
    assert fields_of(result)["status"] == "completed"
