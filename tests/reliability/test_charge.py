"""The bar's charges: no failure of a create is paid for twice, and what is in doubt is told."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from kontext_server.simulator.serve import HOST, Running, running
from kontext_tools.jobs import Job, JobStatus, SendState
from kontext_tools.pacing import DEFAULT_RETRY_AFTER_S
from support.at_simulator import ENDED, at_simulator, charged_at, creates_at, let_pass
from support.by_hand import by_hand
from support.fake_clock import FakeClock
from support.looking_in import DataFolder
from support.stdio_server import PHOTOS, call, connected, fields_of, text_of
from support.waiting import until

pytestmark = pytest.mark.anyio

CAT = str(PHOTOS / "chelsea.png")
WITHIN_S = 60
JOB_SECONDS = 0.1


def at_create(simulator: Running, fault: str, **more: Any) -> None:
    simulator.state.script({"wire": "core.today", "on": "create", "fault": fault, **more})


async def test_C01_a_connection_reset_after_accept_is_unknown_and_told_to_be_charged_perhaps(
    tmp_path: Path, simulator: Running
) -> None:
    at_create(simulator, "accept_then_reset")
    arguments = {"image": CAT, "prompt": "Make it sepia"}
    with anyio.fail_after(WITHIN_S):
        async with connected(tmp_path, simulator.settings) as client:
            lost = await call(client, "edit_image", **arguments)
        async with connected(tmp_path, simulator.settings) as client:
            again = await call(client, "edit_image", **arguments)
            status = fields_of(await call(client, "get_status", job_id=fields_of(lost)["job_id"]))
    assert lost.is_error
    assert (fields_of(lost)["status"], fields_of(lost)["error"]["billed"]) == ("unknown", "unknown")
    assert "may have been charged" in text_of(lost)
    assert fields_of(again)["error"]["code"] == "outcome_unknown"
    assert status["status"] == "unknown"
    assert (charged_at(simulator), len(creates_at(simulator))) == (1, 1)


async def test_C01_nothing_is_sent_again_in_the_minute_after(tmp_path: Path, simulator: Running) -> None:
    at_create(simulator, "accept_then_reset")
    with anyio.fail_after(WITHIN_S):
        async with at_simulator(tmp_path, simulator.base_url) as shop:
            job = await shop.until((await shop.generate()).job.id, *ENDED)
            await let_pass(shop, 70)
    assert job.status is JobStatus.UNKNOWN
    assert len(creates_at(simulator)) == 1


async def test_C02_two_refused_connections_are_tried_again_and_charged_once(tmp_path: Path) -> None:
    with socket.socket() as closed:  # bound and not listening: whoever connects is refused
        closed.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        closed.bind((HOST, 0))
        port = int(closed.getsockname()[1])
        with anyio.fail_after(WITHIN_S):
            async with at_simulator(tmp_path, f"http://{HOST}:{port}") as shop:
                job = (await shop.generate()).job
                while job.sends[0].attempts < 2 or job.sends[0].state is not SendState.QUEUED:
                    await let_pass(shop, 0.5, step_s=0.5)
                    job = await shop.store.any_job(job.id) or job
                closed.close()
                with running(port, job_seconds=0.0) as simulator:
                    job = await shop.until(job.id, *ENDED)
    assert (job.status, job.sends[0].attempts) == (JobStatus.COMPLETED, 3)
    assert (charged_at(simulator), len(creates_at(simulator))) == (1, 1)


async def _limited(folder: Path, **header: Any) -> tuple[Job, list[float]]:
    """Ask for a picture where the first create is answered 429; give the job, and when the creates came."""
    clock = FakeClock(start=datetime.now(UTC))  # an HTTP date is read by the machine's own clock
    with running(clock=lambda: clock.now().timestamp(), job_seconds=0.0) as simulator, anyio.fail_after(WITHIN_S):
        at_create(simulator, "429", **header)
        async with at_simulator(folder, simulator.base_url, clock=clock) as shop:
            job = await shop.until((await shop.generate()).job.id, *ENDED)
        return job, creates_at(simulator)


async def test_C03_a_429_is_waited_for_as_long_as_it_asks(tmp_path: Path) -> None:
    job, (first, second) = await _limited(tmp_path, retry_after="3")
    assert job.status is JobStatus.COMPLETED
    assert 3.0 <= second - first <= 6.0


async def test_C04_a_wait_until_a_date_is_honoured(tmp_path: Path) -> None:
    job, (first, second) = await _limited(tmp_path, retry_after_date=20)
    assert job.status is JobStatus.COMPLETED
    assert 15.0 <= second - first <= 25.0


async def test_C04_an_absurd_wait_is_told_instead_of_waited(tmp_path: Path) -> None:
    job, creates = await _limited(tmp_path, retry_after="100000")
    assert job.failure is not None
    assert (job.failure.code, job.failure.billed, len(creates)) == ("rate_limited", "no", 1)


async def test_C04_a_wait_that_is_no_time_is_the_usual_one(tmp_path: Path) -> None:
    job, (first, second) = await _limited(tmp_path, retry_after="soon")
    assert job.status is JobStatus.COMPLETED
    assert 0.5 <= second - first <= 2 * DEFAULT_RETRY_AFTER_S


async def test_C05_a_502_page_is_unknown_and_sent_once(tmp_path: Path, simulator: Running) -> None:
    at_create(simulator, "502", body="html")
    with anyio.fail_after(WITHIN_S):
        async with connected(tmp_path, simulator.settings) as client:
            lost = fields_of(await call(client, "edit_image", image=CAT, prompt="Make it sepia"))
    assert (lost["status"], lost["error"]["code"]) == ("unknown", "outcome_unknown")
    assert len(creates_at(simulator)) == 1


async def test_C06_a_refusal_is_told_in_its_own_words_and_gives_the_money_back(
    tmp_path: Path, simulator: Running
) -> None:
    codes = {"402": "out_of_credit", "403": "auth_failed", "422": "provider_error"}
    for status in codes:
        at_create(simulator, status, match=f"refused with {status}", text=f"no such hat {status}")
    settings = simulator.settings | {"KONTEXT_DAILY_BUDGET": "120 credit"}
    with anyio.fail_after(WITHIN_S):
        async with connected(tmp_path, settings) as client:
            refused = [await call(client, "edit_image", image=CAT, prompt=f"refused with {status}") for status in codes]
            served = fields_of(await call(client, "edit_image", image=CAT, prompt="served"))
    errors = [fields_of(result)["error"] for result in refused]
    assert [error["code"] for error in errors] == list(codes.values())
    assert {error["billed"] for error in errors} == {"no"}
    assert {fields_of(result)["status"] for result in refused} == {"failed"}
    assert "no such hat 422" in text_of(refused[-1])
    assert served["status"] == "completed", "the cap allows one picture: three reservations were given back"
    assert (charged_at(simulator), len(creates_at(simulator))) == (1, 4)


async def test_C07_one_request_key_is_one_job_twenty_times_at_once_and_afterwards(
    tmp_path: Path, simulator: Running
) -> None:
    asked = {"image": CAT, "prompt": "Make it sepia", "request_key": "k1"}
    ids: list[str] = []
    with anyio.fail_after(WITHIN_S):
        async with connected(tmp_path, simulator.settings) as client:

            async def once() -> None:
                ids.append(fields_of(await call(client, "edit_image", **asked))["job_id"])

            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(once)
            await once()
            await once()
    assert len(ids) == 22
    assert len(set(ids)) == 1
    assert (charged_at(simulator), len(creates_at(simulator))) == (1, 1)


async def test_C08_a_request_key_with_another_prompt_is_a_conflict(tmp_path: Path, simulator: Running) -> None:
    with anyio.fail_after(WITHIN_S):
        async with connected(tmp_path, simulator.settings) as client:
            first = fields_of(await call(client, "edit_image", image=CAT, prompt="one", request_key="k1"))
            other = await call(client, "edit_image", image=CAT, prompt="two", request_key="k1")
    assert other.is_error
    assert fields_of(other)["error"]["code"] == "idempotency_conflict"
    assert fields_of(other)["error"]["job_id"] == first["job_id"]
    assert len(creates_at(simulator)) == 1


async def test_C09_a_request_key_holds_in_a_second_process_and_after_a_restart(
    tmp_path: Path, simulator: Running
) -> None:
    asked = {"image": CAT, "prompt": "Make it sepia", "request_key": "k1"}
    ids: set[str] = set()
    with anyio.fail_after(WITHIN_S):
        async with (
            connected(tmp_path, simulator.settings) as one,
            connected(tmp_path, simulator.settings) as two,
            anyio.create_task_group() as tasks,
        ):

            async def ask(client: Any) -> None:
                ids.add(fields_of(await call(client, "edit_image", **asked))["job_id"])

            tasks.start_soon(ask, one)
            tasks.start_soon(ask, two)
        async with connected(tmp_path, simulator.settings) as restarted:
            ids.add(fields_of(await call(restarted, "edit_image", **asked))["job_id"])
    assert len(ids) == 1
    assert (charged_at(simulator), len(creates_at(simulator))) == (1, 1)


def test_C12_a_call_that_is_repeated_after_a_crash_joins_the_job_that_runs(tmp_path: Path, simulator: Running) -> None:
    at_create(simulator, "never_ends", times="always")
    asked, data = {"image": CAT, "prompt": "Make it sepia"}, DataFolder(tmp_path / "data")
    with by_hand(tmp_path, simulator.settings) as server:
        server.say({"id": 99, "method": "tools/call", "params": {"name": "edit_image", "arguments": asked}})
        until(lambda: data.one("SELECT state FROM sends") == "submitted", "the provider has it")
        server.process.kill()
    with by_hand(tmp_path, simulator.settings) as server:
        joined = server.call("edit_image", **asked, wait_seconds=0)
        on_purpose = server.call("edit_image", **asked, request_key="another", wait_seconds=0)
        until(lambda: charged_at(simulator) == 2, "the second one came")
        first = data.one("SELECT id FROM jobs ORDER BY created_us")
    assert (joined["job_id"], joined["joined"]) == (first, True)
    assert on_purpose["job_id"] != first
    assert len(creates_at(simulator)) == 2
