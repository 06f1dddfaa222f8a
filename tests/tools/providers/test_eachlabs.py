"""Eachlabs' adapter against the simulator and a scripted host, over real HTTP."""

from __future__ import annotations

import json
from typing import Any, Protocol, cast

import anyio
import pytest
from inline_snapshot import snapshot

from kontext_server.simulator.serve import Running
from kontext_tools import images
from kontext_tools.edits import ASPECT_RATIOS
from kontext_tools.errors import Billed
from kontext_tools.http import READ_S, Http
from kontext_tools.providers.base import (
    Attachment,
    CancelOutcome,
    FetchFailed,
    Phase,
    Verdict,
)
from kontext_tools.providers.eachlabs import (
    ADDED_FIELDS,
    FALLBACK_VERSION,
    LOOK_READ_S,
    Eachlabs,
)
from support.orders import an_order, failure_of, fate_of, intent, seen_of
from support.scripted_host import Says, scripted
from support.timed import Timed
from support.workshop import png

pytestmark = pytest.mark.anyio

KEY = "el_PLANTED_MARKER_0123456789"
SEEN = Attachment(url="https://a.example/i.png")
REFUSED, NOT_TAKEN, UNKNOWN = Verdict.REFUSED, Verdict.NOT_TAKEN, Verdict.UNKNOWN
CREATE = {"wire": "eachlabs", "on": "create"}
ACCEPTED = Says(json={"status": "success", "message": "Prediction created successfully", "predictionID": "p1"})


class Make(Protocol):
    def __call__(self, base_url: str = "", *, text_to_image: bool = False) -> Eachlabs: ...


@pytest.fixture
def make(simulator: Running, http: Http) -> Make:
    def made(base_url: str = "", *, text_to_image: bool = False) -> Eachlabs:
        base_url = base_url or f"{simulator.base_url}/eachlabs"
        return Eachlabs(http, key=KEY, base_url=base_url, text_to_image=text_to_image)

    return made


@pytest.fixture
def adapter(make: Make) -> Eachlabs:
    return make()


def _paths(simulator: Running) -> list[str]:
    return [entry.path.removeprefix("/eachlabs") for entry in simulator.state.journal.entries()]


def _schema(*fields: str, required: Any = ("prompt",)) -> Says:
    schema = {"type": "object", "required": list(required), "properties": dict.fromkeys(fields, "any")}
    return Says(json={"slug": "flux-kontext-pro", "version": "0.0.7", "request_schema": schema})


async def test_the_create_goes_out_as_the_vendors_api_has_it(simulator: Running, adapter: Eachlabs) -> None:
    """WIRE.md G: the seed's page names no endpoint; the vendor's OpenAPI file and skills repository do."""
    await adapter.submit(an_order(SEEN, aspect_ratio="1:1"), intent)
    asked, create = simulator.state.journal.entries()
    assert (asked.method, asked.path, asked.query) == ("GET", "/eachlabs/v1/model", "slug=flux-kontext-pro")
    assert (create.method, create.path) == ("POST", "/eachlabs/v1/prediction")
    assert (asked.headers["x-api-key"], create.headers["x-api-key"]) == (KEY, KEY)
    assert create.json == snapshot(
        {
            "model": "flux-kontext-pro",
            "version": "0.0.1",
            "input": {
                "prompt": "Make this a 90s cartoon",
                "input_image": "https://a.example/i.png",
                "aspect_ratio": "1:1",
                "safety_tolerance": 2,
            },
        }
    )
    assert set(ADDED_FIELDS) <= {"version", *create.json["input"]}


async def test_every_field_goes_out_under_the_vendors_name(simulator: Running, adapter: Eachlabs) -> None:
    for ratio in ASPECT_RATIOS:
        await adapter.submit(an_order(SEEN, aspect_ratio=ratio, seed=2**32 - 1, safety_tolerance=0), intent)
    assert simulator.state.journal.entries()[-1].json["input"] == snapshot(
        {
            "prompt": "Make this a 90s cartoon",
            "input_image": "https://a.example/i.png",
            "aspect_ratio": "1:2",
            "seed": 4294967295,
            "safety_tolerance": 0,
        }
    )


async def test_the_version_is_asked_for_once_and_the_hosts_own_is_named(simulator: Running, adapter: Eachlabs) -> None:
    simulator.state.script({"wire": "eachlabs", "on": "model", "version": "1.0.0"})
    assert adapter.request(an_order(SEEN))["version"] == FALLBACK_VERSION
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(adapter.submit, an_order(SEEN), intent)
    await adapter.submit(an_order(SEEN), intent)
    creates = [entry.json["version"] for entry in simulator.state.journal.entries() if entry.method == "POST"]
    assert creates == ["1.0.0"] * 5
    assert _paths(simulator).count("/v1/model") == 1
    assert adapter.request(an_order(SEEN))["version"] == "1.0.0"


@pytest.mark.parametrize("fault", ["404", "garbage", "empty", "500", "reset_before_accept", "429"])
async def test_without_an_answer_the_version_that_all_public_code_names_serves(
    simulator: Running, adapter: Eachlabs, fault: str
) -> None:
    simulator.state.script({"wire": "eachlabs", "on": "model", "fault": fault})
    await adapter.submit(an_order(SEEN), intent)
    await adapter.submit(an_order(SEEN), intent)
    assert simulator.state.journal.entries()[1].json["version"] == FALLBACK_VERSION
    answered = fault in ("404", "garbage", "empty")
    assert _paths(simulator).count("/v1/model") == (1 if answered else 2)


async def test_creates_that_wait_for_an_unanswered_question_do_not_ask_it_each(make: Make) -> None:
    later = anyio.Event()
    async with scripted(Says(status=500, after=later), ACCEPTED) as host:
        adapter = make(host.base_url)
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(adapter.submit, an_order(SEEN), intent)
            await host.asked.wait()
            await anyio.wait_all_tasks_blocked()
            later.set()
    assert [heard.method for heard in host.heard] == ["GET", "POST", "POST", "POST"]


async def test_a_version_that_the_host_does_not_have_is_refused_free_of_charge(
    simulator: Running, adapter: Eachlabs
) -> None:
    simulator.state.script({**CREATE, "version": "2.0.0"})
    failed = await failure_of(adapter, an_order(SEEN))
    assert (failed.verdict, failed.failure.code) == (REFUSED, "provider_error")
    assert simulator.state.counter()["charged"]["eachlabs"] == 0


async def test_d5_9_text_to_image_needs_both_the_operator_and_a_schema_that_leaves_the_image_optional(
    simulator: Running, make: Make
) -> None:
    assert make().offer.generates is False
    willing = make(text_to_image=True)
    assert willing.offer.generates is True
    await willing.submit(an_order(aspect_ratio="1:1"), intent)
    assert "input_image" not in simulator.state.journal.entries()[-1].json["input"]
    assert willing.offer.generates is True


async def test_d5_9_a_schema_that_demands_the_image_refuses_the_generation(simulator: Running, make: Make) -> None:
    simulator.state.script({"wire": "eachlabs", "on": "model", "requires_image": True})
    willing = make(text_to_image=True)
    for _ in range(2):
        failed = await failure_of(willing, an_order())
        assert (failed.verdict, failed.failure.code, failed.failure.field) == (
            REFUSED,
            "unsupported_by_provider",
            "image",
        )
    assert willing.offer.generates is False
    assert _paths(simulator) == ["/v1/model"]


async def test_d5_9_where_the_operator_did_not_ask_for_it_nothing_is_sent_at_all(
    simulator: Running, adapter: Eachlabs
) -> None:
    assert (await failure_of(adapter, an_order())).failure.code == "unsupported_by_provider"
    assert _paths(simulator) == []


@pytest.mark.parametrize(
    ("fault", "verdict", "code"),
    [
        ("500", NOT_TAKEN, "provider_unavailable"),
        ("429", NOT_TAKEN, "rate_limited"),
        ("404", REFUSED, "unsupported_by_provider"),
        ("garbage", REFUSED, "unsupported_by_provider"),
    ],
)
async def test_d5_9_a_generation_waits_for_the_schema(
    simulator: Running, make: Make, fault: str, verdict: Verdict, code: str
) -> None:
    simulator.state.script({"wire": "eachlabs", "on": "model", "fault": fault})
    failed = await failure_of(make(text_to_image=True), an_order())
    assert (failed.verdict, failed.failure.code) == (verdict, code)
    assert simulator.state.counter()["creates"]["eachlabs"] == 0


async def test_d5_10_our_safety_tolerance_is_always_sent_for_the_schemas_default_is_the_laxest(
    simulator: Running, adapter: Eachlabs
) -> None:
    await adapter.submit(an_order(SEEN), intent)
    assert simulator.state.journal.entries()[-1].json["input"]["safety_tolerance"] == 2
    assert (adapter.offer.safety, adapter.offer.max_safety_with_image) == ((0, 6), 2)


async def test_d5_11_a_look_bears_a_host_that_polls_long(http: Timed, adapter: Eachlabs, simulator: Running) -> None:
    simulator.state.script({**CREATE, "fault": "never_ends"})
    taken = await adapter.submit(an_order(SEEN), intent)
    seen = await adapter.fetch(cast("str", taken.remote_id))
    assert (taken.raw_status, taken.phase, seen.phase) == ("success", Phase.WAITING, Phase.WORKING)
    assert http.bears_s[-3:] == [READ_S, READ_S, LOOK_READ_S]


async def test_a_default_that_the_schema_has_no_field_for_is_left_out_and_what_was_set_is_refused(make: Make) -> None:
    async with scripted(_schema("prompt", "input_image"), ACCEPTED) as host:
        adapter = make(host.base_url)
        await adapter.submit(an_order(SEEN), intent)
        assert host.heard[-1].json["input"] == {"prompt": "Make this a 90s cartoon", "input_image": SEEN.url}
        assert adapter.request(an_order(SEEN))["input"] == {
            "prompt": "Make this a 90s cartoon",
            "input_image": SEEN.url,
        }
        for name, value in (("aspect_ratio", "1:1"), ("safety_tolerance", 1), ("seed", 7)):
            failed = await failure_of(
                adapter, an_order(SEEN, given=frozenset({name}), **cast("dict[str, Any]", {name: value}))
            )
            failure = failed.failure
            assert (failed.verdict, failure.code, failure.field) == (REFUSED, "unsupported_by_provider", name)
    assert [heard.method for heard in host.heard] == ["GET", "POST"]


async def test_a_model_that_takes_no_picture_any_more_refuses_one(make: Make) -> None:
    async with scripted(_schema("prompt")) as host:
        assert (await failure_of(make(host.base_url), an_order(SEEN))).failure.field == "image"


async def test_bytes_are_refused_for_there_is_no_upload(simulator: Running, adapter: Eachlabs) -> None:
    failed = await failure_of(adapter, an_order(Attachment(facts=images.read_facts(png()))))
    assert (failed.verdict, failed.failure.code, failed.failure.field) == (REFUSED, "unsupported_by_provider", "image")
    assert _paths(simulator) == []


async def test_a_200_that_names_no_prediction_is_unknown_and_its_words_are_told(make: Make) -> None:
    async with scripted(_schema("prompt", "input_image"), Says(json={"status": "error", "error": "odd"})) as host:
        failed = await failure_of(make(host.base_url), an_order(SEEN))
    assert failed.verdict is UNKNOWN
    assert '"odd"' in failed.failure.message


@pytest.mark.parametrize(
    ("fault", "phase", "code", "billed"),
    [
        ({"fault": "fail", "error": "no GPU"}, Phase.FAILED, "provider_error", Billed.UNKNOWN),
        ({"fault": "moderated"}, Phase.FAILED, "moderated", Billed.UNKNOWN),
        ({"fault": "cancelled_elsewhere"}, Phase.CANCELLED, None, None),
        ({"fault": "never_ends"}, Phase.WORKING, None, None),
        ({"fault": "status", "status": "starting"}, Phase.WAITING, None, None),
        ({"fault": "status", "status": "processing"}, Phase.WORKING, None, None),
        ({"fault": "status", "status": "failed"}, Phase.FAILED, "provider_error", Billed.UNKNOWN),
        ({"fault": "status", "status": "cancelled"}, Phase.CANCELLED, None, None),
        ({"fault": "status", "status": "canceled"}, Phase.CANCELLED, None, None),
        ({"fault": "status", "status": "dreaming"}, Phase.WORKING, None, None),
        ({"fault": "status", "status": "success"}, Phase.FAILED, "provider_error", Billed.YES),
    ],
)
async def test_each_word_of_a_prediction_is_read_and_an_unknown_one_is_no_success(
    simulator: Running, adapter: Eachlabs, fault: dict[str, Any], phase: Phase, code: str | None, billed: Billed | None
) -> None:
    simulator.state.script({**CREATE, **fault})
    seen = await seen_of(adapter, an_order(SEEN))
    assert fate_of(seen) == (phase, code, billed)


@pytest.mark.parametrize("shape", ["first", "second"])
async def test_an_output_comes_with_the_cost_that_is_reported(
    simulator: Running, adapter: Eachlabs, shape: str
) -> None:
    simulator.state.script({**CREATE, "shape": shape})
    taken = await adapter.submit(an_order(SEEN), intent)
    done = await adapter.fetch(cast("str", taken.remote_id))
    assert (done.phase, len(done.outputs)) == (Phase.DONE, 1)
    assert done.cost is not None
    assert done.cost.to_dict() == {"amount": "0.04", "unit": "usd", "basis": "reported"}


async def test_a_cancel_has_its_three_answers(simulator: Running, adapter: Eachlabs) -> None:
    simulator.state.script({**CREATE, "fault": "never_ends"})
    job = cast("str", (await adapter.submit(an_order(SEEN), intent)).remote_id)
    accepted, ended = await adapter.cancel(job), await adapter.cancel(job)
    unknown = await adapter.cancel("p0")
    simulator.state.script({"wire": "eachlabs", "on": "cancel", "fault": "409"})
    conflict = await adapter.cancel(job)
    simulator.state.script({"wire": "eachlabs", "on": "cancel", "fault": "500"})
    with pytest.raises(FetchFailed):
        await adapter.cancel(job)
    assert (accepted, ended, unknown, conflict) == (
        CancelOutcome.ACCEPTED,
        CancelOutcome.ENDED,
        CancelOutcome.CANNOT,
        CancelOutcome.ENDED,
    )
    assert (await adapter.fetch(job)).phase is Phase.CANCELLED


async def test_an_id_with_a_path_in_it_stays_one_segment(simulator: Running, adapter: Eachlabs) -> None:
    """RELIABILITY.md N13: an id of the provider's own must not lead our key to another endpoint."""
    with pytest.raises(FetchFailed):
        await adapter.fetch("../../account?x=1#y")
    assert _paths(simulator)[-1].count("/") == "/v1/prediction/x".count("/")


def test_what_people_are_shown_has_neither_key_nor_signature(make: Make) -> None:
    shown = make().request(an_order(Attachment(url="https://a.example/i.png?Signature=secret")))
    assert shown["input"]["input_image"] == "https://a.example/i.png"
    assert KEY not in json.dumps(shown)
