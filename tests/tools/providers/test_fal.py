"""fal's adapter against the simulator and a scripted host, over real HTTP."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any, Protocol, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from kontext_server.simulator.serve import Running
from kontext_tools import images
from kontext_tools.budget import Price, Unit
from kontext_tools.edits import Edit
from kontext_tools.errors import Billed
from kontext_tools.guard import Guard, Target
from kontext_tools.http import Http, Reply
from kontext_tools.images import MAX_DATA_URI_BYTES
from kontext_tools.providers.base import (
    Attachment,
    CancelOutcome,
    FetchFailed,
    Phase,
    Snapshot,
    Unsupported,
    Verdict,
)
from kontext_tools.providers.fal import ADDED_FIELDS, BASE_URL, MODELS, STORAGE_URL, Fal
from kontext_tools.redaction import Redactor
from support.orders import JSON, a_picture, an_order, failure_of, fate_of, intent, seen_of
from support.scripted_host import Host, Says, scripted
from support.workshop import png

pytestmark = pytest.mark.anyio

KEY = "id-0123:PLANTED_MARKER_0123456789"
SEEN = Attachment(url="https://a.example/i.png")
URL = "https://a.example/o.png"
NOT_TAKEN = Verdict.NOT_TAKEN
CREATE = {"wire": "fal", "on": "create"}
COMPLETED = Says(json={"status": "COMPLETED", "logs": None, "metrics": {"inference_time": 3.9}})


class Make(Protocol):
    def __call__(self, base_url: str = "", *, model: str = "kontext-pro") -> Fal: ...


class Rerouted(Http):
    """Brings the vendor's own hosts to a scripted one, and notes which of them was asked."""

    def __init__(self, host: Host) -> None:
        super().__init__(guard=Guard(trusted=[host.base_url]), redact=Redactor([KEY]))
        self.hosts: list[str] = []
        self._host = host

    async def call(self, method: str, url: str | Target, **how: Any) -> Reply:
        for named in (BASE_URL, STORAGE_URL):
            if isinstance(url, str) and url.startswith(named):
                self.hosts.append(named)
                url = url.replace(named, self._host.base_url)
        return await super().call(method, url, **how)


@pytest.fixture
def make(simulator: Running, http: Http) -> Make:
    def made(base_url: str = "", *, model: str = "kontext-pro") -> Fal:
        return Fal(http, key=KEY, base_url=base_url or f"{simulator.base_url}/fal", model=model)

    return made


@pytest.fixture
def adapter(make: Make) -> Fal:
    return make()


def _paths(simulator: Running) -> list[str]:
    return [entry.path.removeprefix("/fal/fal-ai/flux-pro") for entry in simulator.state.journal.entries()]


async def test_the_create_goes_out_as_the_vendors_queue_has_it(simulator: Running, adapter: Fal) -> None:
    """WIRE.md G: no seed has fal's wire; its documentation and its clients do."""
    taken = await adapter.submit(an_order(SEEN), intent)
    (entry,) = simulator.state.journal.entries()
    assert (entry.method, entry.path) == ("POST", "/fal/fal-ai/flux-pro/kontext")
    assert entry.headers["authorization"] == f"Key {KEY}"
    assert (taken.phase, taken.raw_status) == (Phase.WAITING, "IN_QUEUE")
    assert entry.json == snapshot(
        {
            "prompt": "Make this a 90s cartoon",
            "image_url": "https://a.example/i.png",
            "num_images": 1,
            "output_format": "png",
            "safety_tolerance": "2",
            "enhance_prompt": False,
        }
    )
    assert set(entry.json) == {"prompt", "image_url", "safety_tolerance", *ADDED_FIELDS}


async def test_every_field_goes_out_under_the_vendors_name_and_in_its_type(simulator: Running, adapter: Fal) -> None:
    order = an_order(
        SEEN,
        count=4,
        seed=0,
        aspect_ratio="9:21",
        output_format="jpg",
        safety_tolerance=6,
        prompt_upsampling=True,
        guidance_scale=3.0,
    )
    await adapter.submit(order, intent)
    assert simulator.state.journal.entries()[-1].json == snapshot(
        {
            "prompt": "Make this a 90s cartoon",
            "image_url": "https://a.example/i.png",
            "aspect_ratio": "9:21",
            "num_images": 4,
            "guidance_scale": 3.0,
            "output_format": "jpeg",
            "safety_tolerance": "6",
            "enhance_prompt": True,
            "seed": 0,
        }
    )


@pytest.mark.parametrize(
    ("model", "image", "path"),
    [
        ("kontext-pro", SEEN, "/kontext"),
        ("kontext-pro", None, "/kontext/text-to-image"),
        ("kontext-max", SEEN, "/kontext/max"),
        ("kontext-max", None, "/kontext/max/text-to-image"),
    ],
)
async def test_each_model_has_an_endpoint_for_edits_and_one_beside_it_and_follow_ups_drop_both(
    simulator: Running, make: Make, model: str, image: Attachment | None, path: str
) -> None:
    adapter = make(model=model)
    order = an_order(image, aspect_ratio="1:1")
    taken = await adapter.submit(order, intent)
    done = await adapter.fetch(cast("str", taken.remote_id))
    asked = f"/requests/{taken.remote_id}"
    assert _paths(simulator) == [path, f"{asked}/status", asked]
    assert (done.phase, len(done.outputs)) == (Phase.DONE, 1)
    assert ("image_url" in simulator.state.journal.entries()[0].json) == (image is not None)


async def test_the_addresses_in_a_reply_are_never_followed_with_the_key(make: Make) -> None:
    """WIRE.md 0.5: a reply carries addresses of other hosts."""
    async with scripted(Says()) as stranger:
        said = {"request_id": "r1", "response_url": f"{stranger.base_url}/r", "status_url": f"{stranger.base_url}/s"}
        async with scripted(Says(json=said), COMPLETED, Says(json={"images": [{"url": URL}]})) as host:
            adapter = make(host.base_url)
            taken = await adapter.submit(an_order(SEEN), intent)
            await adapter.fetch(cast("str", taken.remote_id))
            assert [heard.path for heard in host.heard][1:] == [
                "/fal-ai/flux-pro/requests/r1/status",
                "/fal-ai/flux-pro/requests/r1",
            ]
        assert stranger.heard == []


async def test_a_picture_of_ours_goes_as_a_data_uri(simulator: Running, adapter: Fal) -> None:
    await adapter.submit(an_order(a_picture()), intent)
    (entry,) = simulator.state.journal.entries()
    assert entry.json["image_url"] == "data:image/png;base64," + base64.b64encode(png()).decode()


async def test_a_picture_over_10_mb_goes_by_the_vendors_storage_and_the_key_does_not_go_with_it() -> None:
    grant = Says()
    async with scripted(grant, Says(), Says(json={"request_id": "r1"})) as host:
        host.says[0] = Says(json={"upload_url": f"{host.base_url}/bucket?sig=s", "file_url": "https://v3.fal.media/a"})
        http = Rerouted(host)
        large = png() + bytes(MAX_DATA_URI_BYTES)
        await Fal(http, key=KEY).submit(an_order(a_picture(len(large))), intent)
        await http.aclose()
    initiated, put, create = host.heard
    assert http.hosts == [STORAGE_URL, BASE_URL]
    assert initiated.path == "/storage/upload/initiate?storage_type=gcs"
    assert initiated.json == {"file_name": "source.png", "content_type": "image/png"}
    assert (put.method, put.path, put.headers["content-type"]) == ("PUT", "/bucket?sig=s", "image/png")
    assert put.body == large
    assert KEY not in str(put.headers)
    assert create.json["image_url"] == "https://v3.fal.media/a"


@pytest.mark.parametrize("said", [Says(status=500), Says(json={"upload_url": 1}), Says(body=b"<html>")])
async def test_a_failed_upload_was_not_taken(said: Says) -> None:
    async with scripted(said) as host:
        http = Rerouted(host)
        failed = await failure_of(Fal(http, key=KEY), an_order(a_picture(len(png()) + MAX_DATA_URI_BYTES)))
        await http.aclose()
    assert (failed.verdict, failed.failure.code, len(host.heard)) == (NOT_TAKEN, "provider_unavailable", 1)


async def test_with_a_base_of_the_operators_own_no_other_host_of_the_vendors_is_asked(make: Make) -> None:
    large = png() + bytes(MAX_DATA_URI_BYTES)
    async with scripted(Says(json={"request_id": "r1"})) as host:
        await make(host.base_url).submit(an_order(a_picture(len(large))), intent)
    (create,) = host.heard
    assert create.json["image_url"].startswith("data:image/png;base64,")


@pytest.mark.parametrize(
    ("fault", "phase", "code", "billed"),
    [
        ({"fault": "fail", "error": "no GPU"}, Phase.FAILED, "provider_error", Billed.UNKNOWN),
        ({"fault": "fail", "error_code": "runner_disconnected"}, Phase.FAILED, "provider_error", Billed.UNKNOWN),
        ({"fault": "fail", "error_code": "image_too_large"}, Phase.FAILED, "provider_error", Billed.UNKNOWN),
        ({"fault": "moderated", "error": "The prompt was refused"}, Phase.FAILED, "moderated", Billed.UNKNOWN),
        ({"fault": "nsfw"}, Phase.FAILED, "moderated", Billed.YES),
        ({"fault": "cancelled_elsewhere"}, Phase.CANCELLED, None, None),
        ({"fault": "never_ends"}, Phase.WORKING, None, None),
        ({"fault": "status", "status": "IN_QUEUE"}, Phase.WAITING, None, None),
        ({"fault": "status", "status": "IN_PROGRESS"}, Phase.WORKING, None, None),
        ({"fault": "status", "status": "DREAMING"}, Phase.WORKING, None, None),
    ],
)
async def test_each_fate_of_a_request_is_read_and_an_unknown_word_is_no_success(
    simulator: Running, adapter: Fal, fault: dict[str, Any], phase: Phase, code: str | None, billed: Billed | None
) -> None:
    simulator.state.script({**CREATE, **fault})
    seen = await seen_of(adapter, an_order(SEEN))
    assert fate_of(seen) == (phase, code, billed)


async def _looked(make: Make, *says: Says) -> Snapshot:
    async with scripted(*says) as host:
        return await make(host.base_url).fetch("r1")


def _pictures(*marks: Any) -> Says:
    pictures = [{"url": f"{URL}?{n}"} for n in range(3)]
    return Says(json={"images": pictures, "seed": 7, "has_nsfw_concepts": list(marks)})


async def test_a_blacked_out_image_is_not_handed_over_with_the_rest(make: Make) -> None:
    some = await _looked(make, COMPLETED, _pictures(False, True))
    none = await _looked(make, COMPLETED, _pictures(True, True, True))
    assert [(made.url, made.seed) for made in some.outputs] == [(f"{URL}?0", 7), (f"{URL}?2", 7)]
    assert none.phase is Phase.FAILED and none.failure is not None
    assert (none.failure.code, none.failure.billed) == ("moderated", Billed.YES)


@pytest.mark.parametrize("error", [{"error": "boom"}, {"error_type": "request_timeout"}, {"error": {"a": 1}}])
async def test_completed_with_an_error_is_a_failure_whatever_the_result_says(make: Make, error: dict[str, Any]) -> None:
    said = Says(json={"status": "COMPLETED", **error})
    seen = await _looked(make, said, _pictures())
    assert (seen.phase, seen.outputs) == (Phase.FAILED, ())


@pytest.mark.parametrize("payload", [{}, {"images": []}, {"images": None}, {"images": [{"url": ""}, 1]}])
async def test_completed_without_an_output_is_a_failure_that_was_charged(make: Make, payload: dict[str, Any]) -> None:
    seen = await _looked(make, COMPLETED, Says(json=payload))
    assert seen.failure is not None
    assert (seen.failure.code, seen.failure.billed) == ("provider_error", Billed.YES)


@pytest.mark.parametrize(
    ("status", "detail", "code"),
    [
        (422, [{"loc": ["body"], "msg": "no", "type": "content_policy_violation", "input": "SENT"}], "moderated"),
        (422, [{"loc": ["body"], "msg": "no", "type": "image_too_large", "input": "SENT"}], "provider_error"),
        (400, "odd", "provider_error"),
        (410, "", "provider_error"),
    ],
)
async def test_a_results_own_refusal_ends_the_job_and_does_not_repeat_what_was_sent(
    make: Make, status: int, detail: Any, code: str
) -> None:
    seen = await _looked(make, COMPLETED, Says(status=status, json={"detail": detail}))
    assert seen.failure is not None
    assert (seen.failure.code, seen.failure.billed) == (code, Billed.UNKNOWN)
    assert "SENT" not in seen.failure.message


@pytest.mark.parametrize(
    ("says", "gone"),
    [
        (Says(status=500, json={"detail": "oops"}), False),
        (Says(status=503, headers={"x-fal-retryable": "true"}), False),
        (Says(status=400, json={"detail": "Request is still in progress"}), False),
        (Says(status=401), False),
        (Says(status=404), True),
        (Says(status=409), False),
        (Says(status=429), False),
        (Says(body=b"<html>"), False),
    ],
)
async def test_a_result_that_another_look_may_bring_does_not_end_the_job(make: Make, says: Says, gone: bool) -> None:
    with pytest.raises(FetchFailed) as failed:
        await _looked(make, COMPLETED, says)
    assert failed.value.gone is gone


async def test_a_500_that_the_host_says_not_to_try_again_ends_the_job(make: Make) -> None:
    seen = await _looked(make, COMPLETED, Says(status=500, headers={"X-Fal-Retryable": "false"}))
    assert seen.phase is Phase.FAILED


async def test_several_pictures_come_of_one_request_and_a_data_uri_as_bytes(simulator: Running, adapter: Fal) -> None:
    simulator.state.script({**CREATE, "fault": "data_uri"})
    taken = await adapter.submit(an_order(SEEN, count=2, seed=5), intent)
    outputs = (await adapter.fetch(cast("str", taken.remote_id))).outputs
    assert [(made.url, made.seed) for made in outputs] == [(None, 5), (None, 5)]
    assert [images.sniff((made.data or b"")[:16]) for made in outputs] == ["image/png"] * 2


async def test_a_cancel_has_its_three_answers(simulator: Running, adapter: Fal) -> None:
    simulator.state.script({**CREATE, "fault": "never_ends"})
    job = cast("str", (await adapter.submit(an_order(SEEN), intent)).remote_id)
    answers = [await adapter.cancel(job), await adapter.cancel(job), await adapter.cancel("r0")]
    simulator.state.script({"wire": "fal", "on": "cancel", "fault": "500"})
    with pytest.raises(FetchFailed):
        await adapter.cancel(job)
    assert answers == [CancelOutcome.ACCEPTED, CancelOutcome.ENDED, CancelOutcome.CANNOT]
    assert (await adapter.fetch(job)).phase is Phase.CANCELLED


async def test_an_id_with_a_path_in_it_stays_one_segment(simulator: Running, adapter: Fal) -> None:
    """RELIABILITY.md N13: an id of the provider's own must not lead our key to another endpoint."""
    with pytest.raises(FetchFailed):
        await adapter.fetch("../../account?x=1#y")
    assert _paths(simulator)[-1].count("/") == "/requests/x/status".count("/")


def test_what_people_are_shown_has_neither_key_nor_signature_nor_picture() -> None:
    adapter = Fal(Http(), key=KEY)
    signed = adapter.request(an_order(Attachment(url="https://a.example/i.png?Signature=secret")))
    ours = adapter.request(an_order(a_picture()))
    assert (signed["image_url"], ours["image_url"]) == ("https://a.example/i.png", "source.png")
    assert KEY not in json.dumps([signed, ours, adapter.request(an_order())])


def test_the_offer_is_what_the_vendors_pages_say() -> None:
    pro, dear = Fal(Http(), key=KEY).offer, Fal(Http(), key=KEY, model="kontext-max").offer
    assert (pro.price.amount, dear.price.amount, pro.price.unit) == (Decimal("0.04"), Decimal("0.08"), Unit.USD)
    assert (pro.model, dear.model) == tuple(MODELS.values())
    assert (pro.safety, pro.max_safety_with_image, pro.guidance_scale, pro.images_per_send) == ((1, 6), 6, (1, 20), 4)
    assert (len(pro.aspect_ratios), pro.output_formats, pro.generates) == (10, ("png", "jpg"), True)
    strictest = Edit(prompt="p", safety_tolerance=0, given=frozenset({"safety_tolerance"}))
    assert pro.refuses(strictest) == Unsupported(field="safety_tolerance", accepted="1 to 6")
    mine = Price(amount=Decimal(1), unit=Unit.USD)
    assert Fal(Http(), key=KEY, price=mine).offer.price == mine


PAYLOADS = st.fixed_dictionaries(
    {},
    optional={
        "images": st.lists(st.just({"url": URL}) | JSON, max_size=4) | JSON,
        "seed": st.integers() | JSON,
        "has_nsfw_concepts": st.lists(st.booleans(), max_size=4) | JSON,
    },
)


@given(PAYLOADS)
@settings(deadline=None)
def test_no_mutated_result_crashes_or_is_a_success_without_an_output(payload: dict[str, Any]) -> None:
    result = Fal(Http(), key=KEY)._result  # pyright: ignore[reportPrivateUsage]  # the parser, without a network
    seen = result(Reply(status=200, headers={}, body=json.dumps(payload).encode()), "r1", "COMPLETED")
    assert (seen.phase is Phase.DONE) == bool(seen.outputs)
    assert (seen.phase is Phase.FAILED) == (seen.failure is not None)
    assert all(made.seed is None or 0 <= made.seed < 2**63 for made in seen.outputs)
