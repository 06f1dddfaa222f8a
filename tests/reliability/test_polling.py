"""The bar's looks: patient, deaf to noise, and never the undoing of what has ended."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest

from kontext_server.simulator.serve import Running, running
from kontext_server.surface.answers import job_fields, job_text
from kontext_tools.http import Http, Reply
from kontext_tools.jobs import Job, JobStatus, SendState
from kontext_tools.providers.base import Phase, Snapshot
from kontext_tools.redaction import Redactor
from kontext_tools.views import Call
from support.at_simulator import ENDED, at_simulator, let_pass
from support.fake_clock import FakeClock
from support.scripted import Scripted, waiting
from support.scripted_host import Says, scripted
from support.stdio_server import PHOTOS, call, connected, fields_of
from support.workshop import OWNER, Workshop, output, workshop

pytestmark = pytest.mark.anyio

WITHIN_S = 60


def looks_at(simulator: Running) -> list[float]:
    """Give when each look at a job came."""
    return [entry.time for entry in simulator.state.journal.entries() if "/predictions/" in entry.path]


async def submitted(shop: Workshop, prompt: str = "a red car") -> Job:
    return await shop.until((await shop.generate(prompt)).job.id, SendState.SUBMITTED)


async def test_R01_a_job_of_a_minute_is_looked_at_ever_more_seldom(tmp_path: Path) -> None:
    clock = FakeClock()
    with running(clock=lambda: clock.now().timestamp(), job_seconds=60) as simulator, anyio.fail_after(WITHIN_S):
        async with at_simulator(tmp_path, simulator.base_url, clock=clock) as shop:
            job = await shop.until((await shop.generate()).job.id, *ENDED)
        times = looks_at(simulator)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert job.status is JobStatus.COMPLETED
    assert 8 <= len(times) <= 30
    assert max(gaps[:3]) < min(gaps[-3:])
    assert len({round(gap, 1) for gap in gaps[-6:]}) > 1, "no two processes look in step"


async def test_R01_a_reply_that_brings_the_picture_is_followed_by_no_look(tmp_path: Path) -> None:
    with running(job_seconds=0.0) as simulator, anyio.fail_after(WITHIN_S):
        settings = simulator.settings_of("runflow") | {"RUNFLOW_SURFACE": "run"}
        async with connected(tmp_path, settings) as client:
            cat = str(PHOTOS / "chelsea.png")
            fields = fields_of(await call(client, "edit_image", image=cat, prompt="Make it sepia"))
        asked = [entry for entry in simulator.state.journal.entries() if entry.method == "GET"]
    assert fields["status"] == "completed"
    assert [entry.path for entry in asked if "/_files/" not in entry.path] == []


async def test_R02_five_looks_that_bring_noise_are_no_failure_of_the_job(tmp_path: Path) -> None:
    noise = ["500", "accept_then_reset", "garbage", "500", "empty"]
    clock = FakeClock()
    with running(clock=lambda: clock.now().timestamp(), job_seconds=1) as simulator, anyio.fail_after(WITHIN_S):
        for fault in noise:
            simulator.state.script({"wire": "core.today", "on": "get", "fault": fault})
        async with at_simulator(tmp_path, simulator.base_url, clock=clock) as shop:
            job = await submitted(shop)
            while not job.sends[0].state.ended:
                view = await shop.studio.get_status(job.id, Call(owner=OWNER))
                assert view.job.failure is None
                await let_pass(shop, 1)
                job = await shop.store.any_job(job.id) or job
        looks = looks_at(simulator)
    assert job.status is JobStatus.COMPLETED
    assert len(looks) >= len(noise) + 1


@pytest.mark.parametrize(
    "odd",
    [
        {"job_id": "j1", "status": "dreaming"},
        {"job_id": "j1", "status": "processing", "more": {"of": ["what", None, 3]}, "eta": "soon"},
        {"job_id": "j1", "status": None},
        {"status": "dreaming"},
        {},
    ],
)
async def test_R04_a_word_that_nobody_knows_and_fields_that_come_or_go_leave_the_job_running(
    tmp_path: Path, odd: dict[str, Any]
) -> None:
    with anyio.fail_after(WITHIN_S):
        async with scripted() as host:
            host.say({"job_id": "j1", "status": "pending"}, Says(json=odd))
            async with at_simulator(tmp_path, host.base_url) as shop:
                job = await submitted(shop)
                await let_pass(shop, 60)
                while len(host.heard) < 4:
                    await let_pass(shop, 1)
                job = await shop.store.any_job(job.id) or job
    assert job.sends[0].state is SendState.SUBMITTED
    assert job.status in (JobStatus.PENDING, JobStatus.PROCESSING)
    assert len([heard for heard in host.heard if heard.method == "POST"]) == 1


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("dreaming", '"dreaming"'),
        ('dream\u202e\u200bing\x1b[2J\n"now"', "\"dream ing [2J 'now'\""),
        ("cdt_0123456789 " + "on " * 100, None),
    ],
)
async def test_R04_a_word_that_nobody_knows_is_shown_to_whoever_asks_until_a_known_one_comes(
    tmp_path: Path, word: str, shown: str | None
) -> None:
    done = {"job_id": "j1", "status": "failed", "error": "no"}
    with anyio.fail_after(WITHIN_S):
        async with scripted() as host:
            host.say({"job_id": "j1", "status": word})
            redact = Redactor(["cdt_0123456789"])
            async with at_simulator(tmp_path, host.base_url, redact=redact) as shop:
                job = await submitted(shop)
                running = await shop.studio.get_status(job.id, Call(owner=OWNER))
                host.say(done)
                ended = await shop.until(job.id, *ENDED)
                after = await shop.studio.get_status(ended.id, Call(owner=OWNER))
    (warning,) = job_fields(running, lambda _owner, _ref, _key: {})["warnings"]
    said, _, rest = warning.removeprefix("core.today calls it ").rpartition(",")
    assert rest == " a status that is not known here; it counts as still running."
    assert said == shown if shown is not None else len(said) <= 62 and "cdt_0123456789" not in said
    assert warning in job_text(running, lambda _owner, _ref, _key: {})
    assert after.warnings == ()


async def test_R05_a_status_that_goes_back_changes_nothing_that_has_ended(tmp_path: Path) -> None:
    done = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
    provider = Scripted(creates=[waiting()], looks=[done, Snapshot(phase=Phase.WORKING, remote_id="r1")])
    with anyio.fail_after(WITHIN_S):
        async with workshop(tmp_path, provider) as shop:
            first = await shop.until((await shop.generate()).job.id, *ENDED)
            await shop.store.poke(first.id, now=shop.clock.now())
            shop.engine.wake()
            await let_pass(shop, 60)
            later = await shop.studio.get_status(first.id, Call(owner=OWNER))
    assert (first.status, later.job.status) == (JobStatus.COMPLETED, JobStatus.COMPLETED)
    assert later.job.outputs == first.outputs
    assert provider.looks == 1


async def test_R06_an_answer_that_trickles_is_left_at_its_deadline_and_delays_no_other_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Http.call

    async def impatient(self: Http, method: str, url: str, **rest: Any) -> Reply:
        return await whole(self, method, url, **rest, total_s=1.0 if method == "GET" else None)

    monkeypatch.setattr(Http, "call", impatient)  # the same deadline of the whole, but a second instead of 70
    clock = FakeClock()
    with running(clock=lambda: clock.now().timestamp(), job_seconds=0.1) as simulator, anyio.fail_after(WITHIN_S):
        async with at_simulator(tmp_path, simulator.base_url, clock=clock) as shop:
            stuck = await submitted(shop, "stuck")
            slow = {"wire": "core.today", "on": "get", "fault": "slow_body", "interval": 0.2}
            simulator.state.script(slow | {"match": str(stuck.sends[0].remote_id)})
            other = await shop.until((await shop.generate("other")).job.id, *ENDED)
            meanwhile = await shop.store.any_job(stuck.id)
            job = await shop.until(stuck.id, *ENDED)
    assert meanwhile is not None
    assert meanwhile.sends[0].state is SendState.SUBMITTED
    assert (other.status, job.status) == (JobStatus.COMPLETED, JobStatus.COMPLETED)
