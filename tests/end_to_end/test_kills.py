"""`kill -9` at random moments amid paid work: nobody is charged twice, no result whose id reached us is lost."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path
from random import Random

import pytest

from kontext_server.simulator.serve import Running, running
from support.by_hand import ByHand, by_hand
from support.stdio_server import PHOTOS

pytestmark = pytest.mark.campaign

SEED = 20261120
KILLS, SAMPLE = 200, 6
JOBS_AT_ONCE = 5
ENDED = {"completed", "failed", "cancelled", "unknown"}


def test_creates_accepted_never_exceed_sends_and_every_job_ends_whatever_is_killed(
    tmp_path: Path, whole_campaign: bool
) -> None:
    random = Random(SEED)
    rounds = KILLS if whole_campaign else SAMPLE
    with running(job_seconds=0.4) as simulator:
        # Every reply to a create takes its time, so that a kill often falls between the charge and the id.
        slow = {"wire": "core.today", "on": "create", "fault": "slow_body", "interval": 0.001, "times": "always"}
        simulator.state.script(slow)
        for number in range(rounds):
            with by_hand(tmp_path, simulator.settings) as server:
                for n in range(JOBS_AT_ONCE):
                    server.call("edit_image", image=str(PHOTOS / "rocket.jpg"), prompt=f"{number} {n}", wait_seconds=0)
                _kill_amid(server, simulator, random.randrange(0, 4 * JOBS_AT_ONCE))
        with by_hand(tmp_path, simulator.settings) as server:
            statuses = _ended(server, tmp_path)
        charged = simulator.state.counter()["charged"]["core.today"]
    with sqlite3.connect(tmp_path / "data" / "kontext.db") as db:
        sends = db.execute("SELECT COUNT(*) FROM sends").fetchone()[0]
        kept = db.execute("SELECT blob, sha256 FROM outputs").fetchall()
    db.close()
    print(f"seed {SEED}: {rounds} kills, {sends} sends, {charged} creates accepted, {statuses}")
    assert sends == rounds * JOBS_AT_ONCE == sum(statuses.values())
    assert statuses.get("completed", 0) <= charged <= sends
    assert set(statuses) <= {"completed", "unknown"}
    assert len(kept) == statuses.get("completed", 0)
    for blob, sha256 in kept:
        assert hashlib.sha256((tmp_path / "data" / blob).read_bytes()).hexdigest() == sha256


def _kill_amid(server: ByHand, simulator: Running, requests: int) -> None:
    """Kill the server once it has made so many requests since now, or has no work left."""
    goal = len(simulator.state.journal.entries()) + requests
    while len(simulator.state.journal.entries()) < goal:
        if all(job.ending == "done" and job.ends_at < simulator.state.clock() for job in simulator.state.jobs.values()):
            break
    server.process.kill()


def _ended(server: ByHand, folder: Path) -> dict[str, int]:
    with sqlite3.connect(folder / "data" / "kontext.db") as db:
        ids = [row[0] for row in db.execute("SELECT id FROM jobs")]
    db.close()
    statuses: dict[str, int] = {}
    for job_id in ids:
        status = "pending"
        while status not in ENDED:
            status = server.call("get_status", job_id=job_id, wait_seconds=20)["status"]
        statuses[status] = statuses.get(status, 0) + 1
    return statuses
