"""A provider whose requests are counted does what it did, and each outcome is told by a word of a closed set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from kontext_tools.errors import Failure
from kontext_tools.jobs import SendState
from kontext_tools.meters import UNMETERED
from kontext_tools.providers.base import FetchFailed, Lost, Phase, Provider, Snapshot, SubmitFailed, Verdict
from kontext_tools.providers.metered import Metered
from support.fake_clock import FakeClock
from support.scripted import OFFER, Scripted, waiting
from support.workshop import output, workshop

pytestmark = pytest.mark.anyio

GONE = Failure(code="provider_error", message="It failed.", fix="Call again.")


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


class Finds(Scripted):
    """One whose host lists its jobs."""

    async def find(self, lost: Lost) -> Sequence[str]:  # noqa: ARG002  # it has nothing to tell
        raise FetchFailed(GONE)


async def test_each_request_is_told_with_its_outcome(tmp_path: Path) -> None:
    notes, clock = Notes(), FakeClock()
    refused = SubmitFailed(Verdict.REFUSED, GONE)
    inner = Finds(creates=[refused, RuntimeError()], looks=[FetchFailed(GONE), waiting()])
    provider: Provider = Metered(inner, notes, clock)

    async def intent() -> None:
        """Nothing is recorded here."""

    assert provider.offer is OFFER
    for kind in (SubmitFailed, RuntimeError):
        with pytest.raises(kind):
            await provider.submit(None, intent)  # pyright: ignore[reportArgumentType]  # the script does not look
    with pytest.raises(FetchFailed):
        await provider.fetch("r1")
    await provider.fetch("r1")
    await provider.cancel("r1")
    with pytest.raises(FetchFailed):
        await provider.find(None)  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]  # the same
    assert notes.heard == [
        ("asked", "core.today", "submit", "refused"),
        ("asked", "core.today", "submit", "broke"),
        ("asked", "core.today", "fetch", "provider_error"),
        ("asked", "core.today", "fetch", "ok"),
        ("asked", "core.today", "cancel", "ok"),
        ("asked", "core.today", "find", "provider_error"),
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
