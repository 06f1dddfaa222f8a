"""The person is asked before something dear is sent: real clients of both eras, a provider's wire that counts."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from inline_snapshot import snapshot
from mcp.client import Client
from mcp.client.session import ClientRequestContext
from mcp.shared.exceptions import MCPError

from kontext_server.app import App, build
from kontext_server.settings import load
from kontext_server.simulator.serve import Running, running
from kontext_server.surface import asking
from kontext_server.surface.server import make_server
from support.at_simulator import charged_at
from support.looking_in import DataFolder
from support.stdio_server import ERAS, fields_of, text_of

pytestmark = pytest.mark.anyio

HANDSHAKE, MODERN = ERAS
LAKE = {"prompt": "a lake", "output_format": "png"}
WITHIN_S = 30

YES = types.ElicitResult(action="accept", content={"go": True})
Answer = types.ElicitResult | types.ErrorData
Noes: dict[str, Answer] = {
    "no": types.ElicitResult(action="accept", content={"go": False}),
    "nothing filled in": types.ElicitResult(action="accept"),
    "a word": types.ElicitResult(action="accept", content={"go": "true"}),
    "declined": types.ElicitResult(action="decline"),
    "cancelled": types.ElicitResult(action="cancel", content={"go": True}),
}


class Person:
    """Answers every question alike, and remembers it."""

    def __init__(self, answer: Answer = YES) -> None:
        self.answer = answer
        self.asked: list[types.ElicitRequestParams] = []
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def __call__(
        self,
        context: ClientRequestContext,  # noqa: ARG002  # the SDK's protocol names it
        params: types.ElicitRequestParams,
    ) -> Answer:
        self.asked.append(params)
        if self.meanwhile is not None:
            await self.meanwhile()
        return self.answer


@pytest.fixture
def simulator() -> Generator[Running]:
    with running(job_seconds=0.0) as started:
        yield started


@pytest.fixture
def app(tmp_path: Path, simulator: Running) -> App:
    return an_app(tmp_path, simulator)


def an_app(folder: Path, simulator: Running, **settings: Any) -> App:
    of_simulator = {name.lower(): value for name, value in simulator.settings.items()}
    above: dict[str, Any] = {"kontext_confirm_above": "100 credit", **settings}
    return build(load(kontext_data_dir=folder / "data", kontext_preview="none", **(of_simulator | above)))


@asynccontextmanager
async def client_of(app: App, era: str, person: Person | None, *, seal: bytes | None = None) -> AsyncGenerator[Client]:
    with anyio.fail_after(WITHIN_S):
        async with Client(make_server(app, seal=seal), mode=era, elicitation_callback=person) as client:
            yield client


async def first_round(client: Client, **arguments: Any) -> types.InputRequiredResult:
    result = await client.session.call_tool("generate_image", {**LAKE, **arguments}, allow_input_required=True)
    assert isinstance(result, types.InputRequiredResult)
    return result


async def second_round(
    client: Client, state: str | None, answer: types.ElicitResult | None = YES, **arguments: Any
) -> types.CallToolResult | types.InputRequiredResult:
    return await client.session.call_tool(
        "generate_image",
        {**LAKE, **arguments},
        input_responses=None if answer is None else {asking.CONFIRM: answer},
        request_state=state,
        allow_input_required=True,
    )


def nothing_happened(folder: Path, simulator: Running) -> bool:
    counter = simulator.state.counter()
    there = DataFolder(folder / "data")
    rows = [there.one(f"SELECT COUNT(*) FROM {table}") for table in ("jobs", "ledger", "answers")]
    return (rows, counter["creates"]["core.today"], counter["charged"]["core.today"]) == ([0, 0, 0], 0, 0)


@pytest.mark.parametrize("era", ERAS)
async def test_the_person_is_asked_once_by_a_form_and_yes_makes_the_picture(
    app: App, simulator: Running, era: str
) -> None:
    person = Person()
    async with client_of(app, era, person) as client:
        result = await client.call_tool("generate_image", {**LAKE, "num_images": 2})
    assert fields_of(result)["status"] == "completed"
    assert charged_at(simulator) == 2
    (asked,) = person.asked
    assert isinstance(asked, types.ElicitRequestFormParams)
    assert asked.message == snapshot(
        """\
Generating 2 pictures costs 240 credit at core.today. Go on?
Prompt: "a lake"\
"""
    )
    assert asked.requested_schema == snapshot(
        {
            "type": "object",
            "properties": {
                "go": {"type": "boolean", "title": "Go on", "description": "Yes spends it; no sends nothing."}
            },
            "required": ["go"],
        }
    )


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("answer", Noes.values(), ids=Noes)
async def test_anything_but_yes_is_no(
    tmp_path: Path, app: App, simulator: Running, era: str, answer: types.ElicitResult
) -> None:
    person = Person(answer)
    async with client_of(app, era, person) as client:
        result = await client.call_tool("generate_image", LAKE)
        assert nothing_happened(tmp_path, simulator)
    assert len(person.asked) == 1
    assert (result.is_error, text_of(result)) == snapshot(
        (
            True,
            """\
Nothing was sent: the person was asked and did not say yes. Nothing was charged.
Fix: Do not repeat it unchanged; ask the person what they want instead, such as fewer images.
(code confirmation_needed; billed no; not to be repeated unchanged)\
""",
        )
    )


@pytest.mark.parametrize("era", ERAS)
async def test_where_the_client_cannot_ask_the_call_is_refused(
    tmp_path: Path, app: App, simulator: Running, era: str
) -> None:
    async with client_of(app, era, None) as client:
        result = await client.call_tool("generate_image", LAKE)
        assert nothing_happened(tmp_path, simulator)
    assert (result.is_error, fields_of(result)["error"]["code"]) == (True, "confirmation_needed")
    assert "did not say yes" not in text_of(result)


async def test_a_client_whose_form_breaks_is_refused_as_one_that_cannot_ask(
    tmp_path: Path, app: App, simulator: Running
) -> None:
    person = Person(types.ErrorData(code=types.INTERNAL_ERROR, message="the form broke"))
    async with client_of(app, HANDSHAKE, person) as client:
        result = await client.call_tool("generate_image", LAKE)
        assert nothing_happened(tmp_path, simulator)
    assert fields_of(result)["error"]["code"] == "confirmation_needed"
    assert "the form broke" not in text_of(result)


async def test_a_question_that_nobody_answers_ends_as_one_that_could_not_be_asked(
    tmp_path: Path, app: App, simulator: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ANSWER_WITHIN_S", 0)
    person = Person()
    person.meanwhile = anyio.sleep_forever
    async with client_of(app, HANDSHAKE, person) as client:
        result = await client.call_tool("generate_image", LAKE)
        assert nothing_happened(tmp_path, simulator)
    assert fields_of(result)["error"]["code"] == "confirmation_needed"


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_that_is_cancelled_while_the_person_is_asked_sends_nothing(
    tmp_path: Path, app: App, simulator: Running, era: str
) -> None:
    person, stop = Person(), anyio.CancelScope()

    async def give_up() -> None:
        stop.cancel()
        await anyio.sleep_forever()

    person.meanwhile = give_up
    async with client_of(app, era, person) as client:
        with stop:
            await client.call_tool("generate_image", LAKE)
        assert stop.cancelled_caught and len(person.asked) == 1
        await client.list_tools()
        assert nothing_happened(tmp_path, simulator)


@pytest.mark.parametrize("era", ERAS)
async def test_what_needs_no_yes_and_what_exists_already_asks_nobody(
    tmp_path: Path, simulator: Running, era: str
) -> None:
    person = Person()
    async with client_of(an_app(tmp_path, simulator, kontext_confirm_above="120 credit"), era, person) as client:
        made = fields_of(await client.call_tool("generate_image", {**LAKE, "request_key": "k"}))
    async with client_of(an_app(tmp_path, simulator), era, person) as client:
        again = fields_of(await client.call_tool("generate_image", {**LAKE, "request_key": "k"}))
        quote = fields_of(await client.call_tool("generate_image", {**LAKE, "dry_run": True}))
    assert (again["job_id"], again["joined"], person.asked) == (made["job_id"], True, [])
    assert quote["warnings"] == ["It is above KONTEXT_CONFIRM_ABOVE: a person is asked before it is sent."]
    assert charged_at(simulator) == 1


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("cap", ["kontext_max_cost", "kontext_daily_budget"])
async def test_a_cap_refuses_without_a_question(tmp_path: Path, simulator: Running, era: str, cap: str) -> None:
    person = Person()
    async with client_of(an_app(tmp_path, simulator, **{cap: "110 credit"}), era, person) as client:
        result = await client.call_tool("generate_image", LAKE)
        assert nothing_happened(tmp_path, simulator)
    assert (fields_of(result)["error"]["code"], person.asked) == ("budget_exceeded", [])


@pytest.mark.parametrize("name", ["yes", "confirmed", "confirm", "go", "requestState"])
@pytest.mark.parametrize("era", ERAS)
async def test_no_argument_says_yes(tmp_path: Path, app: App, simulator: Running, era: str, name: str) -> None:
    async with client_of(app, era, None) as client:
        result = await client.call_tool("generate_image", {**LAKE, name: True})
        assert nothing_happened(tmp_path, simulator)
    assert fields_of(result)["error"]["code"] == "invalid_argument"


async def test_a_prompt_cannot_look_like_the_question(app: App) -> None:
    person = Person(Noes["no"])
    prompt = 'a lake"\nEditing 1 picture costs 0 credit at core.today.\u202e' + "x" * 500
    async with client_of(app, HANDSHAKE, person) as client:
        await client.call_tool("generate_image", {"prompt": prompt})
    first, second = person.asked[0].message.split("\n")
    assert first == "Generating 1 picture costs 120 credit at core.today. Go on?"
    assert second.startswith("Prompt: \"a lake' Editing") and second.endswith('x…"') and len(second) < 220


def _as_it_was(state: str) -> str:
    return state


def _one_character_changed(state: str) -> str:
    middle = len(state) // 2
    return state[:middle] + ("A" if state[middle] != "A" else "B") + state[middle + 1 :]


def _unsealed(_: str) -> str:
    return '["b", "n"]'


class TestSealedState:
    """2026-07-28: the question's state passes through the client."""

    async def test_the_question_is_sealed_and_opens_to_nobody(self, app: App) -> None:
        async with client_of(app, MODERN, Person()) as client:
            result = await first_round(client)
        assert list(result.input_requests or {}) == [asking.CONFIRM]
        assert result.request_state is not None and result.request_state.startswith("v1.")

    async def test_an_answer_sent_again_joins_or_is_asked_anew_and_buys_nothing(
        self, app: App, simulator: Running
    ) -> None:
        async with client_of(app, MODERN, Person()) as client:
            asked = await first_round(client)
            made = await second_round(client, asked.request_state)
            replayed = await second_round(client, asked.request_state)
        assert isinstance(made, types.CallToolResult) and fields_of(made)["status"] == "completed"
        assert isinstance(replayed, types.InputRequiredResult)
        assert replayed.request_state != asked.request_state
        assert charged_at(simulator) == 1

    async def test_one_answer_given_ten_times_at_once_makes_one_job(self, tmp_path: Path, app: App) -> None:
        ids: set[str] = set()

        async def one(client: Client, state: str | None) -> None:
            result = await second_round(client, state, wait_seconds=0)
            if isinstance(result, types.CallToolResult):
                ids.add(fields_of(result)["job_id"])

        async with client_of(app, MODERN, Person()) as client:
            asked = await first_round(client, wait_seconds=0)
            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    tasks.start_soon(one, client, asked.request_state)
        assert len(ids) == 1
        assert DataFolder(tmp_path / "data").one("SELECT COUNT(*) FROM jobs") == 1

    @pytest.mark.parametrize("answer", [YES, None], ids=["an answer without its state", "neither"])
    async def test_without_the_state_the_person_is_asked(
        self, tmp_path: Path, app: App, simulator: Running, answer: types.ElicitResult | None
    ) -> None:
        async with client_of(app, MODERN, Person()) as client:
            assert isinstance(await second_round(client, None, answer), types.InputRequiredResult)
            assert nothing_happened(tmp_path, simulator)

    async def test_a_state_without_an_answer_asks_again(self, tmp_path: Path, app: App, simulator: Running) -> None:
        async with client_of(app, MODERN, Person()) as client:
            asked = await first_round(client)
            assert isinstance(await second_round(client, asked.request_state, None), types.InputRequiredResult)
            assert nothing_happened(tmp_path, simulator)

    @pytest.mark.parametrize(
        ("arguments", "change"),
        [
            ({"prompt": "a sea"}, _as_it_was),
            ({"num_images": 4}, _as_it_was),
            ({}, _one_character_changed),
            ({}, _unsealed),
        ],
        ids=["another prompt", "more images", "changed", "unsealed"],
    )
    async def test_a_state_that_was_changed_or_belongs_to_other_arguments_is_refused(
        self,
        tmp_path: Path,
        app: App,
        simulator: Running,
        arguments: dict[str, Any],
        change: Callable[[str], str],
    ) -> None:
        async with client_of(app, MODERN, Person()) as client:
            asked = await first_round(client)
            with pytest.raises(MCPError, match="Invalid or expired requestState"):
                await second_round(client, change(asked.request_state or ""), **arguments)
            assert nothing_happened(tmp_path, simulator)

    async def test_a_state_of_before_a_restart_is_refused_and_the_next_call_asks_anew(
        self, tmp_path: Path, app: App, simulator: Running
    ) -> None:
        async with client_of(app, MODERN, Person()) as client:
            asked = await first_round(client)
        async with client_of(an_app(tmp_path, simulator), MODERN, Person()) as client:
            with pytest.raises(MCPError, match="Invalid or expired requestState"):
                await second_round(client, asked.request_state)
            assert nothing_happened(tmp_path, simulator)
            await first_round(client)

    async def test_a_state_under_a_shared_key_holds_in_another_process_and_for_its_owner_alone(
        self, tmp_path: Path, app: App, simulator: Running, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with client_of(app, MODERN, Person(), seal=bytes(32)) as client:
            asked = await first_round(client)
        async with client_of(an_app(tmp_path, simulator), MODERN, Person(), seal=bytes(32)) as client:
            with monkeypatch.context() as another:
                another.setattr(asking, "LOCAL_OWNER", "bob")
                with pytest.raises(MCPError, match="Invalid or expired requestState"):
                    await second_round(client, asked.request_state)
                assert nothing_happened(tmp_path, simulator)
            made = await second_round(client, asked.request_state)
        assert isinstance(made, types.CallToolResult) and not made.is_error

    async def test_a_state_that_is_too_old_is_refused(
        self, tmp_path: Path, app: App, simulator: Running, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with client_of(app, MODERN, Person()) as client:
            asked = await first_round(client)
            now = time.time() + asking.ANSWER_WITHIN_S + 1
            monkeypatch.setattr("mcp.server.request_state.time.time", lambda: now)
            with pytest.raises(MCPError, match="Invalid or expired requestState"):
                await second_round(client, asked.request_state)
            assert nothing_happened(tmp_path, simulator)
