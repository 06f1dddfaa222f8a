"""`kill -9` at random moments amid paid work: nobody is charged twice, no result whose id reached us is lost.

Ten jobs that can go on, on four wires at once; the server is killed, and started again on the same data folder. Every
reply to a create comes a byte at a time, so that many a kill falls between the charge and the id.
"""

from __future__ import annotations

import faulthandler
import os
import time
from pathlib import Path
from random import Random

import pytest

from kontext_server.simulator.serve import running
from support.by_hand import by_hand
from support.killing import ABLE, JOBS_AT_ONCE, MOST_NEW, SEED, WIRES, ask, kill_amid, made_ready, none_is_charged_twice
from support.looking_in import DataFolder
from support.waiting import until

pytestmark = pytest.mark.campaign

KILLS, SAMPLE = 500, 4


def test_creates_accepted_never_exceed_sends_and_every_job_ends_whatever_is_killed(
    tmp_path: Path, whole_campaign: bool
) -> None:
    if whole_campaign:
        faulthandler.cancel_dump_traceback_later()  # pytest's limit is for a test, not for minutes of kills
    random = Random(SEED)
    rounds = KILLS if whole_campaign else SAMPLE
    data = DataFolder(tmp_path / "data")
    with running(job_seconds=0.4) as simulator:
        settings = made_ready(simulator, tmp_path)
        asked = 0
        for _ in range(rounds):
            with by_hand(tmp_path, settings) as server:
                for _ in range(JOBS_AT_ONCE if asked == 0 else _wanted(data)):
                    ask(server, tmp_path, asked)
                    asked += 1
                kill_amid(server, simulator, random)
        with by_hand(tmp_path, settings):
            data.until_ended(within_s=180)
        none_is_charged_twice(data.rows, simulator)
        _temporary_files_block_nothing(data, tmp_path, settings)
        charged = simulator.state.counter()["charged"]
    statuses = data.statuses()
    sends = dict(data.rows("SELECT provider, COUNT(*) FROM sends GROUP BY provider"))
    accepted = {wire: charged[wire] for wire in WIRES}
    print(f"seed {SEED}: {rounds} kills, sends {sends}, creates accepted {accepted}, {statuses}")
    assert sum(sends.values()) == asked == sum(statuses.values())
    assert set(statuses) <= {"completed", "unknown"}
    assert data.check_files() == statuses.get("completed", 0) <= sum(accepted.values())
    assert data.is_sound()


def _wanted(data: DataFolder) -> int:
    """Give how many jobs to ask for: ten shall be able to go on."""
    able: int = data.one(f"SELECT COUNT(*) FROM sends WHERE {ABLE}", time.time_ns() // 1000)
    return min(MOST_NEW, JOBS_AT_ONCE - able)


def _temporary_files_block_nothing(data: DataFolder, folder: Path, settings: dict[str, str]) -> None:
    """What was half-written when a server died is swept by a later one, once it is old enough to be nobody's."""
    for path in data.half_written():
        os.utime(path, (0, 0))
    with by_hand(folder, settings):
        until(lambda: not data.half_written(), "temporary files are swept")
