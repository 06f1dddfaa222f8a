"""RELIABILITY.md N04-N10, N13: no address, redirect or id leads a request, or a key, where it must not go."""

from __future__ import annotations

import itertools
import re
from collections.abc import Generator, Sequence
from pathlib import Path
from urllib.parse import unquote

import anyio
import pytest

from kontext_server.simulator.serve import Running
from kontext_tools.guard import Blocked, Guard
from kontext_tools.http import Http, Lost
from support.canary import Canary, Hit, Told, canary
from support.host_of_all import ADDRESS, HOSTS, PICTURE, settings_of, speaking
from support.stdio_server import PHOTOS, call, connected, fields_of

pytestmark = pytest.mark.anyio

CAT = str(PHOTOS / "chelsea.png")


@pytest.fixture
def bird() -> Generator[Canary]:
    """The canary: any hit is a leak."""
    with canary() as listening:
        yield listening


async def all_refused(tmp_path: Path, simulator: Running, images: Sequence[str]) -> None:
    """Prove that each image argument is `source_not_allowed`, and that nothing was sent."""
    failures: list[str] = []
    with anyio.fail_after(60):
        async with connected(tmp_path, simulator.settings) as client:
            for image in images:
                fields = fields_of(await call(client, "edit_image", image=image, prompt="Make it red", wait_seconds=0))
                if fields.get("error", {}).get("code") != "source_not_allowed":
                    failures.append(f"{image}: {fields}")
    assert failures == []
    assert simulator.state.journal.entries() == []


async def test_N04_no_private_address_is_asked(tmp_path: Path, simulator: Running, bird: Canary) -> None:
    hosts = ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::]", "169.254.169.254", "10.1.2.3", "172.16.0.1"]
    hosts += ["192.168.1.1", "100.64.0.1", "168.63.129.16", "224.0.0.1", "255.255.255.255", "[fe80::1]", "[fd00::1]"]
    hosts += ["metadata.google.internal", "printer.local", "app.localhost", "localhost.localdomain"]
    addresses = [f"{scheme}://{host}{port}/cat.png" for host in hosts for scheme, port in (("https", ""), ("http", ""))]
    at_bird = [f"{scheme}://{host}:{bird.port}/cat.png" for host in hosts[:5] for scheme in ("http", "https")]
    await all_refused(tmp_path, simulator, [*addresses, *at_bird])
    assert bird.hits == []


async def test_N05_no_spelling_of_a_private_address_is_asked(tmp_path: Path, simulator: Running, bird: Canary) -> None:
    hosts = ["2130706433", "0x7f000001", "017700000001", "0177.0.0.1", "127.1", "127.0.1", "0x7f.1", "0", "0x0"]
    hosts += ["①②⑦.⓪.⓪.①", "\uff11\uff12\uff17.0.0.1", "127。0。0。1", "127\uff0e0\uff0e0\uff0e1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ"]
    hosts += ["[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:1]", "[::127.0.0.1]"]
    hosts += ["[64:ff9b::127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::a9fe:a9fe]", "[2002:7f00:1::]", "[2001::1]"]
    hosts += ["127.0.0.1.", "localhost.", "0x7f000001.", "2130706433.", "①②⑦.⓪.⓪.①.", "127.0.0.1%2e", "%31%32%37.0.0.1"]
    hosts += ["[::1%25lo]", "[fe80::1%25eth0]", "LOCALHOST", "0xA9FEA9FE", "2852039166", "0251.0376.0251.0376"]
    addresses = [f"https://{host}/cat.png" for host in hosts]
    at_bird = [f"https://{host}:{bird.port}/cat.png" for host in hosts]
    tricks = ["https://example.com@127.0.0.1/", "https://127.0.0.1\\@example.com/", "https://127.0.0.1#@example.com/"]
    tricks += ["https://127.0.0.1?@example.com/", "https:///127.0.0.1/", "https:127.0.0.1/", "HTTPS://127.0.0.1/"]
    await all_refused(tmp_path, simulator, [*addresses, *at_bird, *tricks])
    assert bird.hits == []


async def resolver(host: str, port: int) -> Sequence[str]:
    return ["10.0.0.1"] if host == "inside.example" else ["93.184.216.34"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_N06_every_hop_of_a_redirect_is_judged(tmp_path: Path, bird: Canary, status: int) -> None:
    ends = [f"{bird.base_url}/x", f"//127.0.0.1:{bird.port}/x", f"https://127.0.0.1:{bird.port}/x", "https://[::1]/x"]
    ends += ["https://169.254.169.254/latest", "https://inside.example/x", "https://0x7f.1/x", "file:///etc/passwd"]
    ends += ["ftp://127.0.0.1/x", "https://u:p@example.com/x", "https://example.com:22/x"]

    def answer(hit: Hit) -> Told:
        # /<hops in place>/<which end>/<hops done>
        hops, which, done = map(int, hit.path.split("/")[1:])
        here = f"/{hops}/{which}/{done + 1}"
        return Told(status=status, json={}, headers={"location": here if done < hops else ends[which]})

    with canary(answer) as start, anyio.fail_after(60):
        # Trusted as an operator's base is, so that the first hop needs no network; no later one is trusted for it.
        http = Http(guard=Guard(trusted=[start.base_url], resolver=resolver))
        for which, hops in itertools.product(range(len(ends)), (0, 1, 2)):
            with pytest.raises(Blocked):
                await http.download(f"{start.base_url}/{hops}/{which}/0", tmp_path / "o", max_bytes=1_000)
        for hops in (4, 10):
            start.hits.clear()
            with pytest.raises(Lost):
                await http.download(f"{start.base_url}/{hops}/0/0", tmp_path / "o", max_bytes=1_000)
            assert len(start.hits) <= 4
        await http.aclose()
    assert bird.hits == []


async def test_N07_a_name_that_answers_twice_is_connected_at_the_address_that_was_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [["93.184.216.34"], ["127.0.0.1"]]
    connected_at: list[tuple[str, int]] = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        return answers.pop(0)

    async def no_network(remote_host: str, remote_port: int, **_: object) -> None:
        connected_at.append((remote_host, remote_port))
        raise OSError

    monkeypatch.setattr(anyio, "connect_tcp", no_network)
    http = Http(guard=Guard(resolver=rebinding))
    with pytest.raises(Lost):
        await http.download("https://pictures.example/o.png", tmp_path / "o", max_bytes=1_000)
    assert connected_at == [("93.184.216.34", 443)]
    assert not await http.is_alive("https://pictures.example/o.png")
    assert connected_at == [("93.184.216.34", 443)]
    await http.aclose()


async def test_N08_no_address_in_a_providers_reply_is_followed(tmp_path: Path, bird: Canary) -> None:
    outputs = {"fine": PICTURE, "bait": f"{bird.base_url}/o.png", "odd": "https://0x7f.1/o.png", "never": ""}

    def output_of(path: str) -> str:
        return next(output for case, output in outputs.items() if f"id-{case}" in path)

    answer = speaking(lambda case: f"id-{case}", output_of=output_of, bait=f"{bird.base_url}/bait")
    jobs: dict[tuple[str, str], str] = {}
    with canary(answer) as host, anyio.fail_after(60):
        async with connected(tmp_path, settings_of(host.base_url)) as client:
            for name in HOSTS:
                for case in outputs:
                    asked = {"image": ADDRESS, "prompt": f"Make it red, case {case}", "provider": name}
                    jobs[name, case] = fields_of(await call(client, "edit_image", **asked, wait_seconds=0))["job_id"]
            for (name, case), job_id in jobs.items():
                if case == "never":
                    continue
                ended = fields_of(await call(client, "get_status", job_id=job_id, wait_seconds=50))
                expected = {"fine": "completed"}.get(case, "result_invalid")
                assert expected in (ended["status"], ended.get("error", {}).get("code")), (name, case, ended)
            for name in ("core.today", "replicate", "kkiai", "eachlabs"):
                ended = fields_of(await call(client, "cancel_job", job_id=jobs[name, "never"]))
                assert ended["outcome"] == "cancelled", name
    assert bird.hits == []
    assert {hit.path.split("/")[1] for hit in host.hits} == set(HOSTS)


async def test_N09_no_key_follows_a_redirect(tmp_path: Path, simulator: Running, bird: Canary) -> None:
    for name in HOSTS:
        for on, code in (("create", 307), ("get", 302), ("file", 308)):
            simulator.state.script({"wire": name, "on": on, "fault": "redirect", "url": bird.base_url, "code": code})
    seen: dict[str, set[str]] = {name: set() for name in HOSTS}
    with anyio.fail_after(90):
        async with connected(tmp_path, simulator.settings_of(*HOSTS)) as client:
            jobs: dict[str, str] = {}
            for name in HOSTS:
                for number in range(3):
                    asked = {"image": ADDRESS, "prompt": f"Make it red {number}", "provider": name}
                    jobs[fields_of(await call(client, "edit_image", **asked, wait_seconds=0))["job_id"]] = name
            for job_id, name in jobs.items():
                ended = fields_of(await call(client, "get_status", job_id=job_id, wait_seconds=50))
                seen[name].add(ended.get("error", {}).get("code", ended["status"]))
    assert bird.hits == []
    assert all(codes == {"provider_error", "result_invalid", "completed"} for codes in seen.values()), seen
    files = [entry for entry in simulator.state.journal.entries() if "/_files/" in entry.path]
    assert files and not [entry for entry in files if {"authorization", "x-api-key", "x-key"} & set(entry.headers)]


async def test_N10_no_proxy_of_the_environment_serves_and_odd_addresses_are_refused(
    tmp_path: Path, simulator: Running, bird: Canary
) -> None:
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    settings = simulator.settings | dict.fromkeys(proxies, bird.base_url)
    odd = ["https://me:secret@example.com/a.png", "https://me@example.com/a.png", "https://example.com:22/a.png"]
    odd += ["https://example.com:80/a.png", "https://example.com:8443/a.png", "https://example.com:99999/a.png"]
    with anyio.fail_after(60):
        async with connected(tmp_path, settings) as client:
            fine = fields_of(await call(client, "edit_image", image=CAT, prompt="Make it red"))
            for image in odd:
                refused = fields_of(await call(client, "edit_image", image=image, prompt="Make it red"))
                assert refused["error"]["code"] == "source_not_allowed"
                assert "secret" not in str(refused)
    assert fine["status"] == "completed"
    assert bird.hits == []


IDS = {"up": "../../account", "query": "a?x=1", "part": "a#b", "line": "a\nGET /", "dots": "..", "escaped": "%2e%2e/x"}
SEGMENT = r"((?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+)"
PATHS = (
    rf"/core\.today/v1/predictions(?:/{SEGMENT})?",
    rf"/(?:kkiai/)?replicate/v1/(?:models/[\w/-]+/predictions|predictions/{SEGMENT})",
    r"/replicate/v1/predictions\?created_after=[^&/]+&created_before=[^&/]+()",
    rf"/runflow/v1/(?:models/[\w./-]+/runs|runs/{SEGMENT})",
    rf"/eachlabs/v1/(?:model\?slug=[\w-]+|prediction(?:/{SEGMENT})?)",
    rf"/bfl/v1/(?:flux-kontext-pro|get_result\?id={SEGMENT})",
    rf"/fal/fal-ai/flux-pro/(?:kontext|requests/{SEGMENT}(?:/status)?)",
)


async def test_N13_no_id_of_a_provider_leads_to_another_path(tmp_path: Path) -> None:
    answer = speaking(lambda case: IDS[case], output_of=lambda _: PICTURE)
    with canary(answer) as host, anyio.fail_after(90):
        async with connected(tmp_path, settings_of(host.base_url)) as client:
            jobs: list[tuple[str, str]] = []
            for name in HOSTS:
                for case in IDS:
                    asked = {"image": ADDRESS, "prompt": f"Make it red, case {case}", "provider": name}
                    made = fields_of(await call(client, "edit_image", **asked, wait_seconds=0))
                    jobs.append((case, made["job_id"]))
            for case, job_id in jobs:
                ended = fields_of(await call(client, "get_status", job_id=job_id, wait_seconds=50))
                assert ended["status"] == ("unknown" if case in ("line", "dots") else "completed"), (case, ended)
    for hit in host.hits:
        found = next((match for pattern in PATHS if (match := re.fullmatch(pattern, hit.path))), None)
        assert found is not None, hit.path
        assert not any(unquote(part) in (".", "..") for part in found.groups() if part), hit.path
    looked = {unquote(part) for hit in host.hits for part in re.findall(SEGMENT, hit.path)}
    assert {IDS["up"], IDS["query"], IDS["part"]} <= looked
