"""Online: real hosts on loopback are asked by GETs alone, each within its time; what they say is told without a key."""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import anyio
import pytest
from inline_snapshot import snapshot

from kontext_server.doctor import keys, online
from kontext_server.doctor.checkup import examine
from kontext_server.doctor.findings import Finding
from kontext_server.doctor.witness import Witness
from kontext_server.simulator.serve import Running
from kontext_tools.choosing import KEY_VARIABLES
from kontext_tools.clocks import SystemClock
from kontext_tools.guard import Guard
from kontext_tools.http import NotSent
from kontext_tools.redaction import Redactor
from server.doctor.conftest import MakeCase
from support.canary import Answer, Canary, Hit, Told, canary
from support.fake_clock import FakeClock

pytestmark = pytest.mark.anyio

WITHIN_S = 30
KEY = "r8_zqxj0123456789"
ANYONE = ("authorization", "x-api-key", "x-key")


async def told(case: MakeCase, settings: dict[str, Any], **facts: Any) -> list[Finding]:
    with anyio.fail_after(WITHIN_S):
        return list(await online.look(case(settings, online=True, **facts)))


async def of_replicate(case: MakeCase, base_url: str, **settings: Any) -> Finding:
    """Ask one host, with a short patience, and give its line."""
    patience_s: float = settings.pop("patience_s", 5.0)
    given = {"REPLICATE_API_TOKEN": KEY, "REPLICATE_BASE_URL": base_url} | settings
    lines = await told(case, given, patience_s=patience_s)
    return lines[0]


def shown(line: Finding) -> tuple[str, ...]:
    return (line.status.value, line.cause, *([line.fix] if line.fix else []))


def knows(key: str, *, otherwise: int = 401) -> Answer:
    """A host that has one key, and no job."""

    def answer(hit: Hit) -> Told:
        brought = any(key in hit.headers.get(name, "") for name in ANYONE)
        return Told(status=404 if brought else otherwise, json={"detail": "no"})

    return answer


def always(status: int, *, page: bytes | None = None, location: str | None = None) -> Answer:
    headers = {} if location is None else {"location": location}
    return lambda _: Told(status=status, json={"detail": f"no, {KEY}"}, body=page, headers=headers)


@contextmanager
def silent() -> Generator[str]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def test_at_the_simulator_every_provider_is_reached_and_nothing_but_gets_came(
    case: MakeCase, simulator: Running
) -> None:
    lines = await told(case, dict(simulator.settings_of()))
    requests = simulator.state.journal.entries()
    assert {line.name: shown(line) for line in lines} == snapshot(
        {
            "core.today online": ("ok", "reached (HTTP 404); the key cannot be proven without spending"),
            "kkiai online": ("ok", "reached (HTTP 404); the key cannot be proven without spending"),
            "runflow online": ("ok", "reached (HTTP 404); the key cannot be proven without spending"),
            "eachlabs online": ("ok", "reached (HTTP 404); the key cannot be proven without spending"),
            "replicate online": ("ok", "reached (HTTP 404); the key cannot be proven without spending"),
            "bfl online": ("ok", "reached (HTTP 200); the key cannot be proven without spending"),
            "fal online": ("ok", "reached (HTTP 404); the key cannot be proven without spending"),
            "clock": ("ok", "agrees with the providers'"),
        }
    )
    assert [entry.method for entry in requests] == ["GET"] * 14
    counted = simulator.state.counter()
    assert (set(counted["creates"].values()), set(counted["charged"].values())) == ({0}, {0})


@pytest.mark.parametrize("provider", KEY_VARIABLES)
async def test_a_host_that_refuses_a_made_up_key_alone_has_proven_ours(case: MakeCase, provider: str) -> None:
    key, variable = keys.PREFIXES.get(provider, "") + "zqxj0123456789", KEY_VARIABLES[provider]
    base = f"{provider.replace('.', '_').upper()}_BASE_URL"
    with canary(knows(key)) as host:
        (line, _) = await told(case, {variable: key, base: host.base_url})
        assert shown(line) == ("ok", f"reached; it takes the key in {variable}")
        assert [hit.method for hit in host.hits] == ["GET", "GET"]
        assert all(online.NO_SUCH_JOB in hit.path for hit in host.hits)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_is_a_failure_of_the_settings_in_no_words_of_the_hosts(case: MakeCase, status: int) -> None:
    with canary(always(status)) as host:
        line = await of_replicate(case, host.base_url)
    assert shown(line) == (
        "fail",
        f"it refuses the key in REPLICATE_API_TOKEN (HTTP {status})",
        "Set a valid key of replicate's in REPLICATE_API_TOKEN.",
    )
    assert line.of_settings


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (always(404), snapshot(("ok", "reached (HTTP 404); the key cannot be proven without spending"))),
        (always(422), snapshot(("ok", "reached (HTTP 422); the key cannot be proven without spending"))),
        (
            always(402),
            snapshot(("warn", "it takes the key, and the account has no credit (HTTP 402)", "Add credit there.")),
        ),
        (
            always(429),
            snapshot(("warn", "reached; it does not serve at the moment (HTTP 429)", "Try again in a few minutes.")),
        ),
        (
            always(503),
            snapshot(("warn", "reached; it does not serve at the moment (HTTP 503)", "Try again in a few minutes.")),
        ),
        (
            always(302, location="https://elsewhere.example/"),
            snapshot(
                (
                    "fail",
                    "something answers that is not replicate's API (HTTP 302)",
                    "Look at REPLICATE_BASE_URL and KONTEXT_PROXY; or sign in to this network.",
                )
            ),
        ),
        (
            always(200, page=b"<html>Sign in to this network</html>"),
            snapshot(
                (
                    "fail",
                    "something answers that is not replicate's API (HTTP 200)",
                    "Look at REPLICATE_BASE_URL and KONTEXT_PROXY; or sign in to this network.",
                )
            ),
        ),
    ],
    ids=["404", "422", "402", "429", "503", "302", "a page"],
)
async def test_each_answer_has_its_line(case: MakeCase, answer: Answer, line: object) -> None:
    with canary(answer) as host:
        assert shown(await of_replicate(case, host.base_url)) == line


async def test_no_key_goes_where_a_redirect_leads(case: MakeCase) -> None:
    with canary() as elsewhere, canary(always(302, location=elsewhere.base_url)) as host:
        await of_replicate(case, host.base_url)
        assert elsewhere.hits == []


async def test_a_port_where_nobody_listens_is_told(case: MakeCase) -> None:
    assert shown(await of_replicate(case, f"http://127.0.0.1:{closed_port()}")) == snapshot(
        (
            "fail",
            "127.0.0.1 is not reached: the connection is refused",
            "Look at the network, at REPLICATE_BASE_URL, or set KONTEXT_PROXY.",
        )
    )


async def test_a_name_that_is_not_found_is_told(case: MakeCase) -> None:
    assert shown(await of_replicate(case, "https://nowhere.invalid/v1")) == snapshot(
        (
            "fail",
            "nowhere.invalid is not reached: its name is not found (DNS)",
            "Look at the network connection, REPLICATE_BASE_URL and KONTEXT_PROXY.",
        )
    )


async def test_a_host_that_speaks_no_tls_is_told(case: MakeCase) -> None:
    with canary() as host:
        line = await of_replicate(case, host.base_url.replace("http:", "https:"))
    assert shown(line) == snapshot(
        (
            "fail",
            "127.0.0.1 is not reached: no trusted TLS connection is made",
            "Look at this machine's clock, and for a proxy, firewall or sign-in page that opens TLS.",
        )
    )


async def test_a_host_that_never_answers_is_waited_for_no_longer_than_allowed(case: MakeCase) -> None:
    with silent() as base_url:
        assert shown(await of_replicate(case, base_url, patience_s=0.05)) == snapshot(
            (
                "fail",
                "127.0.0.1 is not reached: no answer comes in time",
                "Look at the network, at REPLICATE_BASE_URL, or set KONTEXT_PROXY.",
            )
        )


async def test_a_host_that_drips_is_waited_for_no_longer_either(case: MakeCase, simulator: Running) -> None:
    drip = {"wire": "replicate", "on": "get", "fault": "slow_body", "interval": 0.05, "times": "always"}
    simulator.state.script(drip)
    line = await of_replicate(case, f"{simulator.base_url}/replicate/v1", patience_s=0.2)
    assert line.cause == "127.0.0.1 is not reached: no answer comes in time"


async def test_hosts_are_asked_at_once_and_one_in_trouble_hides_no_other(case: MakeCase) -> None:
    with silent() as base_url, canary(knows(KEY)) as host:
        silence = {"FAL_KEY": "zqxj0123456789", "FAL_BASE_URL": base_url}
        well = {"REPLICATE_API_TOKEN": KEY, "REPLICATE_BASE_URL": host.base_url}
        lines = await told(case, silence | well, patience_s=2.0)
    assert [(line.name, line.status.value) for line in lines] == [
        ("replicate online", "ok"),
        ("fal online", "fail"),
        ("clock", "ok"),
    ]


async def test_the_proxy_is_the_way(case: MakeCase) -> None:
    with canary(knows(KEY)) as proxy:
        line = await of_replicate(case, "http://nowhere.invalid/v1", KONTEXT_PROXY=proxy.base_url)
        assert shown(line) == ("ok", "reached; it takes the key in REPLICATE_API_TOKEN")
        assert {hit.path for hit in proxy.hits} == {f"http://nowhere.invalid/v1/predictions/{online.NO_SUCH_JOB}"}


async def test_a_proxy_that_refuses_or_is_not_there_is_told_as_such(case: MakeCase) -> None:
    with canary(always(403)) as proxy:
        refused = await of_replicate(case, "https://nowhere.invalid/v1", KONTEXT_PROXY=proxy.base_url)
    gone = await of_replicate(
        case, "https://nowhere.invalid/v1", KONTEXT_PROXY=f"http://ann:zqxj0123@127.0.0.1:{closed_port()}"
    )
    assert "zqxj" not in repr([refused, gone])
    assert [shown(refused), shown(gone)] == snapshot(
        [
            (
                "fail",
                "nowhere.invalid through KONTEXT_PROXY is not reached: the proxy does not let it through",
                "Look at KONTEXT_PROXY.",
            ),
            (
                "fail",
                "nowhere.invalid through KONTEXT_PROXY is not reached: the connection is refused",
                "Look at KONTEXT_PROXY.",
            ),
        ]
    )


@pytest.mark.parametrize(
    ("ahead", "line"),
    [
        (timedelta(minutes=4), snapshot(("ok", "agrees with the providers'"))),
        (
            timedelta(minutes=-20),
            snapshot(
                (
                    "warn",
                    "differs from the providers' by 20 minutes: signed addresses may fail",
                    "Let this machine set its clock by the network.",
                )
            ),
        ),
    ],
)
async def test_a_clock_is_held_against_the_hosts(case: MakeCase, ahead: timedelta, line: object) -> None:
    given = {"REPLICATE_API_TOKEN": KEY}
    with canary(knows(KEY)) as host:
        clock = FakeClock(SystemClock().now() + ahead)
        _, clock_line = await told(case, given | {"REPLICATE_BASE_URL": host.base_url}, clock=clock)
    assert shown(clock_line) == line


async def test_a_key_that_cannot_be_one_goes_nowhere(case: MakeCase) -> None:
    with canary() as host:
        lines = await told(case, {"FAL_KEY": "Bearer zqxj0123456789", "FAL_BASE_URL": host.base_url})
        assert host.hits == []
    assert [(line.name, shown(line)) for line in lines] == [("online", ("ok", "no provider is on: nobody was asked"))]


async def test_a_provider_without_the_model_is_not_asked(case: MakeCase) -> None:
    with canary() as host:
        given = {"RUNFLOW_API_KEY": "rf_live_zqxj0123456789", "RUNFLOW_BASE_URL": host.base_url}
        assert await told(case, given | {"KONTEXT_MODEL": "kontext-max"}) == []
        assert host.hits == []


def everywhere(host: Canary) -> dict[str, str]:
    """Every key, and every way out leads to one host."""
    given = {variable: f"{keys.PREFIXES.get(name, '')}zqxj0123456789" for name, variable in KEY_VARIABLES.items()}
    bases = {f"{name.replace('.', '_').upper()}_BASE_URL": host.base_url for name in KEY_VARIABLES}
    return given | bases | {"KONTEXT_PROXY": host.base_url}


async def test_without_online_the_network_is_not_touched(case: MakeCase) -> None:
    with canary() as host, anyio.fail_after(WITHIN_S):
        await examine(case(everywhere(host)))
        assert host.hits == []


async def test_a_witness_lets_nothing_but_gets_out() -> None:
    with canary() as host:
        witness = Witness(guard=Guard(), proxy=None, redact=Redactor(()), within_s=5.0)
        for method in ("POST", "PUT", "DELETE"):
            with pytest.raises(NotSent):
                await witness.call(method, host.base_url)
        with pytest.raises(NotSent):
            await witness.call("GET", host.base_url, json={})
        await witness.aclose()
        assert host.hits == []
