"""BFL's adapter over real HTTP: requests as in WIRE.md G, whom a look may ask, every status word."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from kontext_server.simulator.serve import Running
from kontext_tools.errors import Billed
from kontext_tools.http import Http, Reply
from kontext_tools.providers.base import (
    Attachment,
    Cancelling,
    CancelOutcome,
    FetchFailed,
    Phase,
    SubmitFailed,
    Verdict,
)
from kontext_tools.providers.bfl import ADDED_FIELDS, BASE_URL, MODELS, PRICES, Bfl
from kontext_tools.redaction import Redactor
from support.orders import EXAMPLE, EXAMPLE_URL, IDS, JSON, a_picture, an_order, fate_of, intent, seen_of
from support.scripted_host import Says, scripted
from support.workshop import png

pytestmark = pytest.mark.anyio

KEY = "bfl_PLANTED_MARKER_0123456789"


@pytest.fixture
def adapter(simulator: Running, http: Http) -> Bfl:
    return Bfl(http, key=KEY, base_url=f"{simulator.base_url}/bfl/")


class Recording(Http):
    """Keeps where each call would go, and answers it without a network."""

    def __init__(self, *replies: Any) -> None:
        super().__init__(redact=Redactor([KEY]))
        self.replies = list(replies)
        self.went: list[tuple[str, str, bool]] = []

    async def call(self, method: str, url: Any, **given: Any) -> Reply:
        """Note it."""
        self.went.append((method, url, given["headers"].get("x-key") == KEY))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return Reply(status=200, headers={}, body=json.dumps(reply).encode())


async def test_the_create_goes_out_as_the_transcript_has_it(simulator: Running, adapter: Bfl) -> None:
    """WIRE.md G: base64 without a prefix, no ratio where the input's is kept; what is added has its reason."""
    taken = await adapter.submit(an_order(a_picture()), intent)
    (entry,) = simulator.state.journal.entries()
    assert (entry.method, entry.path, entry.status) == ("POST", "/bfl/v1/flux-kontext-pro", 200)
    assert (entry.headers["x-key"], "authorization" in entry.headers) == (KEY, False)
    assert base64.b64decode(entry.json.pop("input_image"), validate=True) == png()
    assert entry.json == snapshot(
        {
            "prompt": "Make this a 90s cartoon",
            "output_format": "png",
            "safety_tolerance": 2,
            "prompt_upsampling": False,
        }
    )
    assert (taken.phase, taken.cost and taken.cost.to_dict()) == (
        Phase.WAITING,
        {"amount": "0.04", "unit": "usd", "basis": "reported"},
    )


async def test_every_field_has_its_json_type_and_those_beside_the_transcripts_their_reason(
    simulator: Running, adapter: Bfl
) -> None:
    order = an_order(EXAMPLE, aspect_ratio="16:9", output_format="jpg", safety_tolerance=6, seed=7)
    await adapter.submit(order, intent)
    (entry,) = simulator.state.journal.entries()
    assert entry.json == snapshot(
        {
            "prompt": "Make this a 90s cartoon",
            "input_image": "https://replicate.delivery/pbxt/N55l5TWGh8mSlNzW8usReoaNhGbFwvLeZR3TX1NL4pd2Wtfv/replicate-prediction-f2d25rg6gnrma0cq257vdw2n4c.png",
            "aspect_ratio": "16:9",
            "output_format": "jpeg",
            "safety_tolerance": 6,
            "prompt_upsampling": False,
            "seed": 7,
        }
    )
    assert entry.json.keys() - {"prompt", "input_image", "output_format", "safety_tolerance"} == ADDED_FIELDS.keys()


@pytest.mark.parametrize(("model", "amount"), [("kontext-pro", "0.04"), ("kontext-max", "0.08")])
async def test_each_model_has_its_endpoint_and_reports_its_cost(
    simulator: Running, http: Http, model: str, amount: str
) -> None:
    adapter = Bfl(http, key=KEY, base_url=f"{simulator.base_url}/bfl", model=model)
    taken = await adapter.submit(an_order(seed=5), intent)
    done = await adapter.fetch(cast("str", taken.remote_id))
    create, look = simulator.state.journal.entries()
    assert create.path == f"/bfl/v1/flux-{model}"
    assert (look.method, look.path, look.query) == ("GET", "/bfl/v1/get_result", f"id={taken.remote_id}")
    assert look.headers["x-key"] == KEY
    assert taken.cost is not None
    assert str(taken.cost) == f"{amount} usd"
    assert (done.phase, [output.seed for output in done.outputs], done.progress) == (Phase.DONE, [5], 1.0)


async def test_a_picture_over_20_mb_is_refused_before_anything_goes_out(adapter: Bfl) -> None:
    async def never() -> None:
        raise AssertionError("nothing may go out")

    with pytest.raises(SubmitFailed) as failed:
        await adapter.submit(an_order(a_picture(20_000_001)), never)
    assert (failed.value.verdict, failed.value.failure.code) == (Verdict.REFUSED, "source_too_large")


async def test_a_misfit_is_told_by_its_place_and_nothing_that_was_sent_is_repeated(http: Http) -> None:
    """FastAPI repeats the value that it refused, a picture for one, as `input`."""
    async with scripted() as host:
        misfit = {
            "loc": ["body", "safety_tolerance"],
            "msg": "Input should be at most 6",
            "input": "SENT",
            "type": "max",
        }
        host.say(Says(status=422, json={"detail": [misfit, "odd", {"msg": "Field required"}]}))
        with pytest.raises(SubmitFailed) as failed:
            await Bfl(http, key=KEY, base_url=host.base_url).submit(an_order(), intent)
    failure = failed.value.failure
    assert (failed.value.verdict, failure.code) == (Verdict.REFUSED, "provider_error")
    assert "body.safety_tolerance: Input should be at most 6" in failure.message
    assert "request: Field required" in failure.message
    assert "SENT" not in json.dumps(failure.to_dict())


@pytest.mark.parametrize(
    ("polling_url", "remote_id", "asked"),
    [
        ("https://api.us1.bfl.ai/v1/get_result?id=u1", "u1@api.us1.bfl.ai", "https://api.us1.bfl.ai"),
        ("https://GATEWAY.bfl.ai/elsewhere", "u1@gateway.bfl.ai", "https://gateway.bfl.ai"),
        ("https://api.bfl.ai/v1/get_result?id=u1", "u1", BASE_URL),
        (None, "u1", BASE_URL),
        (7, "u1", BASE_URL),
        ("http://api.us1.bfl.ai/v1/get_result", "u1", BASE_URL),
        ("https://api.us1.bfl.ai:8443/v1/get_result", "u1", BASE_URL),
        ("https://me@api.us1.bfl.ai/v1/get_result", "u1", BASE_URL),
        ("https://evil.example/v1/get_result", "u1", BASE_URL),
        ("https://bfl.ai.evil.example/v1/get_result", "u1", BASE_URL),
        ("https://evilbfl.ai/v1/get_result", "u1", BASE_URL),
        ("https://evil.example\\.bfl.ai/v1/get_result", "u1", BASE_URL),
        ("https://[bfl.ai", "u1", BASE_URL),
        ("https://api.bfl.ai:x/", "u1", BASE_URL),
    ],
)
async def test_a_look_goes_to_the_vendors_own_hosts_and_to_no_other(
    polling_url: Any, remote_id: str, asked: str
) -> None:
    http = Recording({"id": "u1", "polling_url": polling_url}, {"id": "u1", "status": "Pending"})
    adapter = Bfl(http, key=KEY)
    taken = await adapter.submit(an_order(), intent)
    await adapter.fetch(cast("str", taken.remote_id))
    assert taken.remote_id == remote_id
    assert http.went == [
        ("POST", f"{BASE_URL}/v1/flux-kontext-pro", True),
        ("GET", f"{asked}/v1/get_result?id=u1", True),
    ]


@pytest.mark.parametrize(
    ("remote_id", "target"),
    [
        ("u1@api.eu.bfl.ai", "https://api.eu.bfl.ai/v1/get_result?id=u1"),
        ("u1@evil.example", f"{BASE_URL}/v1/get_result?id=u1"),
        ("u1@evil.example/.bfl.ai", f"{BASE_URL}/v1/get_result?id=u1"),
        ("u1@api.bfl.ai/x", f"{BASE_URL}/v1/get_result?id=u1"),
        ("u1@", f"{BASE_URL}/v1/get_result?id=u1"),
        ("../account?x=1#y&z", f"{BASE_URL}/v1/get_result?id=..%2Faccount%3Fx%3D1%23y%26z"),
    ],
)
async def test_a_remote_id_is_judged_anew_at_every_look(remote_id: str, target: str) -> None:
    http = Recording({"status": "Pending"})
    seen = await Bfl(http, key=KEY).fetch(remote_id)
    assert http.went == [("GET", target, True)]
    assert seen.remote_id == remote_id


async def test_with_the_base_overridden_no_other_host_is_asked(http: Http) -> None:
    async with scripted() as host, scripted() as foreign:
        foreign.say({"status": "Ready", "result": {"sample": "https://x/"}})
        for other in (f"{foreign.base_url}/v1/get_result?id=u1", "https://api.us1.bfl.ai/v1/get_result?id=u1"):
            host.say({"id": "u1", "polling_url": other, "cost": None}, {"status": "Pending"})
            adapter = Bfl(http, key=KEY, base_url=host.base_url)
            taken = await adapter.submit(an_order(), intent)
            await adapter.fetch(cast("str", taken.remote_id))
            assert (taken.remote_id, taken.cost) == ("u1", None)
        await Bfl(http, key=KEY, base_url=host.base_url).fetch("u1@api.us1.bfl.ai")
    assert [heard.path for heard in host.heard if heard.method == "GET"] == ["/v1/get_result?id=u1"] * 3
    assert foreign.heard == []


@pytest.mark.parametrize(
    ("fault", "phase", "code", "billed", "amount"),
    [
        ({}, Phase.DONE, None, None, None),
        ({"shape": "second"}, Phase.DONE, None, None, None),
        ({"fault": "fail", "error": "no GPU"}, Phase.FAILED, "provider_error", Billed.UNKNOWN, None),
        ({"fault": "fail", "shape": "second"}, Phase.FAILED, "provider_error", Billed.UNKNOWN, None),
        ({"fault": "moderated"}, Phase.FAILED, "moderated", Billed.NO, "0"),
        ({"fault": "moderated", "status": "Request Moderated"}, Phase.FAILED, "moderated", Billed.NO, "0"),
        ({"fault": "never_ends"}, Phase.WAITING, None, None, None),
        ({"fault": "never_ends", "shape": "second"}, Phase.WORKING, None, None, None),
        ({"fault": "status", "status": "Dreaming"}, Phase.WORKING, None, None, None),
        ({"fault": "status", "status": "Ready"}, Phase.FAILED, "provider_error", Billed.YES, None),
    ],
)
async def test_each_fate_of_a_task_is_read(
    simulator: Running,
    adapter: Bfl,
    fault: dict[str, Any],
    phase: Phase,
    code: str | None,
    billed: Billed | None,
    amount: str | None,
) -> None:
    simulator.state.script({"wire": "bfl", "on": "create", **fault})
    seen = await seen_of(adapter, an_order())
    assert fate_of(seen) == (phase, code, billed)
    assert len(seen.outputs) == (1 if phase is Phase.DONE else 0)
    assert (seen.cost and str(seen.cost.amount)) == amount


@pytest.mark.parametrize(
    ("said", "phase", "progress"),
    [
        ({"status": "Pending"}, Phase.WAITING, None),
        ({"status": "Pending", "progress": 0}, Phase.WAITING, 0.0),
        ({"status": "Pending", "progress": 0.4}, Phase.WORKING, 0.4),
        ({"status": "Pending", "progress": 40}, Phase.WAITING, None),
        ({"status": "Pending", "progress": True}, Phase.WAITING, None),
        ({"status": "Queued"}, Phase.WAITING, None),
        ({"status": "Processing"}, Phase.WORKING, None),
        ({"state": "Processing"}, Phase.WORKING, None),
        ({"status": "Ready", "result": {"sample": EXAMPLE_URL, "seed": 2**80}}, Phase.DONE, None),
        ({"status": "Ready", "result": {"sample": None}}, Phase.FAILED, None),
        ({"status": "Ready", "result": EXAMPLE_URL}, Phase.FAILED, None),
        ({"status": "Pending", "result": {"sample": EXAMPLE_URL}}, Phase.WAITING, None),
        ({"status": "Failed", "details": "no GPU"}, Phase.FAILED, None),
        ({"status": "Error"}, Phase.FAILED, None),
        ({"status": "Request Moderated"}, Phase.FAILED, None),
        ({"status": "Content Moderated", "details": {"Moderation Reasons": ["x"]}}, Phase.FAILED, None),
    ],
)
async def test_every_status_word_has_its_phase(
    http: Http, said: dict[str, Any], phase: Phase, progress: float | None
) -> None:
    async with scripted() as host:
        host.say({"id": "u1", **said})
        seen = await Bfl(http, key=KEY, base_url=host.base_url).fetch("u1")
    assert (seen.phase, seen.progress, bool(seen.outputs)) == (phase, progress, phase is Phase.DONE)
    assert [output.seed for output in seen.outputs] == [None] * len(seen.outputs)


async def test_a_task_that_is_not_yet_ready_by_http_alone_is_still_running(http: Http) -> None:
    async with scripted() as host:
        host.say(Says(status=202, body=b""))
        seen = await Bfl(http, key=KEY, base_url=host.base_url).fetch("u1")
    assert (seen.phase, seen.remote_id) == (Phase.WAITING, "u1")


@pytest.mark.parametrize("code", [200, 404])
async def test_a_task_that_is_not_found_is_gone_whatever_the_http_status(
    simulator: Running, adapter: Bfl, code: int
) -> None:
    simulator.state.script({"wire": "bfl", "on": "get", "code": code})
    with pytest.raises(FetchFailed) as failed:
        await adapter.fetch("6e9b2f0e-0000-4000-8000-000000000000")
    assert failed.value.gone


async def test_a_cancel_cannot_be_asked_for(simulator: Running, adapter: Bfl) -> None:
    assert await adapter.cancel("u1") is CancelOutcome.CANNOT
    assert simulator.state.journal.entries() == []


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "id": IDS,
            "polling_url": st.sampled_from(["https://api.us1.bfl.ai/", "https://evil.example/", "https://[x"]) | JSON,
            "cost": st.sampled_from([4.0, -1, 10**400, True, float("nan"), 1e-300]) | JSON,
            "status": st.sampled_from(["Pending", "READY", "Error", "Content Moderated", "Task not found"]) | JSON,
            "state": JSON,
            "progress": JSON,
            "result": st.fixed_dictionaries({"sample": st.just(EXAMPLE_URL) | JSON, "seed": JSON}) | JSON,
            "details": JSON,
        },
    )
    | JSON
)
async def test_no_mutated_reply_crashes_or_is_a_success_without_an_output(reply: Any) -> None:
    http = Recording(reply)
    adapter = Bfl(http, key=KEY)
    task, verdict = "u1", Verdict.UNKNOWN
    try:
        taken = await adapter.submit(an_order(), intent)
        assert taken.cost is None or (taken.cost.amount is not None and taken.cost.amount >= 0)
        task = cast("str", taken.remote_id)
    except SubmitFailed as failed:
        verdict = failed.verdict
    assert verdict is Verdict.UNKNOWN
    try:
        seen = await adapter.fetch(task)
    except FetchFailed:
        return
    finally:
        assert {url.split("/")[2] for _, url, _ in http.went} <= {"api.bfl.ai", "api.us1.bfl.ai"}
    assert (seen.phase is Phase.DONE) == bool(seen.outputs)
    assert (seen.phase is Phase.FAILED) == (seen.failure is not None)


def test_what_people_read_holds_no_signature_no_picture_and_no_key() -> None:
    adapter = Bfl(Http(), key=KEY)
    named = adapter.request(an_order(Attachment(url=EXAMPLE_URL + "?sig=secret")))
    ours = adapter.request(an_order(a_picture()))
    assert (named["input_image"], ours["input_image"]) == (EXAMPLE_URL, "source.png")
    assert KEY not in json.dumps([named, ours, repr(adapter.offer)])


def test_the_offers_are_what_the_vendor_says() -> None:
    pro, top = (Bfl(Http(), key=KEY, model=model).offer for model in MODELS)
    assert [PRICES[model].amount for model in MODELS] == [Decimal("0.04"), Decimal("0.08")]
    assert (pro.concurrency, top.concurrency, pro.cancelling) == (24, 6, Cancelling.NO)
    assert (pro.safety, pro.max_safety_with_image, pro.guidance_scale) == ((0, 6), 6, None)
    assert (pro.max_input_bytes, len(pro.aspect_ratios), pro.generates) == (20_000_000, 14, True)
