"""A script that is followed, and the report of it: what every framework's script does alike.

What this is: the transcript of one scenario, the loop over the servers and scenarios, one JSON line for each. What
it is not: a client. No third-party import: each framework's own interpreter loads it. Above: the frameworks'
scripts. Below: scenarios.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clients.reading import Call, Shown
from clients.scenarios import SCENARIOS, Scenario, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """How a client starts a server.

    Attributes:
        command: the program and its arguments.
        env: its whole environment.
        structured: whether the agent is to read the structured content, where a client has a switch for it.
    """

    command: Sequence[str]
    env: dict[str, str]
    structured: bool


class Following:
    """The scripted model of one conversation: gives the calls of its next turn for the answers to its last.

    A script that fails ends the conversation instead of raising, for not every framework lets an error of its model
    through.
    """

    def __init__(self, scenario: Scenario, world: World) -> None:
        self._script = scenario.play(world)
        self._reads = scenario.reads
        self._ended = False
        self.transcript: list[str] = []
        self.failure = ""

    def begin(self) -> Sequence[Call]:
        """Give the calls of the first turn."""
        return self._turn(lambda: next(self._script))

    def after(self, answers: Sequence[Shown]) -> Sequence[Call]:
        """Give the calls that follow these answers, in the order of the calls; none at the end."""
        self.transcript += [f"<- {answer.pictures} pictures {answer.fields or answer.text}" for answer in answers]
        return self._turn(lambda: self._script.send([answer.only(self._reads) for answer in answers]))

    def close(self) -> None:
        """Close the conversation; one that the framework ended before the script did has failed."""
        if not self._ended and not self.failure:
            self.failure = "the framework ended the conversation before the script did"
        self._script.close()

    def _turn(self, advance: Callable[[], Sequence[Call]]) -> Sequence[Call]:
        calls: Sequence[Call] = ()
        try:
            calls = advance()
        except StopIteration:
            pass
        except Exception:  # noqa: BLE001  # whatever a script fails of is told in its report
            self.failure = traceback.format_exc()
        self._ended = not calls
        self.transcript += [f"-> {asked.tool}({dict(asked.arguments)})" for asked in calls]
        return calls


Converse = Callable[[Following], Awaitable[None]]
Connected = Callable[[Server], AbstractAsyncContextManager[Converse]]


def main(connected: Connected) -> None:
    """Play every scenario over one framework's client and print a JSON line for each.

    `connected` starts a server as its framework does, and gives what leads one conversation over it. The only
    argument of the command line is JSON: `command`, `photos`, and for each server its `env` and `simulator`.
    """
    asyncio.run(_play_all(connected, json.loads(sys.argv[1])))


async def _play_all(connected: Connected, given: dict[str, Any]) -> None:
    async with asyncio.TaskGroup() as servers:
        for name, surroundings in given["servers"].items():
            servers.create_task(_play_at(connected, name, given, surroundings))


async def _play_at(connected: Connected, name: str, given: dict[str, Any], surroundings: dict[str, Any]) -> None:
    """Play at one server what is to be played there: all at once, or in turn where each counts what it is charged."""
    server = Server(command=given["command"], env=surroundings["env"], structured=name == "bare")
    at_once = asyncio.Semaphore(1 if surroundings["simulator"] else len(SCENARIOS))
    async with connected(server) as converse, asyncio.TaskGroup() as playing:
        for scenario in SCENARIOS:
            if scenario.server == name:
                world = World(
                    photos=Path(given["photos"]),
                    data=Path(server.env["KONTEXT_DATA_DIR"]),
                    simulator=surroundings["simulator"],
                    reads=scenario.reads,
                )
                playing.create_task(_play(converse, scenario, world, at_once))


async def _play(converse: Converse, scenario: Scenario, world: World, at_once: asyncio.Semaphore) -> None:
    async with at_once:
        began = time.monotonic()
        following = Following(scenario, world)
        try:
            await converse(following)
        except Exception:  # noqa: BLE001  # whatever a framework fails of is told in the scenario's report
            following.failure = following.failure or traceback.format_exc()
    following.close()
    told = {
        "scenario": scenario.name,
        "passed": not following.failure,
        "seconds": round(time.monotonic() - began, 1),
        "failure": following.failure,
        "transcript": following.transcript if following.failure else [],
    }
    print(json.dumps(told), flush=True)
