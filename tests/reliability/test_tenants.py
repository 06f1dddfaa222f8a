"""RELIABILITY.md T06, T07: ids cannot be guessed, and who floods takes from nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from urllib.parse import parse_qs, urlsplit

import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError

from kontext_server.surface.limits import BEGIN, MISS, SPEND
from kontext_tools.errors import NotFound
from kontext_tools.references import CROCKFORD
from kontext_tools.tasks import ID_BYTES
from kontext_tools.views import Call
from support.at_simulator import creates_at
from support.hosted import Hosted, a_call
from support.http_server import ACCEPT, client_of
from support.scripted import Scripted, waiting
from support.stdio_server import call, fields_of
from support.task_client import TakesTasks, get, task_of
from support.workshop import workshop

pytestmark = pytest.mark.anyio

GUESSES, SAMPLE = 100_000, 1_000
LAKE = {"prompt": "a lake", "dry_run": True}


def _guesses(ids: list[str], count: int) -> Iterator[str]:
    """Give ids of others as they are, with one letter changed, and with their last four drawn anew."""
    random = Random(6)
    yield from ids
    for _ in range(count - len(ids)):
        stem = random.choice(ids)
        if random.random() < 0.5:
            yield stem[:-4] + "".join(random.choices(CROCKFORD, k=4))
        else:
            at = random.randrange(len(stem))
            yield stem[:at] + random.choice(CROCKFORD) + stem[at + 1 :]


@pytest.mark.campaign
async def test_T06_no_guess_finds_a_job_of_somebody_elses(tmp_path: Path, whole_campaign: bool) -> None:
    async with workshop(tmp_path, Scripted(creates=[waiting()]), running=False) as shop:
        ids = [(await shop.generate(f"a red car, number {n}")).job.id for n in range(20)]
        told: set[str] = set()
        count = GUESSES if whole_campaign else SAMPLE
        for guess in _guesses(ids, count):
            with pytest.raises(NotFound) as caught:
                await shop.studio.get_status(guess, Call(owner="bob"))
            told.add(str(caught.value.failure.to_dict()))
    assert len(told) == 1


async def test_T06_the_limiter_acts_on_who_guesses_by_whatever_way(hosted: Hosted) -> None:
    async with hosted.client("una") as una:
        made = fields_of(await call(una, "generate_image", prompt="a lake of Una's", wait_seconds=50))
        codes: dict[str, list[str]] = {}
        for who, tool in (("guess-1", "get_status"), ("guess-2", "cancel_job")):
            async with hosted.client(who) as guesser:
                ids = [made["job_id"], *(f"red-car-{n:04}" for n in range(MISS.burst + 3))]
                codes[tool] = [fields_of(await call(guesser, tool, job_id=one))["error"]["code"] for one in ids]
        errors: list[int] = []
        async with hosted.client("guess-3") as guesser:
            for n in range(MISS.burst + 3):
                with pytest.raises(MCPError) as caught:
                    await guesser.read_resource(f"kontext://images/{made['job_id']}/{n}")
                errors.append(caught.value.error.code)
        refused = fields_of(await call(una, "get_status", job_id=made["job_id"]))
    for told in codes.values():
        # A guess may be left again by the time that the last ones are made.
        assert told[: MISS.burst] == ["not_found"] * MISS.burst
        assert "rate_limited" in told and set(told) == {"not_found", "rate_limited"}
    assert set(errors[: MISS.burst]) == {types.INVALID_PARAMS} and types.INVALID_REQUEST in errors
    assert refused["status"] == "completed"


async def test_T06_what_opens_by_itself_holds_at_least_128_random_bits(hosted: Hosted) -> None:
    async with hosted.client("vera", extensions=[TakesTasks()]) as vera:
        hosted.simulator.state.job_seconds = 60.0
        try:
            tasks = [(await task_of(vera, "generate_image", {"prompt": f"lake {n}"})).task_id for n in range(2)]
        finally:
            hosted.simulator.state.job_seconds = 0.0
        made = fields_of(await call(vera, "generate_image", prompt="a lake of Vera's", wait_seconds=50))
        assert (await get(vera, tasks[0]))["taskId"] == tasks[0]
    assert ID_BYTES * 8 >= 128
    assert [len(bytes.fromhex(task)) for task in tasks] == [ID_BYTES] * 2
    url: str = made["images"][0]["url"]
    (proof,) = parse_qs(urlsplit(url).query)["proof"]
    assert len(proof) * 6 >= 256


async def test_T07_who_floods_is_refused_before_anything_is_sent_and_takes_from_nobody(hosted: Hosted) -> None:
    before = len(creates_at(hosted.simulator))
    token = hosted.issuer.token("flood")
    answers = [
        (await hosted.post(a_call("generate_image", **LAKE), token)).json()["result"] for _ in range(SPEND.burst + 5)
    ]
    refused = [answer["structuredContent"]["error"] for answer in answers if answer.get("isError")]
    assert refused and {error["code"] for error in refused} == {"rate_limited"}
    assert {(error["retry_after_s"], error["billed"]) for error in refused} == {(1, "no")}
    other = (await hosted.post(a_call("generate_image", **LAKE), hosted.issuer.token("calm"))).json()["result"]
    assert other["structuredContent"]["dry_run"] is True
    assert len(creates_at(hosted.simulator)) == before


async def test_T07_nobody_takes_all_the_sessions_there_are(hosted: Hosted) -> None:
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "0"}}
    begin = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    statuses: dict[str, list[int]] = {"hoarder": [], "calm": []}
    async with client_of(hosted.server) as http:

        async def ask(subject: str) -> str | None:
            bearer = {"Authorization": f"Bearer {hosted.issuer.token(subject)}", **ACCEPT}
            answer = await http.post("/mcp", json=begin, headers=bearer)
            statuses[subject].append(answer.status_code)
            return answer.headers.get("retry-after")

        waits = [await ask("hoarder") for _ in range(BEGIN.burst + 2)]
        await ask("calm")
        elsewhere = await http.post("/gallery/enter", data={"ticket": "x"}, headers=hosted.bearer("hoarder"))
    assert statuses["hoarder"][: BEGIN.burst] == [200] * BEGIN.burst
    assert 429 in statuses["hoarder"] and statuses["calm"] == [200]
    assert elsewhere.status_code == 401, "it begins no session there"
    assert set(waits) <= {None, *map(str, range(1, 6))}
