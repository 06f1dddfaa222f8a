"""Three servers on one PostgreSQL and one bucket, as on three machines, killed one after the other amid paid work.

Nobody is charged twice, what a killed one drove is taken over by the others, and each answers for any job.
"""

from __future__ import annotations

import faulthandler
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import pytest

from kontext_server.simulator.serve import running
from support.bucket import Held
from support.by_hand import ByHand, by_hand
from support.killing import ABLE, JOBS_AT_ONCE, MOST_NEW, SEED, WIRES, ask, kill_amid, made_ready, none_is_charged_twice
from support.places import PostgresPlace
from support.postgres import Server
from support.waiting import until

pytestmark = pytest.mark.campaign

KILLS, SAMPLE = 200, 4
MACHINES = 3
ENDED = {"completed", "unknown"}


class Machines:
    """Servers of the same deployment, each in a folder of its own."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self._folder, self._settings, self._started = folder, settings, 0
        self._running: list[tuple[ByHand, ExitStack]] = []

    @contextmanager
    def running(self) -> Generator[list[ByHand]]:
        """Give the servers that run; one that was killed is replaced by `replace`."""
        try:
            for _ in range(MACHINES):
                self._start()
            yield self.servers
        finally:
            for _, stack in self._running:
                stack.close()

    @property
    def servers(self) -> list[ByHand]:
        """Give those that run."""
        return [server for server, _ in self._running]

    def replace(self, dead: ByHand) -> None:
        """Start another for one that was killed, in a folder of its own: nothing of the dead one is needed."""
        (stack,) = [stack for server, stack in self._running if server is dead]
        stack.close()
        self._running = [(server, stack) for server, stack in self._running if server is not dead]
        self._start()

    def _start(self) -> None:
        self._started += 1
        folder = self._folder / f"machine-{self._started}"
        folder.mkdir()
        stack = ExitStack()
        self._running.append((stack.enter_context(by_hand(folder, self._settings)), stack))


def test_creates_accepted_never_exceed_sends_whichever_of_three_servers_is_killed(
    tmp_path: Path, whole_campaign: bool, postgres: Server, held: Held
) -> None:
    if whole_campaign:
        faulthandler.cancel_dump_traceback_later()
    random, place = Random(SEED), PostgresPlace(postgres, postgres.new_schema())
    rounds = KILLS if whole_campaign else SAMPLE
    jobs = list[str]()
    with running(job_seconds=0.4) as simulator:
        there = {**held.settings, "KONTEXT_DATABASE_URL": place.url}
        machines = Machines(tmp_path, made_ready(simulator, tmp_path) | there)
        with machines.running():
            for _ in range(rounds):
                one, other, third = random.sample(machines.servers, 3)
                jobs += [ask(one, tmp_path, number) for number in range(len(jobs), len(jobs) + _wanted(place, jobs))]
                told = other.call("get_status", job_id=random.choice(jobs))
                assert told["status"] in {"pending", "processing", *ENDED}, told
                victim = random.choice([one, third])
                kill_amid(victim, simulator, random)
                machines.replace(victim)
            until(lambda: set(_statuses(place)) <= ENDED, "every job has ended", within_s=180)
            answers = [machines.servers[n % MACHINES].call("get_status", job_id=job) for n, job in enumerate(jobs)]
        none_is_charged_twice(place.rows, simulator)
        charged = simulator.state.counter()["charged"]
    statuses, accepted = _statuses(place), {wire: charged[wire] for wire in WIRES}
    sends = dict(place.rows("SELECT provider, COUNT(*) FROM sends GROUP BY provider"))
    print(f"seed {SEED}: {rounds} kills of {MACHINES} servers, sends {sends}, creates accepted {accepted}, {statuses}")
    assert sum(sends.values()) == len(jobs) == sum(statuses.values())
    assert {answer["status"] for answer in answers} <= ENDED
    blobs = {blob for (blob,) in place.rows("SELECT blob FROM outputs")}
    assert len(blobs) == statuses.get("completed", 0) <= sum(accepted.values())
    assert blobs <= held.objects()


def _wanted(place: PostgresPlace, jobs: list[str]) -> int:
    if not jobs:
        return JOBS_AT_ONCE
    ((able,),) = place.rows(f"SELECT COUNT(*) FROM sends WHERE {ABLE}", time.time_ns() // 1000)
    return min(MOST_NEW, JOBS_AT_ONCE - able)


def _statuses(place: PostgresPlace) -> dict[str, int]:
    return dict(place.rows("SELECT status, COUNT(*) FROM jobs GROUP BY status"))
