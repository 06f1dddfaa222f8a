"""Nothing that is sent to a route of ours over HTTP breaks it: always an answer, never a 5xx, and the server lives."""

from __future__ import annotations

import faulthandler
import re
import threading
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import anyio
import httpx2
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from kontext_server import secret_key
from kontext_server.surface.asking import owner
from kontext_server.web.addresses import LIVES_S, Addresses
from kontext_server.web.visits import COOKIE_S, Visits
from kontext_tools.clocks import SystemClock
from support.fuzzed import Asked, Known, answered, requests, status_of
from support.hosted import Hosted, hosting
from support.stdio_server import call, fields_of

SAMPLE, CAMPAIGN = 250, 10_000
PEOPLE = 60
"""So many send the good tokens, or the limits would answer for the routes."""
EVERY_SCOPE = "images:read images:edit jobs:cancel admin:budget"


def _known(hosted: Hosted) -> Known:
    """Make a picture of somebody's, and what proves that one may see it."""

    async def made() -> tuple[str, str]:
        async with hosted.client("zoe") as client:
            job = fields_of(await call(client, "generate_image", prompt="a lake", wait_seconds=50))["job_id"]
            refused = fields_of(await call(client, "edit_image", image="~/cat.png", prompt="Make it sepia"))
            return job, re.findall(r"/uploads/[\w-]+", refused["error"]["fix"])[0]

    secret = secret_key.kept_in(hosted.folder / "data")
    assert secret is not None
    whose, (job, upload) = owner(hosted.issuer.name, "zoe"), anyio.run(made)
    asked = [str(job.asked.get("webhook_url")) for job in hosted.simulator.state.jobs.values()]
    addresses, visits = Addresses("", secret, SystemClock()), Visits("", secret, SystemClock())
    until = str(int(SystemClock().now().timestamp()) + LIVES_S)

    def query_of(job: str, n: str) -> str:
        proof = addresses._proof(job, n, whose, until)  # pyright: ignore[reportPrivateUsage]  # signed as ours
        return urlencode({"owner": whose, "until": until, "proof": proof})

    good = [hosted.bearer(f"fuzzer-{n}", scope=EVERY_SCOPE)["Authorization"] for n in range(PEOPLE)]
    bearers = [*good, hosted.bearer("x", exp=1)["Authorization"], "Bearer", "Basic x", "bearer  x y"]
    cookie = visits._signed("cookie", whose, COOKIE_S, "")  # pyright: ignore[reportPrivateUsage]  # the same
    host = urlsplit(hosted.server.base).netloc
    return Known(
        host=host, job=job, bearers=bearers, query_of=query_of, cookie=cookie, opened=[upload, urlsplit(asked[0]).path]
    )


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Hosted, Known, list[str]]]:
    """A server, what is known of it, and what it logs."""
    said: list[str] = []
    with hosting(tmp_path_factory.mktemp("fuzzed"), called=True) as hosted:
        known = _known(hosted)
        stderr = hosted.server.process.stderr
        assert stderr is not None
        reader = threading.Thread(target=lambda: said.extend(stderr), daemon=True)
        reader.start()
        yield hosted, known, said


@pytest.mark.campaign
def test_P02_no_request_breaks_a_route(
    fuzzed: tuple[Hosted, Known, list[str]], whole_campaign: bool, tmp_path: Path
) -> None:
    hosted, known, said = fuzzed
    place = urlsplit(hosted.server.base)
    assert place.hostname is not None and place.port is not None
    at, seen = (place.hostname, place.port), dict[int, int]()
    if whole_campaign:
        faulthandler.cancel_dump_traceback_later()

    @settings(
        max_examples=CAMPAIGN if whole_campaign else SAMPLE,
        derandomize=not whole_campaign,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example, HealthCheck.data_too_large],
        phases=[Phase.generate, *([Phase.shrink] if whole_campaign else [])],
    )
    @given(requests(known))
    def ask(asked: Asked) -> None:
        answer = answered(asked, at)
        status = status_of(answer)
        seen[status] = seen.get(status, 0) + 1
        assert 200 <= status < 500, (status, answer[:300])
        assert b"Traceback" not in answer and str(hosted.folder).encode() not in answer

    ask()
    print(f"answers by status: {dict(sorted(seen.items()))}")
    assert {200, 400, 401, 404, 405} <= set(seen)
    assert httpx2.get(f"{hosted.server.base}/readyz").text == "ok"
    assert hosted.server.process.poll() is None
    assert [line for line in said if "Traceback" in line or '"error"' in line.lower()] == []
