"""The bar's life: however a server ends, and whoever goes away, the jobs go on and nothing is half written."""

from __future__ import annotations

import json
import signal
import stat
from pathlib import Path
from subprocess import PIPE, run

import anyio
import pytest

from kontext_server.simulator.serve import Running
from kontext_tools.jobs import JobStatus, SendState
from kontext_tools.providers.base import CancelOutcome, Phase, Snapshot
from kontext_tools.views import Call
from support.at_simulator import charged_at, creates_at
from support.by_hand import ByHand, by_hand
from support.looking_in import DataFolder
from support.scripted import Scripted, waiting
from support.stdio_server import COMMAND, PHOTOS, environment
from support.waiting import until
from support.workshop import OWNER, output, workshop

CAT = str(PHOTOS / "chelsea.png")
WITHIN_S = 60
JOBS = 5
JOB_SECONDS = 1.0


def _jobs_under_way(server: ByHand, data: DataFolder) -> None:
    for n in range(JOBS):
        server.call("edit_image", image=CAT, prompt=f"edit {n}", wait_seconds=0)
    until(lambda: data.one("SELECT COUNT(*) FROM sends WHERE state = 'submitted'") > 0, "some are at the provider")


def _finished_afterwards(folder: Path, simulator: Running, data: DataFolder) -> None:
    """Start once more, and hold what becomes of the jobs against the provider's count."""
    assert data.is_sound()
    rows = data.rows("SELECT jobs.id, sends.job_id, sends.doc FROM jobs LEFT JOIN sends ON sends.job_id = jobs.id")
    assert all(job_id == of and json.loads(doc) for job_id, of, doc in rows)
    with by_hand(folder, simulator.settings):
        data.until_ended(within_s=WITHIN_S)
    statuses = data.statuses()
    assert set(statuses) <= {"completed", "unknown"}
    assert sum(statuses.values()) == JOBS
    assert data.check_files() == statuses["completed"]
    # One that broke off with the server that sent it was seen there and not charged; its job is unknown.
    assert statuses["completed"] <= charged_at(simulator) <= len(creates_at(simulator)) <= JOBS


def test_L01_the_end_of_input_ends_an_idle_server(tmp_path: Path, simulator: Running) -> None:
    with by_hand(tmp_path, simulator.settings) as server:
        assert server.process.stdin is not None
        server.process.stdin.close()
        assert server.process.wait(timeout=30) == 0


def test_L01_jobs_under_way_at_the_end_of_input_finish_after_a_restart(tmp_path: Path, simulator: Running) -> None:
    data = DataFolder(tmp_path / "data")
    with by_hand(tmp_path, simulator.settings) as server:
        _jobs_under_way(server, data)
        assert server.process.stdin is not None
        server.process.stdin.close()
        assert server.process.wait(timeout=30) == 0
    _finished_afterwards(tmp_path, simulator, data)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_L02_a_signal_ends_the_server_and_leaves_no_half_row(tmp_path: Path, simulator: Running, name: str) -> None:
    data = DataFolder(tmp_path / "data")
    with by_hand(tmp_path, simulator.settings) as server:
        _jobs_under_way(server, data)
        server.process.send_signal(getattr(signal, name))
        assert server.process.wait(timeout=30) == 0
    _finished_afterwards(tmp_path, simulator, data)


def test_L03_a_cancelled_request_ends_the_wait_and_not_the_job(tmp_path: Path, simulator: Running) -> None:
    data = DataFolder(tmp_path / "data")
    asked = {"image": CAT, "prompt": "Make it sepia", "wait_seconds": 50}
    with by_hand(tmp_path, simulator.settings) as server:
        server.say({"id": 99, "method": "tools/call", "params": {"name": "edit_image", "arguments": asked}})
        until(lambda: bool(charged_at(simulator)), "the create came")
        server.say({"method": "notifications/cancelled", "params": {"requestId": 99}})
        job_id = data.one("SELECT id FROM jobs")
        ask = {"name": "get_status", "arguments": {"job_id": job_id, "wait_seconds": 50}}
        server.say({"id": 100, "method": "tools/call", "params": ask})
        messages = list[dict[str, object]]()
        assert server.process.stdout is not None
        while not messages or messages[-1].get("id") != 100:
            messages.append(json.loads(server.process.stdout.readline()))
    assert [message for message in messages if message.get("id") == 99 and "result" in message] == []
    assert data.statuses() == {"completed": 1}
    assert (charged_at(simulator), len(creates_at(simulator))) == (1, 1)


@pytest.mark.anyio
async def test_L05_a_cancel_does_in_each_state_what_is_documented_and_asks_the_provider_once(tmp_path: Path) -> None:
    ended = Snapshot(phase=Phase.CANCELLED, remote_id="r1")
    done = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
    call = Call(owner=OWNER)
    with anyio.fail_after(WITHIN_S):
        queued = Scripted(creates=[waiting()])
        async with workshop(tmp_path / "queued", queued, running=False) as shop:
            view, outcome = await shop.studio.cancel_job((await shop.generate()).job.id, call)
            assert (view.job.status, outcome) == (JobStatus.CANCELLED, "cancelled")
        assert (queued.creates, queued.cancels) == ([], [])

        at_work = Scripted(creates=[waiting()], looks=[ended])
        async with workshop(tmp_path / "running", at_work) as shop:
            job = await shop.until((await shop.generate()).job.id, SendState.SUBMITTED)
            outcomes = [(await shop.studio.cancel_job(job.id, call))[1] for _ in range(2)]
        assert (outcomes, at_work.cancels) == (["cancelled", "already_ended"], ["r1"])

        finished = Scripted(creates=[done])
        async with workshop(tmp_path / "done", finished) as shop:
            job = await shop.until((await shop.generate()).job.id, SendState.COMPLETED)
            view, outcome = await shop.studio.cancel_job(job.id, call)
        assert (view.job.status, outcome, finished.cancels) == (JobStatus.COMPLETED, "already_ended", [])

        refuses = Scripted(creates=[waiting()], looks=[waiting(), done])
        refuses.cancel_outcome = CancelOutcome.CANNOT
        async with workshop(tmp_path / "refused", refuses) as shop:
            job = await shop.until((await shop.generate()).job.id, SendState.SUBMITTED)
            _, outcome = await shop.studio.cancel_job(job.id, call)
            job = await shop.until(job.id, SendState.COMPLETED)
        assert (outcome, job.status, refuses.cancels) == ("cannot_cancel", JobStatus.COMPLETED, ["r1"])


@pytest.mark.parametrize("place", ["read-only", "below a file", "relative"])
def test_L10_a_data_folder_that_cannot_be_written_ends_the_start_with_its_variable_named(
    tmp_path: Path, place: str
) -> None:
    (tmp_path / "a file").write_text("x", encoding="utf-8")
    # Root may write into any read-only folder but this one; elsewhere than on Linux it is missing and can't be made.
    folders = {"read-only": "/proc/self", "below a file": str(tmp_path / "a file" / "data"), "relative": "data"}
    settings = environment(tmp_path, {"KONTEXT_DATA_DIR": folders[place]})
    ended = run(COMMAND, env=settings, stdin=PIPE, capture_output=True, timeout=30, check=False)
    assert ended.returncode == 3
    assert b"KONTEXT_DATA_DIR" in ended.stderr
    assert b"Traceback" not in ended.stderr
    assert ended.stdout == b""


@pytest.mark.parametrize("before", ["missing", "open to all"])
def test_L10_what_is_made_is_its_owners_alone(tmp_path: Path, simulator: Running, before: str) -> None:
    folder = tmp_path / "share" / "data"
    if before == "open to all":
        folder.mkdir(parents=True)
        folder.chmod(0o777)
    with by_hand(tmp_path, simulator.settings | {"KONTEXT_DATA_DIR": str(folder)}) as server:
        fields = server.call("edit_image", image=CAT, prompt="Make it sepia", wait_seconds=50)
        modes = {path: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    assert fields["status"] == "completed"
    assert {oct(mode) for path, mode in modes.items() if path.is_dir()} == {"0o700"}
    assert {oct(mode) for path, mode in modes.items() if path.is_file()} == {"0o600"}
    if before == "missing":
        assert {oct(stat.S_IMODE(path.stat().st_mode)) for path in (folder, folder.parent)} == {"0o700"}
