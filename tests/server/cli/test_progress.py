"""How a wait looks away from a terminal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from kontext_server.cli.progress import shown
from kontext_tools.budget import Price, Unit
from kontext_tools.edits import Edit
from kontext_tools.jobs import Job, Send
from kontext_tools.views import View

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def _view(seconds: float, eta_s: int | None) -> View:
    send = Send(
        provider="sandbox", job_id="red-car-4k7q", n=1, price=Price(amount=Decimal(0), unit=Unit.USD), due_at=NOON
    )
    job = Job(
        id="red-car-4k7q",
        owner="local",
        tool="edit_image",
        edit=Edit(prompt="Make the car red"),
        sent_prompt="Make the car red",
        request={},
        provider="sandbox",
        model="sandbox",
        created_at=NOON,
        fingerprint="",
        sends=(send,),
    )
    return View(job=job, eta_s=eta_s, at=NOON + timedelta(seconds=seconds))


def test_away_from_a_terminal_it_is_one_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    with shown("Editing") as seen:
        seen(_view(0.0, 9))
        seen(_view(5.0, 4))
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "Editing at sandbox: job red-car-4k7q, about 9 s\n")


def test_a_job_that_ends_at_once_needs_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    with shown("Editing"):
        pass
    assert capsys.readouterr().err == ""


def test_on_a_terminal_a_bar_tells_where_the_job_stands(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kontext_server.cli.talk.stderr_is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with shown("Editing") as seen:
        seen(_view(5.0, None))
    said = capsys.readouterr()
    assert said.out == ""
    assert "Editing at sandbox (red-car-4k7q)" in said.err
