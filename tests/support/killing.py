"""What the tests that kill servers amid paid work share: jobs on four wires whose replies trickle, and the two counts.

What it is not: which server is killed when (`end_to_end.test_kills`, `end_to_end.test_kills_together`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from kontext_server.simulator.serve import Running
from support.by_hand import ByHand
from support.waiting import holds
from support.workshop import png

SEED = 20261120
JOBS_AT_ONCE, MOST_NEW = 10, 3
WIRES = ("core.today", "runflow", "eachlabs", "fal")
"""Eachlabs takes no upload: it is given an address, of a reserved name, so that our own copy of it fails at once."""
ABLE = "state IN ('queued', 'submitted', 'ready') AND lease_us <= ?"
"""Of sends: they can go on, which those under a dead server's lease cannot."""
LONGEST_LIFE_S = 0.5
_LINGERING = "lingering"
"""Of every second job at each wire, whose reply takes longer than most servers live; the others' takes some 50 ms."""
_ADDRESS = "https://pictures.invalid/cat.png"

Rows = Callable[[str], list[Any]]
"""Asks a database behind the servers' backs."""


def made_ready(simulator: Running, folder: Path) -> dict[str, str]:
    """Let every reply to a create come a byte at a time; give a server's settings, with a picture in the folder."""
    (folder / "cat.png").write_bytes(png())
    for wire in WIRES:
        slow: dict[str, Any] = {"wire": wire, "on": "create", "fault": "slow_body", "times": "always"}
        simulator.state.script(slow | {"interval": 0.001, "match": _LINGERING}, slow | {"interval": 0.0})
    return simulator.settings_of(*WIRES) | {"KONTEXT_IMAGE_ROOTS": str(folder)}


def ask(server: ByHand, folder: Path, number: int) -> str:
    """Ask for the job of a number; give its id."""
    provider = WIRES[number % len(WIRES)]
    image = _ADDRESS if provider == "eachlabs" else str(folder / "cat.png")
    prompt = f"{number} {_LINGERING if number // len(WIRES) % 2 else 'soon'}"
    fields = server.call("edit_image", image=image, prompt=prompt, provider=provider, wait_seconds=0)
    assert fields["status"] in ("pending", "processing"), fields
    return fields["job_id"]


def kill_amid(server: ByHand, simulator: Running, random: Random) -> None:
    """Kill a server once a random number of requests was made since now, or a random while later."""
    goal = requests(simulator) + random.randrange(0, 4 * JOBS_AT_ONCE)
    holds(lambda: requests(simulator) >= goal, within_s=random.uniform(0, LONGEST_LIFE_S))
    assert server.process.poll() is None, "it lived until it was killed"
    server.process.kill()


def requests(simulator: Running) -> int:
    """Count what providers were asked so far."""
    return simulator.state.journal.dropped + len(simulator.state.journal.entries())


def none_is_charged_twice(rows: Rows, simulator: Running) -> None:
    """Hold the providers' counts against the ledger.

    Each prompt was asked once, so each create of it beyond the first would be a second charge.
    """
    charged = Counter((job.wire, job.input["prompt"]) for job in simulator.state.jobs.values())
    assert set(charged.values()) == {1}, [asked for asked, times in charged.items() if times > 1]
    sends = dict(rows("SELECT provider, COUNT(*) FROM sends GROUP BY provider"))
    reserved = dict(
        rows(
            """SELECT provider, COUNT(*) FROM (SELECT provider, SUM(delta_nano) AS paid FROM ledger
                GROUP BY provider, job_id, n) AS each_send WHERE paid > 0 GROUP BY provider"""
        )
    )
    for wire, times in simulator.state.counter()["charged"].items():
        assert times <= reserved.get(wire, 0) <= sends.get(wire, 0), "what a provider counted is in our ledger"
