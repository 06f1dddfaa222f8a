"""A reply that was lost at a host that lists its jobs: what was paid for is found, and nothing else is taken for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest

from kontext_server.simulator.serve import Running, running
from kontext_tools.budget import Unit
from kontext_tools.edits import Edit
from kontext_tools.errors import OutcomeUnknown
from kontext_tools.guard import Guard
from kontext_tools.http import Http
from kontext_tools.jobs import Job, JobStatus, SendState, Sought
from kontext_tools.providers.base import Attachment, Order
from kontext_tools.providers.replicate import KKIAI, REPLICATE, Replicate, ReplicateHost
from kontext_tools.views import Call, View
from support.by_hand import by_hand
from support.fake_clock import FakeClock
from support.looking_in import DataFolder
from support.orders import intent
from support.waiting import until
from support.workshop import OWNER, Workshop, png, workshop

pytestmark = pytest.mark.anyio

WITHIN_S = 60
ENDED = (SendState.COMPLETED, SendState.FAILED, SendState.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Replicate's wire of the simulator, on the clock of the toolkit that it serves."""

    simulator: Running
    clock: FakeClock

    def at(self, on: str, fault: str, **more: Any) -> None:
        """Script a fault."""
        self.simulator.state.script({"wire": "replicate", "on": on, "fault": fault, **more})

    def requests(self, method: str, path: str) -> int:
        """Count the requests whose path ends so."""
        entries = self.simulator.state.journal.entries()
        return sum(entry.method == method and entry.path.endswith(path) for entry in entries)

    @property
    def counted(self) -> tuple[int, int]:
        """Creates that came, and those charged."""
        counter = self.simulator.state.counter()
        return counter["creates"]["replicate"], counter["charged"]["replicate"]


@pytest.fixture
def host() -> Generator[Host]:
    clock = FakeClock()
    with running(clock=lambda: clock.now().timestamp(), job_seconds=0.0) as simulator:
        yield Host(simulator=simulator, clock=clock)


@asynccontextmanager
async def at_host(folder: Path, host: Host, facts: ReplicateHost = REPLICATE) -> AsyncGenerator[Workshop]:
    prefix = "/replicate/v1" if facts is REPLICATE else "/kkiai/replicate/v1"
    address, http = host.simulator.base_url + prefix, Http()
    provider = Replicate(http, host=facts, key="r8_x", base_url=address)
    try:
        async with workshop(folder, provider, guard=Guard(trusted=[address]), clock=host.clock) as shop:
            yield shop
    finally:
        await http.aclose()


async def asked(shop: Workshop, prompt: str = "a red car", *, request_key: str = "", **more: Any) -> str:
    edit = Edit(prompt=prompt, aspect_ratio="1:1", **more)
    view = await shop.studio.generate_image(edit, Call(owner=OWNER, request_key=request_key))
    assert isinstance(view, View)
    return view.job.id


async def a_moment() -> None:
    """Let what goes over loopback arrive; the toolkit's own time stands still."""
    with anyio.move_on_after(0.02):
        await anyio.sleep_forever()


async def searched_out(shop: Workshop, job_id: str) -> Job:
    """Let time pass until a job is not looked for any more."""
    await shop.until(job_id, SendState.UNKNOWN, *ENDED)
    while True:
        with shop.engine.news_of(job_id) as news:
            job = await shop.store.any_job(job_id)
            assert job is not None
            if not job.searched:
                return job
            with anyio.move_on_after(0.02):
                await news.wait()
                continue
        shop.clock.advance(5)


async def spent(shop: Workshop) -> Decimal:
    return await shop.store.spent(OWNER, day="2026-11-20", unit=Unit.USD)


async def made_elsewhere(host: Host, prompt: str, *, seed: int | None = None, image: Attachment | None = None) -> None:
    """Make a prediction as another program does that has the same key."""
    http = Http()
    try:
        provider = Replicate(http, host=REPLICATE, key="r8_x", base_url=f"{host.simulator.base_url}/replicate/v1")
        edit = Edit(prompt=prompt, aspect_ratio="1:1")
        await provider.submit(Order(key="x", edit=edit, prompt=prompt, seed=seed, image=image), intent)
    finally:
        await http.aclose()


async def test_C01_a_job_whose_reply_was_lost_is_found_and_completes_and_is_charged_once(
    tmp_path: Path, host: Host
) -> None:
    host.at("create", "accept_then_reset")
    with anyio.fail_after(WITHIN_S):
        async with at_host(tmp_path, host) as shop:
            job_id = await asked(shop)
            lost = await shop.until(job_id, SendState.UNKNOWN)
            found = await shop.until(job_id, *ENDED)
            assert await spent(shop) == Decimal("0.04")
    assert (lost.status, lost.searched) == (JobStatus.UNKNOWN, True)
    assert (found.status, len(found.outputs), found.failure) == (JobStatus.COMPLETED, 1, None)
    assert host.counted == (1, 1)


async def test_a_call_that_waits_gets_the_picture_although_the_reply_was_lost(tmp_path: Path, host: Host) -> None:
    host.at("create", "accept_then_reset")
    views: list[View] = []
    with anyio.fail_after(WITHIN_S):
        async with at_host(tmp_path, host) as shop, anyio.create_task_group() as tasks:

            async def ask() -> None:
                edit = Edit(prompt="a red car", aspect_ratio="1:1")
                view = await shop.studio.generate_image(edit, Call(owner=OWNER, wait_s=25))
                assert isinstance(view, View)
                views.append(view)

            tasks.start_soon(ask)
            while not views:
                await a_moment()
                shop.clock.advance(0.5)
    assert views[0].job.status is JobStatus.COMPLETED
    assert host.counted == (1, 1)


async def test_each_of_several_lost_creates_of_one_call_is_bound_to_its_own(tmp_path: Path, host: Host) -> None:
    host.at("create", "accept_then_reset", times="always")
    with anyio.fail_after(WITHIN_S):
        async with at_host(tmp_path, host) as shop:
            found = await shop.until(await asked(shop, num_images=3), *ENDED)
            assert await spent(shop) == Decimal("0.12")
    assert (found.status, len(found.outputs)) == (JobStatus.COMPLETED, 3)
    assert {send.remote_id for send in found.sends} == set(host.simulator.state.jobs)
    assert host.counted == (3, 3)


@pytest.mark.parametrize(("first", "taken"), [("accept_then_reset", 2), ("500", 1)])
async def test_two_lost_creates_that_cannot_be_told_apart_stay_unknown(
    tmp_path: Path, host: Host, first: str, taken: int
) -> None:
    """The caller's own seed is the same in both: whether one job or two came of them, none is certainly either's."""
    host.at("create", first)
    host.at("create", "accept_then_reset")
    with anyio.fail_after(WITHIN_S):
        async with at_host(tmp_path, host) as shop:
            ids = [await asked(shop, seed=7, request_key=key) for key in ("one", "two")]
            for job_id in ids:
                await shop.until(job_id, SendState.UNKNOWN)
            shop.clock.advance(1)  # from here on both are due at the same moments, give or take a tenth
            jobs = [await searched_out(shop, job_id) for job_id in ids]
            assert await spent(shop) == Decimal("0.08")
    assert [(job.status, job.sends[0].remote_id) for job in jobs] == [(JobStatus.UNKNOWN, None)] * 2
    assert host.counted == (2, taken)


async def test_of_two_equal_creates_the_lost_one_is_told_by_the_id_of_the_other(tmp_path: Path, host: Host) -> None:
    with anyio.fail_after(WITHIN_S):
        async with at_host(tmp_path, host) as shop:
            served = await shop.until(await asked(shop, seed=7, request_key="one"), *ENDED)
            host.at("create", "accept_then_reset")
            found = await shop.until(await asked(shop, seed=7, request_key="two"), *ENDED)
    assert found.status is JobStatus.COMPLETED
    assert {served.sends[0].remote_id, found.sends[0].remote_id} == set(host.simulator.state.jobs)


async def test_a_create_that_is_not_in_the_list_stays_unknown_and_is_never_made_again(
    tmp_path: Path, host: Host
) -> None:
    host.at("create", "500")
    with anyio.fail_after(WITHIN_S):
        async with at_host(tmp_path, host) as shop:
            job = await searched_out(shop, await asked(shop))
            with pytest.raises(OutcomeUnknown):
                await asked(shop)
            assert await spent(shop) == Decimal("0.04")
    assert (job.status, job.sends[0].sought, job.sends[0].searches) == (JobStatus.UNKNOWN, Sought.NOT_SHOWN, 10)
    assert host.counted == (1, 0)
    assert host.requests("GET", "/predictions") >= 10


async def test_what_other_programs_made_is_never_taken_for_ours(tmp_path: Path, host: Host) -> None:
    """The same prompt without a seed and with another, another prompt with the same seed, and one with a picture."""
    host.at("create", "500", match="ours")
    cat = png()

    async def read() -> bytes:
        await anyio.lowlevel.checkpoint()
        return cat

    with anyio.fail_after(WITHIN_S):
        async with at_host(tmp_path, host) as shop:
            ids = [await asked(shop, "ours"), await asked(shop, "ours", seed=7)]
            await shop.until(ids[0], SendState.UNKNOWN)
            job = await shop.until(ids[1], *ENDED)
            assert job.status is JobStatus.COMPLETED, "the fault was used up by the first"
            host.simulator.state.script({"wire": "replicate", "on": "create", "fault": "500", "match": "ours, late"})
            late = await asked(shop, "ours, late", seed=9)
            await shop.until(late, SendState.UNKNOWN)
            for prompt, seed in (("ours", None), ("ours", 8), ("ours, late", 7), ("another", 9)):
                await made_elsewhere(host, prompt, seed=seed)
            await made_elsewhere(host, "ours, late", seed=9, image=Attachment(read=read))
            jobs = [await searched_out(shop, job_id) for job_id in (ids[0], late)]
    assert [(job.status, job.sends[0].sought) for job in jobs] == [(JobStatus.UNKNOWN, Sought.NOT_SHOWN)] * 2


@pytest.mark.parametrize("fault", ["401", "429", "500", "garbage", "empty", "accept_then_reset"])
async def test_a_list_that_tells_nothing_leaves_it_unknown_and_a_later_look_finds_it(
    tmp_path: Path, host: Host, fault: str
) -> None:
    host.at("create", "accept_then_reset")
    host.at("list", fault, times=3)
    with anyio.fail_after(WITHIN_S):
        async with at_host(tmp_path, host) as shop:
            job_id = await asked(shop)
            while host.requests("GET", "/predictions") < 3:
                await shop.until(job_id, SendState.UNKNOWN)
                shop.clock.advance(0.5)
                await a_moment()
            job = await shop.until(job_id, SendState.UNKNOWN)
            assert (job.status, job.sends[0].searches) == (JobStatus.UNKNOWN, 0)
            found = await shop.until(job_id, *ENDED)
    assert found.status is JobStatus.COMPLETED
    assert host.counted == (1, 1)


async def test_a_list_that_never_tells_is_not_asked_for_more_than_a_day_and_ever_less_often(
    tmp_path: Path, host: Host
) -> None:
    host.at("create", "accept_then_reset")
    host.at("list", "garbage", times="always")
    with anyio.fail_after(WITHIN_S):
        async with at_host(tmp_path, host) as shop:
            job_id = await asked(shop)
            await shop.until(job_id, SendState.UNKNOWN)
            shop.clock.advance(86_000)
            before = await shop.until(job_id, SendState.UNKNOWN)
            shop.clock.advance(500)
            job = await searched_out(shop, job_id)
    assert (before.searched, job.status, job.sends[0].sought) == (True, JobStatus.UNKNOWN, Sought.UNANSWERED)
    assert host.counted == (1, 1)


async def test_a_host_that_does_not_answer_its_list_closes_its_gate_like_any_other_silence(
    tmp_path: Path, host: Host
) -> None:
    host.at("create", "accept_then_reset")
    host.at("list", "500", times="always")
    with anyio.fail_after(WITHIN_S):
        async with at_host(tmp_path, host) as shop:
            job_id = await asked(shop)
            while host.requests("GET", "/predictions") < 4:
                await shop.until(job_id, SendState.UNKNOWN)
                shop.clock.advance(2)
                await a_moment()
    gates = DataFolder(tmp_path).rows("SELECT provider, closed_us > 0 FROM gates")
    assert gates == [("replicate", 1)], "a lost create and four lists: five failures in a row"


async def test_what_a_person_resolved_while_it_was_looked_for_stays_resolved(tmp_path: Path, host: Host) -> None:
    host.at("create", "accept_then_reset")
    with anyio.fail_after(WITHIN_S):
        async with at_host(tmp_path, host) as shop:
            job_id = await asked(shop)
            await shop.until(job_id, SendState.UNKNOWN)
            await shop.studio.resolve(OWNER, job_id, charged=False)
            for _ in range(8):
                shop.clock.advance(2)
                await a_moment()
            job = await shop.store.any_job(job_id)
            assert job is not None
            assert await spent(shop) == 0
    assert (job.status, job.searched) == (JobStatus.FAILED, False)
    assert host.requests("GET", "/predictions") == 0


async def test_the_guard_against_repeating_it_ends_with_the_picture(tmp_path: Path, host: Host) -> None:
    """The picture reached no call yet, so an identical one joins it; after that one has it, the next makes its own."""
    host.at("create", "accept_then_reset")
    with anyio.fail_after(WITHIN_S):
        async with at_host(tmp_path, host) as shop:
            job_id = await asked(shop)
            await shop.until(job_id, SendState.UNKNOWN)
            with pytest.raises(OutcomeUnknown) as guarded:
                await asked(shop)
            await shop.until(job_id, *ENDED)
            joined = await asked(shop)
            fresh = await asked(shop)
            await shop.until(fresh, *ENDED)
    assert f"get_status(job_id='{job_id}')" in guarded.value.failure.fix
    assert joined == job_id != fresh
    assert host.counted == (2, 2)


async def test_a_host_without_a_list_is_asked_for_nothing(tmp_path: Path, host: Host) -> None:
    host.simulator.state.script({"wire": "kkiai", "on": "create", "fault": "accept_then_reset"})
    with anyio.fail_after(WITHIN_S):
        async with at_host(tmp_path, host, KKIAI) as shop:
            job = await shop.until(await asked(shop), SendState.UNKNOWN)
            for _ in range(5):
                shop.clock.advance(2)
                await a_moment()
    (create,) = host.simulator.state.journal.entries()
    assert (job.searched, job.sends[0].own_seed, create.method) == (False, None, "POST")
    assert "seed" not in create.json["input"]


def test_C10_a_kill_between_the_create_and_its_reply_loses_nothing(tmp_path: Path) -> None:
    data = DataFolder(tmp_path / "data")
    with running(job_seconds=0.1) as simulator:
        simulator.state.script({"wire": "replicate", "on": "create", "fault": "hang"})
        settings = simulator.settings_of("replicate") | {"KONTEXT_IMAGE_ROOTS": str(tmp_path)}
        (tmp_path / "cat.png").write_bytes(png())
        asked_for = {"image": str(tmp_path / "cat.png"), "prompt": "Make it sepia", "wait_seconds": 0}
        with by_hand(tmp_path, settings) as server:
            job_id = server.call("edit_image", **asked_for)["job_id"]
            until(lambda: simulator.state.counter()["charged"]["replicate"] == 1, "the create was taken")
            server.process.kill()
        with by_hand(tmp_path, settings) as server:
            data.until_state(job_id, "completed")
            status = server.call("get_status", job_id=job_id)
        counter = simulator.state.counter()
    assert (status["status"], len(status["images"])) == ("completed", 1)
    assert (counter["creates"]["replicate"], counter["charged"]["replicate"]) == (1, 1)
    assert data.check_files() == 1
