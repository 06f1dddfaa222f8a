"""`jobs` and `usage`: what only a person decides, and what was spent."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import Result
from inline_snapshot import snapshot

from kontext_server.simulator.serve import Running

Invoke = Callable[..., Result]


@pytest.fixture
def paying(simulator: Running, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> Running:
    """A person with core.today's key and a cap."""
    for name, value in simulator.settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KONTEXT_DAILY_BUDGET", "1000 credit")
    return simulator


@pytest.fixture
def unknown(paying: Running, invoke: Invoke) -> str:
    """A job that was sent and got no answer."""
    paying.state.script({"wire": "core.today", "on": "create", "fault": "accept_then_reset"})
    ended = invoke("edit", "cat.png", "Make it warm", "--json")
    assert ended.exit_code == 4
    return str(json.loads(ended.stdout)["job_id"])


def test_jobs_are_a_table_or_json(unknown: str, invoke: Invoke) -> None:
    listed, as_json = invoke("jobs"), json.loads(invoke("jobs", "--json").stdout)
    head, line = listed.stdout.splitlines()
    assert head.split() == ["JOB", "STATUS", "PROVIDER", "COST", "AGE", "IMAGES"]
    assert line.split()[:5] == [unknown, "unknown", "core.today", "120", "credit"]
    assert "--resolve JOB charged|not-charged" in listed.stderr
    assert [job["job_id"] for job in as_json["jobs"]] == [unknown]


@pytest.mark.parametrize(("verdict", "billed", "spent"), [("charged", "yes", "120"), ("not-charged", "no", "0")])
def test_a_persons_word_resolves_an_unknown_job_its_money_and_the_guard(
    unknown: str, paying: Running, invoke: Invoke, verdict: str, billed: str, spent: str
) -> None:
    before = json.loads(invoke("usage", "--json").stdout)["days"][0]["amount"]
    guarded = invoke("edit", "cat.png", "Make it warm")
    resolved = json.loads(invoke("jobs", "--resolve", unknown, verdict, "--json").stdout)
    after = json.loads(invoke("usage", "--json").stdout)["days"][0]["amount"]
    again = invoke("edit", "cat.png", "Make it warm")
    assert (before, after) == ("120", spent)
    assert (resolved["status"], resolved["error"]["billed"]) == ("failed", billed)
    assert (guarded.exit_code, again.exit_code) == (4, 0)
    assert paying.state.counter()["charged"]["core.today"] == 2


def test_only_an_unknown_job_can_be_resolved_and_only_whole(paying: Running, invoke: Invoke) -> None:
    done = json.loads(invoke("edit", "cat.png", "Make it warm", "--json").stdout)["job_id"]
    assert invoke("jobs", "--resolve", done, "charged").exit_code == 2
    assert invoke("jobs", "--resolve", "red-car-4k7q", "charged").exit_code == 1
    assert invoke("jobs", "--resolve", done).exit_code == 2
    assert invoke("jobs", "charged").exit_code == 2


def test_usage_tells_each_day_and_provider_and_what_is_left(paying: Running, invoke: Invoke) -> None:
    assert "Nothing was spent yet." in invoke("usage").stderr
    invoke("edit", "cat.png", "Make it warm")
    invoke("edit", "cat.png", "Make it sepia", "--provider", "sandbox")
    told, as_json = invoke("usage"), json.loads(invoke("usage", "--json").stdout)
    for day in as_json["days"]:
        day["day"] = "…"
    assert as_json == snapshot(
        {
            "days": [
                {"day": "…", "provider": "core.today", "amount": "120", "unit": "credit", "jobs": 1},
                {"day": "…", "provider": "sandbox", "amount": "0", "unit": "usd", "jobs": 1},
            ],
            "budget_left": {"credit": "880"},
        }
    )
    assert told.stdout.splitlines()[0].split() == ["DAY", "PROVIDER", "AMOUNT", "UNIT", "JOBS"]
    assert "Left of today's budget: 880 credit" in told.stderr
