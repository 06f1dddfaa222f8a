"""What a meter is told while jobs move: words of closed sets, and nobody where nobody counts."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from kontext_tools.guard import Guard
from kontext_tools.http import Http
from kontext_tools.jobs import SendState
from kontext_tools.meters import UNMETERED
from kontext_tools.providers.base import FetchFailed, Phase, Snapshot, SubmitFailed, Verdict
from kontext_tools.providers.wire import Wire
from support.canary import Told, canary
from support.scripted import Scripted, waiting
from support.workshop import output, workshop

pytestmark = pytest.mark.anyio


class Notes:
    """Writes down what a meter is told, but for times."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, ...]] = []

    def called(self, tool: str, outcome: str, took_s: float) -> None:  # noqa: ARG002  # times are left out
        self.heard.append(("called", tool, outcome))

    def asked(self, provider: str, kind: str, outcome: str, took_s: float) -> None:  # noqa: ARG002  # the same
        self.heard.append(("asked", provider, kind, outcome))

    def waited(self, provider: str, wait_s: float) -> None:
        self.heard.append(("waited", provider, str(wait_s)))

    def ended(self, provider: str, state: str, took_s: float | None) -> None:
        self.heard.append(("ended", provider, state, str(took_s)))


async def test_each_call_of_a_provider_is_told_with_its_outcome() -> None:
    statuses = [200, 422, 502, 200, 404, 200, 404, 503]
    notes = Notes()

    async def intent() -> None:
        """Nothing is recorded here."""

    with canary(lambda _: Told(status=statuses.pop(0), json={})) as host:
        http = Http(guard=Guard(trusted=[host.base_url]), meter=notes)
        wire = Wire(http, name="fal", base_url=host.base_url, headers={}, key_variable="FAL_KEY")
        gone = Wire(http, name="fal", base_url="http://127.0.0.1:1", headers={}, key_variable="FAL_KEY")
        for verdict in (None, Verdict.REFUSED, Verdict.UNKNOWN):
            with nullcontext() if verdict is None else pytest.raises(SubmitFailed):
                await wire.create("/jobs", intent)
        await wire.prepare("POST", "/files")
        with pytest.raises(SubmitFailed):
            await wire.hand_over(f"{host.base_url}/upload", data=b"x")
        await wire.ask("GET", "/jobs/1")
        await wire.ask("PUT", "/jobs/1/cancel")
        with pytest.raises(FetchFailed):
            await wire.ask("GET", "/jobs/1")
        with pytest.raises(SubmitFailed):
            await gone.create("/jobs", intent)
        await http.aclose()
    assert notes.heard == [
        ("asked", "fal", "create", "ok"),
        ("asked", "fal", "create", "refused"),
        ("asked", "fal", "create", "unknown"),
        ("asked", "fal", "prepare", "ok"),
        ("asked", "fal", "hand_over", "not_taken"),
        ("asked", "fal", "look", "ok"),
        ("asked", "fal", "cancel", "ok"),
        ("asked", "fal", "look", "failed"),
        ("asked", "fal", "create", "not_taken"),
    ]


async def test_a_send_is_told_when_it_goes_out_and_when_it_ended(tmp_path: Path) -> None:
    notes, done = Notes(), Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
    async with workshop(tmp_path, Scripted(creates=[waiting()], looks=[done]), meter=notes) as shop:
        await shop.until((await shop.generate()).job.id, SendState.COMPLETED)
    (waited, ended) = notes.heard
    assert waited == ("waited", "core.today", "0.0")
    assert ended[:3] == ("ended", "core.today", "completed") and 0 < float(ended[3]) <= 30


def test_nobody_is_told_where_nobody_counts() -> None:
    UNMETERED.called("x", "ok", 0)
    UNMETERED.asked("x", "submit", "ok", 0)
    UNMETERED.waited("x", 0)
    UNMETERED.ended("x", "completed", None)
