"""RELIABILITY.md W01, W02: hosts that call back, over real HTTP, and all who only pretend to."""

from __future__ import annotations

import base64
import time
from collections import Counter
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
import pytest

from kontext_server.simulator import runflow
from kontext_server.simulator.calling import Called, Letter, standard
from kontext_server.simulator.replicate import CALL_SECRET
from kontext_server.simulator.serve import Running, running
from kontext_server.web import webhooks
from kontext_tools.providers.hooks import SMALL_BYTES
from support.hosted import Kept, OneMachine
from support.http_server import Served, a_free_port, client_of, connected, served
from support.stdio_server import call, fields_of
from support.waiting import until
from support.workshop import png

pytestmark = pytest.mark.anyio

WIRES = ("core.today", "replicate", "runflow", "bfl", "fal")
SETTINGS_OF_WIRES = (*WIRES, "kkiai", "eachlabs")
PICTURE = "data:image/png;base64," + base64.b64encode(png()).decode()
NEVER_S = 3600.0
"""No job ends by itself in a test that forges its calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooked:
    """A server that hosts can call, and those hosts."""

    server: Served
    simulator: Running
    kept: Kept

    def at(self, wire: str, on: str, fault: str = "none", **more: Any) -> None:
        """Script a fault."""
        self.simulator.state.script({"wire": wire, "on": on, "fault": fault, **more})

    def hook(self, wire: str) -> str:
        """Give the hook that the newest create of a wire was sent with."""
        asked = [job.asked for job in self.simulator.state.jobs.values() if job.wire == wire][-1]
        return next(str(urlsplit(str(value)).path) for value in asked.values() if "/webhooks/" in str(value))

    def looks(self, wire: str) -> int:
        """Count the times a wire was asked for a job."""
        entries = self.simulator.state.journal.entries()
        asked = ("/predictions/", "/runs/", "get_result", "/status")
        return sum(
            entry.method == "GET" and f"/{wire}/" in entry.path and any(one in entry.path for one in asked)
            for entry in entries
        )

    def state(self, job_id: str) -> str | None:
        """Give the state of a job's first send."""
        rows = self.kept.rows(f"SELECT state FROM sends WHERE job_id = '{job_id}' AND n = 1")
        return rows[0][0] if rows else None

    def until_state(self, job_id: str, *states: str) -> None:
        """Wait until a job's first send is in one of these states."""
        until(lambda: self.state(job_id) in states, f"{job_id} is {' or '.join(states)}")

    def called(self) -> list[Called]:
        """Give the calls that were made."""
        return list(self.simulator.state.called)


@pytest.fixture(scope="module")
def started(place: tuple[Path, Kept]) -> Generator[Hooked]:
    """One server for all, with every host that calls."""
    (folder, kept), port = place, a_free_port()
    with running(job_seconds=0.0) as simulator:
        settings = {**simulator.settings_of(*SETTINGS_OF_WIRES), **kept.settings}
        settings |= {
            "KONTEXT_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "RUNFLOW_CALLBACK_SECRET": runflow.CALLBACK_SECRET,
        }
        with served(folder, settings, "--port", str(port)) as server:
            yield Hooked(server=server, simulator=simulator, kept=kept)


@pytest.fixture
def hooked(started: Hooked) -> Hooked:
    """The module's server, its hosts with nothing in them of another test."""
    started.simulator.state.reset()
    return started


@asynccontextmanager
async def asking(hooked: Hooked) -> AsyncGenerator[httpx2.AsyncClient]:
    with anyio.fail_after(60):
        async with client_of(hooked.server) as http:
            yield http


async def edited(hooked: Hooked, wire: str, *, wait_s: int = 0, prompt: str = "a red car") -> dict[str, Any]:
    async with connected(hooked.server) as client:
        asked = {"prompt": prompt, "image": PICTURE, "provider": wire, "wait_seconds": wait_s}
        return fields_of(await call(client, "edit_image", **asked, request_key=f"{wire} {time.monotonic_ns()}"))


@pytest.mark.parametrize("wire", WIRES)
async def test_W01_a_finished_job_is_noticed_by_its_call_and_not_by_a_look(hooked: Hooked, wire: str) -> None:
    """A first call earns the trust that another test's host may have lost; the next job is not looked at meanwhile."""
    for seconds in (0.2, 1.2):
        hooked.simulator.state.reset()
        hooked.at(wire, "create", seconds=seconds)
        assert (await edited(hooked, wire, wait_s=20))["status"] == "completed"
        until(lambda: bool(hooked.called()), "the call came")
    assert ([one.status for one in hooked.called()], hooked.looks(wire)) == ([204], 1)


@pytest.mark.parametrize("wire", ["kkiai", "eachlabs"])
async def test_W01_a_host_that_documents_no_call_is_not_asked_to_call(hooked: Hooked, wire: str) -> None:
    if wire == "eachlabs":
        async with connected(hooked.server) as client:
            asked = {"prompt": "a red car", "image": "https://pictures.invalid/a.png", "provider": wire}
            await call(client, "edit_image", **asked, wait_seconds=0)
        until(lambda: hooked.simulator.state.counter()["creates"][wire] == 1, "the create came")
    else:
        assert (await edited(hooked, wire, wait_s=20))["status"] == "completed"
    sent = [str(entry.json) for entry in hooked.simulator.state.journal.entries() if entry.method == "POST"]
    assert sent
    assert not [body for body in sent if "webhook" in body]


@pytest.mark.parametrize("wire", WIRES)
async def test_W01_a_call_before_the_creates_answer_is_heard_once_that_is_there(hooked: Hooked, wire: str) -> None:
    hooked.at(wire, "call", "call_early")
    told = await edited(hooked, wire, wait_s=20)
    assert (told["status"], hooked.simulator.state.counter()["charged"][wire]) == ("completed", 1)


@pytest.mark.parametrize("wire", ["replicate", "runflow", "bfl", "fal"])
async def test_W01_a_wrong_signature_is_refused_and_the_job_is_found_by_a_look(hooked: Hooked, wire: str) -> None:
    hooked.at(wire, "create", seconds=0.3)
    hooked.at(wire, "call", "call_wrong_signature")
    told = await edited(hooked, wire, wait_s=20)
    until(lambda: bool(hooked.called()), "the call came")
    assert (told["status"], [one.status for one in hooked.called()]) == ("completed", [401])


@pytest.mark.parametrize("wire", ["replicate", "fal"])
async def test_W02_what_was_signed_ten_minutes_ago_is_refused(hooked: Hooked, wire: str) -> None:
    hooked.at(wire, "create", seconds=0.3)
    hooked.at(wire, "call", "call_stale")
    told = await edited(hooked, wire, wait_s=20)
    until(lambda: bool(hooked.called()), "the call came")
    assert (told["status"], [one.status for one in hooked.called()]) == ("completed", [401])


@pytest.mark.parametrize("wire", WIRES)
async def test_W02_a_call_that_comes_twice_leads_to_one_look(hooked: Hooked, wire: str) -> None:
    hooked.at(wire, "create", seconds=0.3)
    hooked.at(wire, "call", "call_twice")
    told = await edited(hooked, wire, wait_s=20)
    until(lambda: len(hooked.called()) == 2, "both calls came")
    assert (told["status"], hooked.looks(wire)) == ("completed", 1)
    assert [one.status for one in hooked.called()] == [204, 204]


async def test_C01_a_lost_reply_is_found_again_by_the_call_and_charged_once(hooked: Hooked) -> None:
    """core.today has no list: the call alone brings the id of what was paid for."""
    hooked.at("core.today", "create", "accept_then_reset", seconds=0.5)
    told = await edited(hooked, "core.today")
    hooked.until_state(told["job_id"], "completed")
    counter = hooked.simulator.state.counter()
    assert (counter["creates"]["core.today"], counter["charged"]["core.today"]) == (1, 1)


@asynccontextmanager
async def a_running_job(hooked: Hooked, wire: str) -> AsyncGenerator[tuple[str, str]]:
    """Give a job that its host has and does not end, and its hook; it is cancelled at the end."""
    hooked.at(wire, "create", seconds=NEVER_S)
    job_id = (await edited(hooked, wire))["job_id"]
    hooked.until_state(job_id, "submitted")
    try:
        yield job_id, hooked.hook(wire)
    finally:
        async with connected(hooked.server) as client:
            await call(client, "cancel_job", job_id=job_id)
        hooked.until_state(job_id, "cancelled", "completed")


def signed(job: Any, body: bytes = b"{}") -> dict[str, str]:
    return standard(Letter(job=job, body=body, at=int(time.time())), CALL_SECRET)


def mangled(hook: str) -> dict[str, str]:
    start, _, proof = hook.rpartition("/")
    _, _, provider, job, n, _ = hook.split("/")
    return {
        "no proof": f"{start}/",
        "half a proof": hook[:-8],
        "another proof": f"{start}/whk_{'A' * 32}",
        "another letter": hook[:-1] + ("A" if hook[-1] != "A" else "B"),
        "another job": f"/webhooks/{provider}/blue-car-4k7q/{n}/{proof}",
        "another send": f"/webhooks/{provider}/{job}/2/{proof}",
        "another provider": f"/webhooks/kkiai/{job}/{n}/{proof}",
        "no number": f"/webhooks/{provider}/{job}/x/{proof}",
        "a letter of another alphabet": f"{start}/{proof[:-1]}%F0%9F%94%91",
    }


async def test_W01_what_is_not_proven_is_refused_and_changes_nothing(hooked: Hooked) -> None:
    async with a_running_job(hooked, "replicate") as (job_id, hook):
        (job,) = hooked.simulator.state.jobs.values()
        other = hook.replace("replicate", "core.today")
        before = hooked.looks("replicate")
        good = signed(job)
        calls: dict[str, tuple[str, Mapping[str, str], bytes]] = {
            name: (path, good, b"{}") for name, path in mangled(hook).items()
        }
        calls["no signature"] = (hook, {}, b"{}")
        calls["another's signature"] = (hook, good | {"webhook-signature": "v1,AAAA"}, b"{}")
        calls["another body"] = (hook, good, b"{} ")
        calls["another moment"] = (hook, good | {"webhook-timestamp": str(int(time.time()) - 1)}, b"{}")
        calls["another event"] = (hook, good | {"webhook-id": "msg_2"}, b"{}")
        calls["of another send"] = (other.rpartition("/")[0] + "/" + hook.rpartition("/")[2], good, b"{}")
        async with asking(hooked) as http:
            got = {
                name: (await http.post(path, headers=head, content=body)).status_code
                for name, (path, head, body) in calls.items()
            }
            methods = [(await http.request(method, hook)).status_code for method in ("GET", "PUT", "DELETE")]
        assert got == dict.fromkeys(calls, 401) | {"no proof": 404}
        assert methods == [405, 405, 405]
        assert hooked.looks("replicate") - before <= 1  # a look of its own may have fallen due
        assert hooked.state(job_id) == "submitted"


async def test_W01_a_body_is_never_believed(hooked: Hooked) -> None:
    """A proven call of a host without signatures says that a job is done; the host, asked, says that it is not."""
    async with a_running_job(hooked, "core.today") as (job_id, hook):
        looks = hooked.looks("core.today")
        lie = {"job_id": "another", "status": "completed", "result": "https://evil.example/a.png"}
        async with asking(hooked) as http:
            answer = await http.post(hook, json=lie)
        until(lambda: hooked.looks("core.today") > looks, "the host was asked")
        assert (answer.status_code, hooked.state(job_id)) == (204, "submitted")


async def test_W02_a_thousand_calls_at_once_are_a_few_looks(hooked: Hooked) -> None:
    async with a_running_job(hooked, "core.today") as (job_id, hook):
        looks, got = hooked.looks("core.today"), Counter[int]()
        async with asking(hooked) as http, anyio.create_task_group() as tasks:

            async def flood(n: int) -> None:
                for k in range(50):
                    got[(await http.post(hook, json={"n": n, "k": k})).status_code] += 1

            for n in range(20):
                tasks.start_soon(flood, n)
        assert got.keys() == {204, 429}
        assert (got.total(), 10 <= got[204] <= 40) == (1000, True), got
        assert hooked.looks("core.today") - looks <= got[204] + 1
        assert hooked.state(job_id) == "submitted"


async def test_W02_a_long_body_is_not_read(hooked: Hooked) -> None:
    async with a_running_job(hooked, "core.today") as (_, hook):

        async def trickle() -> AsyncGenerator[bytes]:
            for _ in range(SMALL_BYTES // 1024 + 2):
                yield b"x" * 1024

        async with asking(hooked) as http:
            declared = await http.post(hook, content=b"x" * (SMALL_BYTES + 1))
            streamed = await http.post(hook, content=trickle())
            longest = await http.post(hook, content=b"x" * SMALL_BYTES)
        assert [declared.status_code, streamed.status_code, longest.status_code] == [413, 413, 204]


async def test_W02_a_call_for_a_job_that_has_ended_changes_nothing(hooked: Hooked) -> None:
    told = await edited(hooked, "core.today", wait_s=20)
    looks = hooked.looks("core.today")
    async with asking(hooked) as http:
        answer = await http.post(hooked.hook("core.today"), json={"status": "failed"})
    assert (answer.status_code, hooked.state(told["job_id"])) == (204, "completed")
    assert hooked.looks("core.today") == looks


async def test_N01_the_hosts_check_stands_before_a_hook_too(hooked: Hooked) -> None:
    async with a_running_job(hooked, "core.today") as (_, hook):
        async with asking(hooked) as http:
            answer = await http.post(hook, json={}, headers={"Host": "evil.example"})
        assert answer.status_code == 421


async def test_no_answer_and_no_line_of_the_log_tells_a_hook(tmp_path: Path) -> None:
    """The host echoes the create that it refuses, and all is logged."""
    port = a_free_port()
    with running(job_seconds=0.0) as simulator, anyio.fail_after(60):
        settings = simulator.settings_of("bfl", "core.today")
        settings |= {"KONTEXT_PUBLIC_URL": f"http://127.0.0.1:{port}"}
        with served(tmp_path, settings, "--port", str(port)) as server:
            hooked = Hooked(server=server, simulator=simulator, kept=OneMachine(tmp_path))
            answers = [await edited(hooked, wire, wait_s=20) for wire in ("bfl", "core.today")]
            hook = hooked.hook("core.today")
            hooked.at("core.today", "create", "422", text=f"webhook_url: {hook} cannot be reached")
            answers.append(await edited(hooked, "core.today", wait_s=20))
            async with client_of(server) as http:
                await http.post(f"{hook}x", json={})
                hooked.at("core.today", "get", "500", times=20)
                await http.post(hook, json={"job_id": "x"})
            _, said = server.end()
    told = str(answers) + said + str(hooked.kept.rows("SELECT doc FROM jobs UNION ALL SELECT doc FROM sends"))
    assert "cannot be reached" in told
    assert "whk_" not in told


def test_a_hook_is_open_to_whoever_has_no_token() -> None:
    from kontext_server.web.sign_in import OPEN_TO_ALL

    assert "/webhooks/red-car/1/whk_x".startswith(webhooks.BEGINNING)
    assert webhooks.BEGINNING in OPEN_TO_ALL
