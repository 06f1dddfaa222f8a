"""The person is asked over stdio: both eras, clients that cannot show a form, and one that dies while it asks."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.client.session import ClientRequestContext

from kontext_server.simulator.serve import Running, running
from support.at_simulator import charged_at, creates_at
from support.by_hand import by_hand
from support.looking_in import DataFolder
from support.stdio_server import ERAS, PHOTOS, call, connected, fields_of

CAT = str(PHOTOS / "chelsea.png")
ARGUMENTS = {"image": CAT, "prompt": "Make it warmer"}


@pytest.fixture
def simulator() -> Generator[Running]:
    with running(job_seconds=0.1) as started:
        yield started


@pytest.fixture
def asking(simulator: Running) -> dict[str, str]:
    return {**simulator.settings, "KONTEXT_CONFIRM_ABOVE": "100 credit"}


@pytest.mark.anyio
@pytest.mark.parametrize("era", ERAS)
async def test_yes_makes_the_edit_and_no_sends_nothing(
    tmp_path: Path, simulator: Running, asking: dict[str, str], era: str
) -> None:
    asked: list[str] = []

    async def person(context: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
        asked.append(params.message.partition("\n")[0])
        return types.ElicitResult(action="accept", content={"go": len(asked) > 1})

    with anyio.fail_after(60):
        async with connected(tmp_path, asking, era=era, person=person) as client:
            refused = fields_of(await call(client, "edit_image", **ARGUMENTS))
            assert creates_at(simulator) == []
            made = fields_of(await call(client, "edit_image", **ARGUMENTS))
    assert refused["error"]["code"] == "confirmation_needed"
    assert made["status"] == "completed"
    assert asked == ["Editing 1 picture costs 120 credit at core.today. Go on?"] * 2
    assert charged_at(simulator) == 1


@pytest.mark.parametrize(
    ("elicitation", "questions"),
    [({"elicitation": {}}, 1), ({"elicitation": {"form": {}}}, 1), ({"elicitation": {"url": {}}}, 0), ({}, 0)],
    ids=["empty, of before there were kinds", "by form", "by address only", "none"],
)
def test_only_a_client_that_shows_forms_is_asked(
    tmp_path: Path, simulator: Running, asking: dict[str, str], elicitation: dict[str, Any], questions: int
) -> None:
    yes = {"action": "accept", "content": {"go": True}}
    with by_hand(tmp_path, asking, capabilities=elicitation, answer=yes) as server:
        fields = server.call("edit_image", **ARGUMENTS)
    assert len(server.questions) == questions == charged_at(simulator)
    assert ("error" in fields) == (questions == 0)


def test_a_client_that_goes_while_it_asks_leaves_nothing_sent_and_nothing_reserved(
    tmp_path: Path, simulator: Running, asking: dict[str, str]
) -> None:
    with by_hand(tmp_path, asking, capabilities={"elicitation": {}}) as server:
        server.say({"id": 99, "method": "tools/call", "params": {"name": "edit_image", "arguments": ARGUMENTS}})
        assert server.hear()["method"] == "elicitation/create"
        assert server.process.stdin is not None
        server.process.stdin.close()
        assert server.process.wait(timeout=30) == 0
    there = DataFolder(tmp_path / "data")
    assert [there.one(f"SELECT COUNT(*) FROM {table}") for table in ("jobs", "ledger", "answers")] == [0, 0, 0]
    assert creates_at(simulator) == []
