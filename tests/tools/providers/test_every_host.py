"""What the same call comes to at each host, whatever its wire: verdicts, a silent host, a bare look, a data URI."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from kontext_server.simulator.serve import Running
from kontext_tools import images
from kontext_tools.errors import Billed
from kontext_tools.http import Http
from kontext_tools.providers.base import FetchFailed, Phase, Provider, Verdict
from kontext_tools.providers.bfl import Bfl
from kontext_tools.providers.core_today import CoreToday
from kontext_tools.providers.eachlabs import Eachlabs
from kontext_tools.providers.fal import Fal
from kontext_tools.providers.replicate import KKIAI, REPLICATE, Replicate
from kontext_tools.providers.runflow import Runflow
from support.orders import EXAMPLE, FAILED_CREATES, FailedCreate, an_order, failure_of, intent

pytestmark = pytest.mark.anyio

MARKER = "PLANTED_MARKER_0123456789"
KEYS = {
    "core.today": f"cdt_{MARKER}",
    "kkiai": f"sk-{MARKER}",
    "runflow": f"rf_live_{MARKER}",
    "eachlabs": f"el_{MARKER}",
    "replicate": f"r8_{MARKER}",
    "bfl": f"bfl_{MARKER}",
    "fal": f"id-0123:{MARKER}",
}
NOWHERE = "http://127.0.0.1:9"

HOSTS: Mapping[str, Callable[[Http, str, str], Provider]] = {
    "core.today": lambda http, key, root: CoreToday(http, key=key, base_url=f"{root}/core.today/v1"),
    "kkiai": lambda http, key, root: Replicate(http, host=KKIAI, key=key, base_url=f"{root}/kkiai/replicate/v1"),
    "runflow runs": lambda http, key, root: Runflow(http, key=key, base_url=f"{root}/runflow/v1", surface="runs"),
    "runflow run": lambda http, key, root: Runflow(http, key=key, base_url=f"{root}/runflow/v1", surface="run"),
    "eachlabs": lambda http, key, root: Eachlabs(http, key=key, base_url=f"{root}/eachlabs"),
    "replicate": lambda http, key, root: Replicate(http, host=REPLICATE, key=key, base_url=f"{root}/replicate/v1"),
    "bfl": lambda http, key, root: Bfl(http, key=key, base_url=f"{root}/bfl"),
    "fal": lambda http, key, root: Fal(http, key=key, base_url=f"{root}/fal"),
}
"""How each host is reached below a root address, with its key; Runflow by either of its surfaces."""

ASYNCHRONOUS = [host for host in HOSTS if host != "runflow run"]
"""Those whose create gives an id to look at later."""

REFUSED, NOT_TAKEN, UNKNOWN = Verdict.REFUSED, Verdict.NOT_TAKEN, Verdict.UNKNOWN
BARE_503: FailedCreate = ({"fault": "503"}, UNKNOWN, "outcome_unknown", Billed.UNKNOWN)
OWN_FAILED_CREATES: Mapping[str, list[FailedCreate]] = {
    "runflow": [
        ({"fault": "405"}, REFUSED, "provider_error", Billed.NO),
        ({"fault": "422", "text": "CONTENT_MODERATED"}, REFUSED, "moderated", Billed.NO),
        ({"fault": "503"}, NOT_TAKEN, "provider_unavailable", Billed.NO),
        ({"fault": "503", "body": "html"}, UNKNOWN, "outcome_unknown", Billed.UNKNOWN),
    ],
    "eachlabs": [
        ({"fault": "400", "text": "Your balance is too low"}, REFUSED, "out_of_credit", Billed.NO),
        ({"fault": "403", "text": "Not enough credits"}, REFUSED, "out_of_credit", Billed.NO),
        ({"fault": "403", "text": "Insufficient funds"}, REFUSED, "out_of_credit", Billed.NO),
        ({"fault": "403", "text": "Insufficient permissions"}, REFUSED, "auth_failed", Billed.NO),
        ({"fault": "400", "text": "flagged as sensitive"}, REFUSED, "moderated", Billed.NO),
        ({"fault": "429", "text": "Too many requests, wait 3 seconds"}, NOT_TAKEN, "rate_limited", Billed.NO),
        BARE_503,
    ],
    "fal": [
        ({"fault": "403", "text": "User is locked. Reason: Exhausted balance."}, REFUSED, "out_of_credit", Billed.NO),
        ({"fault": "422", "text": "flagged: content_policy_violation"}, REFUSED, "moderated", Billed.NO),
        BARE_503,
    ],
}
"""By wire: what its own words and codes mean, beside what they mean everywhere."""


def _wire(host: str) -> str:
    return host.partition(" ")[0]


CREATES = [(host, *row) for host in HOSTS for row in (*FAILED_CREATES, *OWN_FAILED_CREATES.get(_wire(host), []))]


@pytest.fixture(scope="module")
def keys() -> list[str]:
    return list(KEYS.values())


def _adapter(host: str, http: Http, root: str) -> Provider:
    return HOSTS[host](http, KEYS[_wire(host)], root)


def _script(simulator: Running, host: str, on: str, fault: dict[str, Any]) -> None:
    simulator.state.script({"wire": _wire(host), "on": on, **fault})


@pytest.mark.parametrize(("host", "fault", "verdict", "code", "billed"), CREATES)
async def test_each_failure_of_a_create_has_its_verdict(
    simulator: Running, http: Http, host: str, fault: dict[str, Any], verdict: Verdict, code: str, billed: Billed
) -> None:
    _script(simulator, host, "create", fault)
    failed = await failure_of(_adapter(host, http, simulator.base_url), an_order(EXAMPLE))
    failure = failed.failure
    assert (failed.verdict, failure.code, failure.billed) == (verdict, code, billed)
    assert MARKER not in json.dumps(failure.to_dict())
    if "retry_after" in fault or "wait 3" in fault.get("text", ""):
        assert failure.retry_after_s == 3.0


@pytest.mark.parametrize("host", HOSTS)
async def test_a_host_that_is_not_there_has_taken_nothing_and_tells_nothing(http: Http, host: str) -> None:
    adapter = _adapter(host, http, NOWHERE)
    assert (await failure_of(adapter, an_order(EXAMPLE))).verdict is NOT_TAKEN
    with pytest.raises(FetchFailed):
        await adapter.fetch("j1")


@pytest.mark.parametrize("host", ASYNCHRONOUS)
@pytest.mark.parametrize(
    ("fault", "gone"),
    [
        ("404", True),
        ("429", False),
        ("500", False),
        ("garbage", False),
        ("empty", False),
        ("no_content", False),
        ("accept_then_reset", False),
    ],
)
async def test_a_look_that_tells_nothing_says_whether_the_job_is_gone(
    simulator: Running, http: Http, host: str, fault: str, gone: bool
) -> None:
    adapter = _adapter(host, http, simulator.base_url)
    taken = await adapter.submit(an_order(EXAMPLE), intent)
    assert taken.remote_id is not None
    _script(simulator, host, "get", {"fault": fault})
    with pytest.raises(FetchFailed) as failed:
        await adapter.fetch(taken.remote_id)
    assert failed.value.gone is gone
    assert (await adapter.fetch(taken.remote_id)).phase is Phase.DONE


@pytest.mark.parametrize("host", HOSTS)
async def test_a_data_uri_comes_as_bytes(simulator: Running, http: Http, host: str) -> None:
    _script(simulator, host, "create", {"fault": "data_uri"})
    adapter = _adapter(host, http, simulator.base_url)
    seen = await adapter.submit(an_order(EXAMPLE), intent)
    if seen.remote_id is not None:
        seen = await adapter.fetch(seen.remote_id)
    (output,) = seen.outputs
    assert (output.url, images.sniff((output.data or b"")[:16])) == (None, "image/png")
