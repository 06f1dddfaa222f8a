"""Users' own provider keys over real HTTP: asked for, entered, used for their own jobs alone, and never seen again."""

from __future__ import annotations

import signal
from collections.abc import Generator
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from kontext_server.simulator.serve import running
from support.http_server import served
from support.issuer import issuing
from support.looking_in import DataFolder
from support.own_keys import OPERATORS, Town, key_of, keys_seen
from support.stdio_server import ERAS, call, fields_of
from support.task_client import TakesTasks
from support.waiting import until

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("town")


@pytest.fixture(scope="module")
def town(folder: Path) -> Generator[Town]:
    """One server for all: each test signs people in under names of its own."""
    with running(job_seconds=0.0) as simulator, issuing() as issuer:
        settings = {
            name: value for name, value in simulator.settings_of().items() if name.endswith("_BASE_URL")
        } | issuer.settings
        settings |= {"CORE_TODAY_API_KEY": OPERATORS, "KONTEXT_LOG_LEVEL": "info"}
        with served(folder, settings) as server:
            yield Town(server=server, issuer=issuer, simulator=simulator)


@pytest.mark.parametrize("era", ERAS)
async def test_who_has_no_key_is_led_to_the_page_and_served_by_the_key_they_enter(town: Town, era: str) -> None:
    asked: list[str] = []
    name = f"ann{era[:2]}"
    person = town.person(name, "replicate", key_of(name), asked=asked)
    town.simulator.state.journal.clear()
    async with town.client(name, era=era, person=person) as client:
        made = fields_of(
            await call(client, "generate_image", prompt=f"a lake, {era}", provider="replicate", wait_seconds=50)
        )
        again = fields_of(await call(client, "generate_image", prompt=f"a hill, {era}", wait_seconds=50))
    assert (made["status"], made["provider"]) == ("completed", "replicate")
    assert (again["status"], again["provider"]) == ("completed", "replicate"), "auto takes the provider of their key"
    assert len(asked) == 1 and asked[0].startswith(f"{town.server.base}/keys/")
    assert len(asked[0].rpartition("/")[2]) >= 43, "256 random bits"
    assert keys_seen(town.simulator, "replicate") == {key_of(name)}
    assert keys_seen(town.simulator, "core.today") == set()
    assert (await town.enter(name, "replicate", key_of("other"), way=asked[0])).status_code == 404, "it works once"


async def test_a_client_that_takes_tasks_is_led_there_too(town: Town) -> None:
    asked: list[str] = []
    person = town.person("tim", "replicate", key_of("tim"), asked=asked)
    async with town.client("tim", era=ERAS[1], person=person, extensions=[TakesTasks()]) as client:
        made = fields_of(await call(client, "generate_image", prompt="a lake of Tim's", provider="replicate"))
    assert (made["status"], len(asked)) == ("completed", 1)


@pytest.mark.parametrize("era", ERAS)
async def test_who_will_not_or_cannot_open_an_address_is_told_where_the_page_is(town: Town, era: str) -> None:
    asked: list[str] = []
    town.simulator.state.journal.clear()
    person = town.person("bea", "replicate", "", action="decline", asked=asked)
    for who in (person, None):
        async with town.client("bea", era=era, person=who) as client:
            error = fields_of(await call(client, "generate_image", prompt="a lake", wait_seconds=0))["error"]
        assert (error["code"], error["billed"]) == ("not_configured", "no")
        assert f"{town.server.base}/keys, then call again" in error["fix"]
    assert len(asked) == 1
    assert town.simulator.state.journal.entries() == []


async def test_anothers_address_takes_no_key_though_the_victim_is_who_they_say(town: Town) -> None:
    """The attacker asks for an address and sends it on: the victim's key would serve the attacker."""
    way = await town.a_way_in("mallory")
    refused = await town.enter("victim", "fal", key_of("victim", "fal"), way=way)
    assert refused.status_code == 403
    assert "made for somebody else" in refused.text
    for subject in ("mallory", "victim"):
        shown = await town.send("/keys", {"token": town.issuer.token(subject), "do": "show"})
        assert "You have no keys here." in shown.text
    assert (await town.enter("mallory", "fal", key_of("mal", "fal"), way=way)).status_code == 200, "it is still hers"


async def test_a_form_without_proof_or_from_elsewhere_is_not_acted_upon(town: Town) -> None:
    way, key = await town.a_way_in("carl"), key_of("carl")
    form = {"token": town.issuer.token("carl"), "provider": "replicate", "key": key}
    refused = {
        "no token": await town.send(way, form | {"token": ""}),
        "a bad token": await town.send(way, form | {"token": town.issuer.token("carl", aud="https://other.example")}),
        "no scope to spend": await town.send(way, form | {"token": town.issuer.token("carl", scope="images:read")}),
        "no origin": await town.send(way, form, origin=None),
        "an opaque origin": await town.send(way, form, origin="null"),
        "another origin": await town.send(way, form, origin="https://evil.example"),
        "no such provider": await town.send(way, form | {"provider": "sandbox"}),
        "no key": await town.send(way, form | {"key": "short"}),
        "two words": await town.send(way, form | {"key": "sixteen characters, in words"}),
        "a body without end": await town.send(way, form | {"key": "x" * 40_000}),
        "an address that never was": await town.send("/keys/never-was", form),
    }
    assert {name: answer.status_code for name, answer in refused.items()} == snapshot(
        {
            "no token": 401,
            "a bad token": 401,
            "no scope to spend": 403,
            "no origin": 403,
            "an opaque origin": 403,
            "another origin": 403,
            "no such provider": 400,
            "no key": 400,
            "two words": 400,
            "a body without end": 413,
            "an address that never was": 404,
        }
    )
    assert (await town.send(way, form)).status_code == 200, "none of these used it up"


async def test_what_is_shown_is_kept_nowhere_and_ends_in_the_last_four_characters(town: Town) -> None:
    key = key_of("dan")
    kept = await town.enter("dan", "replicate", key)
    assert kept.headers["cache-control"] == "no-store"
    policy = kept.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; ")
    assert "unsafe" not in policy and "script" not in policy
    assert f"ends in <code>{key[-4:]}</code>" in kept.text and key[:-4] not in kept.text
    assert "set-cookie" not in kept.headers
    async with town.client("dan", era=ERAS[0]) as client:
        sheet = (await client.read_resource("kontext://providers")).contents[0].model_dump_json()
    assert '\\"auto\\": [\\n  \\"replicate\\"\\n ]' in sheet and '\\"key\\": \\"yours\\"' in sheet
    assert f"enter a key of your own at {town.server.base}/keys" in sheet


async def test_a_removed_key_is_used_for_nothing_more_and_the_job_waits_for_it(town: Town) -> None:
    key = key_of("eve")
    await town.enter("eve", "replicate", key)
    town.simulator.state.job_seconds = 3600.0
    try:
        async with town.client("eve", era=ERAS[0]) as client:
            made = fields_of(await call(client, "generate_image", prompt="a long lake", wait_seconds=1))
            removed = await town.remove("eve", "replicate")
            assert "is removed" in removed.text

            async def waits() -> dict[str, object]:
                return fields_of(await call(client, "get_status", job_id=made["job_id"], wait_seconds=1))

            told = await waits()
            while "error" not in told:
                told = await waits()
            town.simulator.state.journal.clear()
            told = await waits()
            refused = fields_of(await call(client, "cancel_job", job_id=made["job_id"]))
            assert town.simulator.state.journal.entries() == [], "nothing is asked by any key"
            assert refused["outcome"] == "cannot_cancel"
            error = told["error"]
            assert isinstance(error, dict)
            assert (told["status"], error["code"]) in [
                (status, "not_configured") for status in ("pending", "processing")
            ]
            assert f"{town.server.base}/keys" in error["fix"]
            town.simulator.state.job_seconds = 0.0
            again = key_of("eve2")
            await town.enter("eve", "replicate", again)
            cancelled = fields_of(await call(client, "cancel_job", job_id=made["job_id"]))
    finally:
        town.simulator.state.job_seconds = 0.0
    assert cancelled["outcome"] in ("cancelled", "already_ended")
    assert keys_seen(town.simulator, "replicate") == {again}


async def test_a_refused_key_of_one_is_nobody_elses_trouble_and_is_told_to_nobody(town: Town) -> None:
    key = key_of("fay")
    await town.enter("fay", "replicate", key)
    await town.enter("gus", "replicate", key_of("gus"))
    town.simulator.state.script({"wire": "replicate", "on": "create", "fault": "error_echoes_key", "match": "refused"})
    town.simulator.state.script(
        {"wire": "replicate", "on": "create", "fault": "429", "retry_after": "30", "match": "asked to wait"}
    )
    async with town.client("fay", era=ERAS[1]) as fay, town.client("gus", era=ERAS[1]) as gus:
        refused = await call(fay, "generate_image", prompt="one that is refused", wait_seconds=50)
        waits = fields_of(await call(fay, "generate_image", prompt="one that is asked to wait", wait_seconds=2))
        his = fields_of(await call(gus, "generate_image", prompt="a lake of Gus's", wait_seconds=20))
    assert fields_of(refused)["status"] == "failed"
    assert key not in refused.model_dump_json()
    assert fields_of(refused)["error"]["fix"] == (
        f"The person enters a valid key for replicate at {town.server.base}/keys; then call again."
    )
    assert waits["status"] == "pending"
    assert his["status"] == "completed", "a 429 to one key holds no other back"


async def test_no_key_and_no_address_lies_open_in_answers_log_or_database(town: Town, folder: Path) -> None:
    key = key_of("ida")
    assert (await town.enter("ida", "replicate", key)).status_code == 200
    async with town.client("ida", era=ERAS[0]) as client:
        await call(client, "generate_image", prompt="a lake of Ida's", wait_seconds=50)
    page = "".join(town.pages)
    data = b"".join(path.read_bytes() for path in (folder / "data").rglob("*") if path.is_file())
    assert DataFolder(folder / "data").one("SELECT COUNT(*) FROM provider_keys") >= 1
    assert key in keys_seen(town.simulator, "replicate")
    assert "MARKKEY" not in page and b"MARKKEY" not in data
    words = [way for page in town.pages for way in page.split('href="/keys/')[1:]]
    assert words and all(word.partition('"')[0].encode() not in data for word in words)


async def test_after_a_kill_a_job_goes_on_with_its_owners_key(town: Town, folder: Path) -> None:
    """The last one: the server is killed and its log read."""
    key = key_of("hal")
    await town.enter("hal", "replicate", key)
    town.simulator.state.job_seconds = 0.3
    async with town.client("hal", era=ERAS[0]) as client:
        made = fields_of(await call(client, "generate_image", prompt="a lake to the end", wait_seconds=0))
        data = DataFolder(folder / "data")
        data.until_state(made["job_id"], "submitted")
        _, said = town.server.end(signal.SIGKILL)
    assert "MARKKEY" not in said and "/keys/" not in said
    town.simulator.state.journal.clear()
    issued = {name: value for name, value in town.simulator.settings_of().items() if name.endswith("_BASE_URL")}
    with served(folder, issued | town.issuer.settings | {"CORE_TODAY_API_KEY": OPERATORS}):
        until(lambda: data.state(made["job_id"]) == "completed", "the job ends after the restart")
    assert keys_seen(town.simulator, "replicate") == {key}
