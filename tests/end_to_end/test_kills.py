"""`kill -9` at random moments amid paid work: nobody is charged twice, no result whose id reached us is lost.

Ten jobs that can go on, on four wires at once; the server is killed, and started again on the same data folder. Every
reply to a create comes a byte at a time, so that many a kill falls between the charge and the id.
"""

from __future__ import annotations

import faulthandler
import os
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from kontext_server.simulator.serve import Running, running
from support.by_hand import ByHand, by_hand
from support.looking_in import DataFolder
from support.waiting import holds, until
from support.workshop import png

pytestmark = pytest.mark.campaign

SEED = 20261120
KILLS, SAMPLE = 500, 4
LINGERING = "lingering"
"""Of every second job at each wire, whose reply takes longer than most servers live; the others' takes some 50 ms."""
JOBS_AT_ONCE, MOST_NEW = 10, 3
ADDRESS = "https://pictures.invalid/cat.png"
WIRES = ("core.today", "runflow", "eachlabs", "fal")
"""Eachlabs takes no upload: it is given an address, of a reserved name, so that our own copy of it fails at once."""
LONGEST_LIFE_S = 0.5


def test_creates_accepted_never_exceed_sends_and_every_job_ends_whatever_is_killed(
    tmp_path: Path, whole_campaign: bool
) -> None:
    if whole_campaign:
        faulthandler.cancel_dump_traceback_later()  # pytest's limit is for a test, not for minutes of kills
    random = Random(SEED)
    rounds = KILLS if whole_campaign else SAMPLE
    data = DataFolder(tmp_path / "data")
    with running(job_seconds=0.4) as simulator:
        settings = simulator.settings_of(*WIRES) | {"KONTEXT_IMAGE_ROOTS": str(tmp_path)}
        picture = tmp_path / "cat.png"
        picture.write_bytes(png())
        for wire in WIRES:
            slow: dict[str, Any] = {"wire": wire, "on": "create", "fault": "slow_body", "times": "always"}
            simulator.state.script(slow | {"interval": 0.001, "match": LINGERING}, slow | {"interval": 0.0})
        asked = 0
        for _ in range(rounds):
            with by_hand(tmp_path, settings) as server:
                for _ in range(JOBS_AT_ONCE if asked == 0 else _wanted(data)):
                    provider = WIRES[asked % len(WIRES)]
                    _ask(server, provider, ADDRESS if provider == "eachlabs" else str(picture), _prompt(asked))
                    asked += 1
                _kill_amid(server, simulator, random)
        with by_hand(tmp_path, settings):
            data.until_ended(within_s=180)
        _none_is_charged_twice(data, simulator)
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


def _ask(server: ByHand, provider: str, image: str, prompt: str) -> None:
    fields = server.call("edit_image", image=image, prompt=prompt, provider=provider, wait_seconds=0)
    assert fields["status"] in ("pending", "processing"), fields


def _prompt(number: int) -> str:
    return f"{number} {LINGERING if number // len(WIRES) % 2 else 'soon'}"


def _wanted(data: DataFolder) -> int:
    """Give how many jobs to ask for: ten shall be able to go on, which those under a dead server's lease are not."""
    mine = "state IN ('queued', 'submitted', 'ready') AND lease_us <= 1000000 * unixepoch('subsec')"
    able: int = data.one(f"SELECT COUNT(*) FROM sends WHERE {mine}")
    return min(MOST_NEW, JOBS_AT_ONCE - able)


def _kill_amid(server: ByHand, simulator: Running, random: Random) -> None:
    """Kill the server once it has made a random number of requests since now, or a random while later."""
    goal = _requests(simulator) + random.randrange(0, 4 * JOBS_AT_ONCE)
    holds(lambda: _requests(simulator) >= goal, within_s=random.uniform(0, LONGEST_LIFE_S))
    assert server.process.poll() is None, "it lived until it was killed"
    server.process.kill()


def _requests(simulator: Running) -> int:
    return simulator.state.journal.dropped + len(simulator.state.journal.entries())


def _none_is_charged_twice(data: DataFolder, simulator: Running) -> None:
    """Each prompt was asked once, so each create of it beyond the first would be a second charge."""
    charged = Counter((job.wire, job.input["prompt"]) for job in simulator.state.jobs.values())
    assert set(charged.values()) == {1}, [asked for asked, times in charged.items() if times > 1]
    reserved = dict(
        data.rows(
            """SELECT provider, COUNT(*) FROM (SELECT provider, SUM(delta_nano) AS paid FROM ledger
                GROUP BY provider, job_id, n) WHERE paid > 0 GROUP BY provider"""
        )
    )
    for wire, times in simulator.state.counter()["charged"].items():
        sends = data.one("SELECT COUNT(*) FROM sends WHERE provider = ?", wire)
        assert times <= reserved.get(wire, 0) <= sends, "what a provider counted is in our ledger"


def _temporary_files_block_nothing(data: DataFolder, folder: Path, settings: dict[str, str]) -> None:
    """What was half-written when a server died is swept by a later one, once it is old enough to be nobody's."""
    for path in data.half_written():
        os.utime(path, (0, 0))
    with by_hand(folder, settings):
        until(lambda: not data.half_written(), "temporary files are swept")
