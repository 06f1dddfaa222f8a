"""RELIABILITY.md A01-A03, T01-T05, N02: who may come in over HTTP, what they may do, and whose is whose."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import httpx2
import mcp_types as types
import pytest
from mcp.client.subscriptions import Subscription
from mcp.server.subscriptions import ResourceUpdated
from mcp.shared.exceptions import MCPError

from kontext_server.setting_sources import SettingError
from kontext_server.settings import load
from kontext_server.simulator.serve import running
from kontext_server.web import http as web
from support.hosted import STATIC, Hosted, a_call
from support.http_server import Served, client_of, envelope, headers, served
from support.issuer import AUDIENCE, OTHER_KEY, bad_tokens, issuing, jwk
from support.stdio_server import ERAS, call, fields_of
from support.task_client import TakesTasks, get, task_of

pytestmark = pytest.mark.anyio

LIST = envelope("tools/list")
LAKE = {"prompt": "a red lake"}
SCOPES = ["images:read", "images:edit", "jobs:cancel", "admin:budget"]


async def test_A01_no_bad_token_is_let_in_and_nothing_is_sent(hosted: Hosted) -> None:
    before, body = len(hosted.simulator.state.journal.entries()), a_call("generate_image", **LAKE)
    with issuing() as other:
        other.keys[:] = [jwk(OTHER_KEY, "rsa-1")]
        bad = bad_tokens(hosted.issuer, other)
        got = {name: await hosted.post(body, token) for name, token in bad.items()}
    without = await hosted.post(body, None)
    assert (without.status_code, without.headers["www-authenticate"]) == (
        401,
        f'Bearer resource_metadata="{hosted.metadata}"',
    )
    challenge = f'Bearer error="invalid_token", resource_metadata="{hosted.metadata}"'
    assert {name: (answer.status_code, answer.headers["www-authenticate"]) for name, answer in got.items()} == (
        dict.fromkeys(bad, (401, challenge))
    )
    assert len({answer.text for answer in got.values()}) == 1
    assert len(hosted.simulator.state.journal.entries()) == before
    assert (await hosted.post(LIST, hosted.issuer.token("carol"))).status_code == 200


async def test_A01_a_token_is_taken_from_one_header_alone(hosted: Hosted) -> None:
    token, body = hosted.issuer.token("carol"), LIST
    challenge = f'Bearer error="invalid_request", resource_metadata="{hosted.metadata}"'
    async with client_of(hosted.server) as http:
        by_query = await http.post(f"/mcp?access_token={token}", json=body, headers=headers(body))
        twice = await http.post(
            "/mcp", json=body, headers=[*headers(body).items(), *[("Authorization", f"Bearer {token}")] * 2]
        )
        basic = await http.post("/mcp", json=body, headers=headers(body) | {"Authorization": f"Basic {token}"})
        gets = {path: (await http.get(path)).status_code for path in ("/mcp", "/mcp/", "/", "/nothing", "/healthz")}
    assert [(one.status_code, one.headers["www-authenticate"]) for one in (by_query, twice)] == [(400, challenge)] * 2
    assert basic.status_code == 401
    assert gets == {"/mcp": 401, "/mcp/": 401, "/": 401, "/nothing": 401, "/healthz": 200}


async def test_A01_a_client_learns_where_to_sign_in(hosted: Hosted) -> None:
    expected = {
        "resource": hosted.server.url,
        "authorization_servers": [hosted.issuer.name],
        "scopes_supported": SCOPES,
        "bearer_methods_supported": ["header"],
        "resource_name": "Kontext image editing",
    }
    async with client_of(hosted.server) as http:
        assert (await http.get(hosted.metadata)).json() == expected
        assert (await http.get("/.well-known/oauth-protected-resource")).json() == expected


@pytest.mark.parametrize(
    ("scope", "body", "missing"),
    [
        ("images:read jobs:cancel", a_call("edit_image", image="x/1", prompt="x"), "images:edit"),
        ("images:read jobs:cancel", a_call("generate_image", **LAKE), "images:edit"),
        ("images:read admin:budget", a_call("run_plan", steps=[]), "images:edit"),
        ("images:read images:edit", a_call("cancel_job", job_id="x"), "jobs:cancel"),
        ("images:edit", a_call("get_status", job_id="x"), "images:read"),
        ("images:edit", envelope("resources/list"), "images:read"),
        ("", envelope("resources/read", {"uri": "kontext://jobs"}), "images:read"),
    ],
)
async def test_A02_what_a_token_does_not_allow_is_refused_naming_the_one_scope(
    hosted: Hosted, scope: str, body: dict[str, Any], missing: str
) -> None:
    before = len(hosted.simulator.state.journal.entries())
    answer = await hosted.post(body, hosted.issuer.token("carol", scope=scope))
    assert (answer.status_code, answer.headers["www-authenticate"]) == (
        403,
        f'Bearer error="insufficient_scope", scope="{missing}", resource_metadata="{hosted.metadata}"',
    )
    assert len(hosted.simulator.state.journal.entries()) == before
    assert (await hosted.post(LIST, hosted.issuer.token("carol", scope=scope))).status_code == 200


async def test_P03_a_body_that_is_read_for_its_scope_is_bounded_and_handed_on(hosted: Hosted) -> None:
    told = headers(LIST) | {"Content-Type": "application/json"}
    told |= {"Authorization": f"Bearer {hosted.issuer.token('carol', scope='images:read')}"}

    async def chunks() -> AsyncGenerator[bytes]:
        for _ in range(17):
            yield b" " * (1 << 20)

    async with client_of(hosted.server) as http:
        whole = http.build_request("POST", "/mcp", json=LIST).content
        too_long = [
            (await http.post("/mcp", content=b" " * ((16 << 20) + 1), headers=told)).status_code,
            (await http.post("/mcp", content=chunks(), headers=told)).status_code,
        ]
        fits = await http.post("/mcp", content=b" " * 1_000_000 + whole, headers=told)
    assert too_long == [413, 413]
    assert (fits.status_code, "tools" in fits.json()["result"]) == (200, True)


@pytest.mark.parametrize("era", ERAS)
async def test_A03_the_token_goes_to_no_provider(hosted: Hosted, era: str) -> None:
    token = hosted.issuer.token("dora")
    async with hosted.client("dora", era=era) as client:
        made = fields_of(await call(client, "generate_image", prompt=f"a lake of {era}", wait_seconds=50))
    assert made["status"] == "completed"
    entries = hosted.simulator.state.journal.entries()
    assert entries
    told = json.dumps([[entry.path, dict(entry.headers)] for entry in entries])
    assert token.split(".")[0] not in told and hosted.issuer.name not in told


async def test_A02_what_an_operator_watches_needs_the_scope_for_it_and_names_nobody(hosted: Hosted) -> None:
    async with hosted.client("olga") as client:
        made = fields_of(await call(client, "generate_image", prompt="a secret lake of Olga's", wait_seconds=50))
        await call(client, "get_status", job_id="zzzz-zzzz-0000")
    refused: dict[str, tuple[int, str]] = {}
    async with client_of(hosted.server) as http:

        async def look(scope: str | None) -> httpx2.Response:
            token = None if scope is None else hosted.issuer.token("olga", scope=scope)
            return await http.get("/metrics", headers={} if token is None else {"Authorization": f"Bearer {token}"})

        for scope in (None, "images:read images:edit jobs:cancel"):
            answer = await look(scope)
            refused[str(scope)] = (answer.status_code, answer.headers["www-authenticate"])
        answer = await look("admin:budget")
    assert refused == {
        "None": (401, f'Bearer resource_metadata="{hosted.metadata}"'),
        "images:read images:edit jobs:cancel": (
            403,
            f'Bearer error="insufficient_scope", scope="admin:budget", resource_metadata="{hosted.metadata}"',
        ),
    }
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    told = answer.text
    for line in (
        'kontext_tool_calls_total{outcome="ok",tool="generate_image"}',
        'kontext_tool_calls_total{outcome="not_found",tool="get_status"}',
        'kontext_provider_requests_total{kind="create",outcome="ok",provider="core.today"}',
        'kontext_send_wait_seconds_count{provider="core.today"}',
        'kontext_send_seconds_count{provider="core.today",state="completed"}',
        'kontext_spent_today{entry="settled",provider="core.today",unit="credit"}',
        "kontext_store_up 1.0",
        "kontext_leases ",
        "kontext_listeners ",
    ):
        assert f"\n{line}" in told, line
    job_id, image = made["job_id"], made["images"][0]
    hidden = (job_id, image["url"], "secret lake", "olga", hosted.issuer.name, *hosted.simulator.settings.values())
    assert [word for word in hidden if word in told] == []


def told_of(result: types.CallToolResult) -> str:
    """Give a refusal as its caller reads it."""
    return json.dumps(fields_of(result), sort_keys=True)


@pytest.mark.parametrize("era", ERAS)
async def test_T01_anothers_job_reads_as_one_that_is_not_there(hosted: Hosted, era: str) -> None:
    await _refused_alike(hosted, era, "get_status")


@pytest.mark.parametrize("era", ERAS)
async def test_T02_anothers_job_is_not_cancelled_and_reads_as_one_that_is_not_there(hosted: Hosted, era: str) -> None:
    await _refused_alike(hosted, era, "cancel_job")


async def _refused_alike(hosted: Hosted, era: str, tool: str) -> None:
    """Prove that a tool tells Bob of Alice's job what it tells of none, and that hers goes on."""
    hosted.simulator.state.job_seconds = 0.2
    async with hosted.client("alice", era=era) as alice, hosted.client("bob", era=era) as bob:
        made = fields_of(await call(alice, "generate_image", prompt=f"{tool} {era}", wait_seconds=0))
        job_id = made["job_id"]
        his = told_of(await call(bob, tool, job_id=job_id))
        nobodys = told_of(await call(bob, tool, job_id="zzzz-zzzz-0000"))
        hers = fields_of(await call(alice, "get_status", job_id=job_id, wait_seconds=50))
    hosted.simulator.state.job_seconds = 0.0
    assert his.replace(job_id, "ID") == nobodys.replace("zzzz-zzzz-0000", "ID")
    assert '"not_found"' in his
    assert hers["status"] == "completed"


@pytest.mark.parametrize("era", ERAS)
async def test_T03_anothers_pictures_are_neither_read_nor_listed(hosted: Hosted, era: str) -> None:
    async with hosted.client("erin", era=era) as erin, hosted.client("frank", era=era) as frank:
        made = fields_of(await call(erin, "generate_image", prompt=f"a lake of Erin's, {era}", wait_seconds=50))
        ref, job_id = made["images"][0]["ref"], made["job_id"]
        listed = json.dumps([one.model_dump(mode="json") for one in (await frank.list_resources()).resources])
        found = fields_of(await call(frank, "find_images", query="lake"))
        jobs = (await frank.read_resource("kontext://jobs")).contents[0]
        usage = (await frank.read_resource("kontext://usage")).contents[0]
        template = types.ResourceTemplateReference(type="ref/resource", uri="kontext://jobs/{job}")
        completed = await frank.complete(template, {"name": "job", "value": job_id[:2]})
        refused: dict[tuple[str, str], tuple[int, str]] = {}
        for name, uri in (("his", f"kontext://images/{ref}"), ("nobody's", "kontext://images/zzzz-zzzz-0000/1")):
            for form in ("", "/meta", "/thumb", "/lineage", "/preview"):
                with pytest.raises(MCPError) as caught:
                    await frank.read_resource(uri + form)
                refused[name, form] = (caught.value.error.code, caught.value.error.message)
        as_source = fields_of(await call(frank, "edit_image", image=ref, prompt="Make it blue"))["error"]
        assert (await erin.read_resource(f"kontext://images/{ref}/meta")).contents
    assert job_id not in listed + json.dumps(found) + jobs.model_dump_json() + completed.model_dump_json()
    assert "core.today" not in usage.model_dump_json()
    assert len(set(refused.values())) == 1
    assert as_source["code"] == "unknown_ref" and job_id not in json.dumps(as_source).replace(ref, "")


async def test_T04_anothers_request_key_is_free(hosted: Hosted) -> None:
    asked = {"prompt": "a lake by key", "request_key": "order-1", "wait_seconds": 50}
    async with hosted.client("gina") as gina, hosted.client("hans") as hans:
        hers, his = (
            fields_of(await call(gina, "generate_image", **asked)),
            fields_of(await call(hans, "generate_image", **asked)),
        )
        other = fields_of(await call(hans, "generate_image", **asked | {"request_key": "order-2", "prompt": "x"}))
        again = fields_of(await call(gina, "generate_image", **asked))
    assert "joined" not in his and len({hers["job_id"], his["job_id"], other["job_id"]}) == 3
    assert again["job_id"] == hers["job_id"]


async def test_T05_anothers_task_reads_as_one_that_is_not_there(hosted: Hosted) -> None:
    async with (
        hosted.client("ida", extensions=[TakesTasks()]) as ida,
        hosted.client("jon", extensions=[TakesTasks()]) as jon,
    ):
        hosted.simulator.state.job_seconds = 60.0
        try:
            task = await task_of(ida, "generate_image", {"prompt": "a task of Ida's"})
        finally:
            hosted.simulator.state.job_seconds = 0.0
        refused: list[tuple[int, str]] = []
        for task_id in (task.task_id, "0" * len(task.task_id)):
            with pytest.raises(MCPError) as caught:
                await get(jon, task_id)
            refused.append((caught.value.error.code, caught.value.error.message))
        assert refused == [(types.INVALID_PARAMS, "There is no task of that id")] * 2
        assert (await get(ida, task.task_id))["taskId"] == task.task_id


@pytest.mark.parametrize("era", ERAS)
async def test_T05_a_listener_hears_of_nobody_elses_job_though_it_watches_it(hosted: Hosted, era: str) -> None:
    heard: list[str] = []
    news = anyio.Event()

    async def hear(message: object) -> None:
        told = message.params if isinstance(message, types.ResourceUpdatedNotification) else message
        if isinstance(told, types.ResourceUpdatedNotificationParams | ResourceUpdated):
            heard.append(str(told.uri))
            news.set()

    async def attend(stream: Subscription) -> None:
        async for event in stream:
            await hear(event)

    async with hosted.client("mia", era=era) as mia, hosted.client("ned", era=era, message_handler=hear) as ned:
        hosted.simulator.state.job_seconds = 60.0
        try:
            jobs = [
                fields_of(await call(client, "generate_image", prompt=f"for news, {era}", wait_seconds=0))["job_id"]
                for client in (mia, ned)
            ]
        finally:
            hosted.simulator.state.job_seconds = 0.0
        uris = [f"kontext://jobs/{job_id}" for job_id in jobs]
        async with AsyncExitStack() as stack:
            if era == ERAS[0]:
                for uri in uris:
                    params = types.SubscribeRequestParams(uri=uri)
                    await ned.session.send_request(types.SubscribeRequest(params=params), types.EmptyResult)
            else:
                stream = await stack.enter_async_context(ned.listen(resource_subscriptions=uris))
                tasks = await stack.enter_async_context(anyio.create_task_group())
                tasks.start_soon(attend, stream)
                stack.callback(tasks.cancel_scope.cancel)
            # The journal is told in its own order: what is hers would be heard before what is his.
            for client, job_id in ((mia, jobs[0]), (ned, jobs[1])):
                await call(client, "cancel_job", job_id=job_id)
            await news.wait()
    assert set(heard) == {uris[1]}


async def test_T05_a_session_of_the_handshake_era_serves_nobody_but_who_began_it(hosted: Hosted) -> None:
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "0"}}
    begin = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    accept = {"Accept": "application/json, text/event-stream"}
    asks = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    got: dict[str, int] = {}
    async with client_of(hosted.server) as http:
        mine = {"Authorization": f"Bearer {hosted.issuer.token('kim')}", **accept}
        session = (await http.post("/mcp", json=begin, headers=mine)).headers["mcp-session-id"]
        within = {"Mcp-Session-Id": session, "Mcp-Protocol-Version": "2025-11-25"}
        for subject in ("kim", "lea"):
            theirs = {"Authorization": f"Bearer {hosted.issuer.token(subject)}", **accept, **within}
            got[subject] = (await http.post("/mcp", json=asks, headers=theirs)).status_code
    assert got == {"kim": 200, "lea": 404}


async def test_T05_one_name_at_two_issuers_is_two_people(hosted: Hosted) -> None:
    listing = envelope("resources/read", {"uri": "kontext://jobs"})
    made = await hosted.post(a_call("generate_image", prompt="a lake of the team", wait_seconds=50), STATIC)
    job_id = made.json()["result"]["structuredContent"]["job_id"]
    by_file = await hosted.post(listing, STATIC)
    by_issuer = await hosted.post(listing, hosted.issuer.token("alice"))
    assert (job_id in by_file.text, job_id in by_issuer.text) == (True, False)


async def test_A02_nobody_spends_the_operators_money_unless_it_is_shared(tmp_path: Path) -> None:
    with running(job_seconds=0.0) as simulator, issuing() as issuer:
        settings = simulator.settings | issuer.settings
        settings |= {"KONTEXT_PUBLIC_URL": AUDIENCE.removesuffix("/mcp")}
        # Everything of a public server but a public network: any host is listened on once people sign in.
        with served(tmp_path, settings, "--host", "0.0.0.0") as server:
            local = Served(url=server.url.replace("0.0.0.0", "127.0.0.1"), process=server.process)
            bearer = {"Authorization": f"Bearer {issuer.token()}"}
            answers: list[dict[str, Any]] = []
            async with client_of(local) as http:
                evil = await http.get("/healthz")
                for provider in ("auto", "core.today", "sandbox"):
                    body = a_call("generate_image", **LAKE, provider=provider)
                    named = headers(body) | bearer | {"Host": "kontext.example"}
                    answers.append((await http.post("/mcp", json=body, headers=named)).json())
                named = headers(LIST) | {"Host": "kontext.example"}
                unsigned = await http.post("/mcp", json=LIST, headers=named)
        codes = [answer["result"]["structuredContent"]["error"]["code"] for answer in answers]
        fixes = {answer["result"]["structuredContent"]["error"]["fix"] for answer in answers}
        assert (evil.status_code, unsigned.status_code) == (421, 401)
        metadata = "https://kontext.example/.well-known/oauth-protected-resource/mcp"
        assert unsigned.headers["www-authenticate"] == f'Bearer resource_metadata="{metadata}"'
        assert codes == ["not_configured"] * 3
        assert len(fixes) == 1 and "KONTEXT_SHARE_KEYS=true" in fixes.pop()
        assert simulator.state.journal.entries() == []


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"KONTEXT_PUBLIC_URL": "https://kontext.example"}, "KONTEXT_TOKENS_FILE"),
        ({"KONTEXT_ALLOWED_HOSTS": "kontext.example"}, "KONTEXT_TOKENS_FILE"),
        ({"KONTEXT_AUTH_ISSUER": "https://issuer.example"}, "KONTEXT_AUTH_JWKS_URL"),
        ({"KONTEXT_AUTH_JWKS_URL": "https://issuer.example/keys"}, "KONTEXT_AUTH_ISSUER"),
        ({"KONTEXT_TOKENS_FILE": "/nowhere/tokens", "KONTEXT_ALLOWED_HOSTS": "kontext.example"}, "KONTEXT_PUBLIC_URL"),
        ({"KONTEXT_TOKENS_FILE": "/nowhere/tokens"}, "KONTEXT_TOKENS_FILE"),
    ],
)
def test_N02_sign_in_by_half_does_not_start(tmp_path: Path, settings: dict[str, str], told: str) -> None:
    made = load(kontext_data_dir=tmp_path, **{name.lower(): value for name, value in settings.items()})
    with pytest.raises(SettingError) as caught:
        web.serve(made, host="127.0.0.1", port=0, announce=lambda _: None)
    assert told in str(caught.value)
