"""A real server over Streamable HTTP, real clients of both protocol eras, and pictures by their signed addresses."""

from __future__ import annotations

import base64
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from inline_snapshot import snapshot
from mcp.client.session import ClientRequestContext

from kontext_server.simulator.serve import Running
from support import http_server, stdio_server
from support.at_simulator import charged_at, creates_at
from support.http_server import Served, client_of, envelope, headers, served
from support.stdio_server import ERAS, PHOTOS, call, environment, fields_of, text_of

pytestmark = pytest.mark.anyio

JOB_SECONDS = 0.3
CAT = f"data:image/png;base64,{base64.b64encode((PHOTOS / 'chelsea.png').read_bytes()).decode()}"


@pytest.mark.parametrize("era", ERAS)
async def test_the_same_server_is_met_as_over_stdio(tmp_path: Path, era: str) -> None:
    with anyio.fail_after(60), served(tmp_path) as server:
        async with http_server.connected(server, era=era) as client, stdio_server.connected(tmp_path, era=era) as other:
            assert client.server_info == other.server_info
            assert client.server_capabilities == other.server_capabilities
            assert await client.list_tools() == await other.list_tools()
            assert await client.list_resource_templates() == await other.list_resource_templates()


@pytest.mark.parametrize("era", ERAS)
async def test_an_edit_tells_an_address_and_no_path_and_goes_on_by_reference(tmp_path: Path, era: str) -> None:
    with anyio.fail_after(60), served(tmp_path) as server:
        async with http_server.connected(server, era=era) as client, client_of(server) as http:
            result = await call(client, "edit_image", image=CAT, prompt="Make it sepia")
            first = fields_of(result)
            (image,) = first["images"]
            picture = await http.get(image["url"])
            again = fields_of(await call(client, "edit_image", image=image["ref"], prompt="Mirror it"))
            whole = (await client.read_resource(image["uri"])).contents[0]
            listed = (await client.list_resources()).resources
    assert "path" not in image
    assert image["url"] in text_of(result)
    assert str(tmp_path) not in text_of(result)
    assert image["url"].startswith(f"{server.base}/images/{image['ref']}?")
    assert isinstance(whole, types.BlobResourceContents)
    assert picture.content == base64.b64decode(whole.blob)
    assert again["parent"] == image["ref"]
    assert {image["uri"], again["images"][0]["uri"]} <= {resource.uri for resource in listed}


async def test_a_signed_address_gives_the_bytes_as_delivered_and_nothing_else_does(tmp_path: Path) -> None:
    with anyio.fail_after(60), served(tmp_path) as server:
        async with http_server.connected(server) as client, client_of(server) as http:
            fields = fields_of(await call(client, "generate_image", prompt="a red lake"))
            other = fields_of(await call(client, "generate_image", prompt="a blue lake"))
            url = fields["images"][0]["url"]
            good = await http.get(url)
            kept = tmp_path / "data" / "images" / f"{fields['job_id']}-1.png"
            data = kept.read_bytes()
            wrong = {
                "unsigned": url.partition("?")[0],
                "of another picture": url.replace(fields["job_id"], other["job_id"]),
                "of another number": url.replace("/1?", "/0?"),
                "longer": re.sub(r"until=\d+", "until=9999999999", url),
                "of another owner": url.replace("owner=local", "owner=mallory"),
                "with another proof": url[:-2] + ("AA" if url[-2:] != "AA" else "BB"),
            }
            refused = {name: await http.get(address) for name, address in wrong.items()}
            kept.write_bytes(data[:-1] + b"!")
            changed = await http.get(url)
    assert good.content == data
    assert {name: value for name, value in good.headers.items() if name not in ("date", "cache-control")} == {
        "content-type": "image/png",
        "content-length": str(len(data)),
        "content-disposition": f'inline; filename="{fields["job_id"]}-1.png"',
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
    assert re.fullmatch(r"private, max-age=\d{5}, immutable", good.headers["cache-control"])
    told = {(answer.status_code, answer.text) for answer in (*refused.values(), changed)}
    assert told == {(404, "There is no image of that address.")}


async def test_an_address_outlives_a_restart_for_its_key_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        with served(tmp_path) as server:
            async with http_server.connected(server) as client:
                fields = fields_of(await call(client, "generate_image", prompt="a red lake"))
            assert server.end() == (0, "")
        with served(tmp_path) as server:
            url: str = fields["images"][0]["url"]
            async with client_of(server) as http:
                answer = await http.get(url[url.index("/images/") :])
    assert answer.content == (tmp_path / "data" / "images" / f"{fields['job_id']}-1.png").read_bytes()
    assert stat.S_IMODE((tmp_path / "data" / "secret.key").stat().st_mode) == 0o600


@pytest.mark.parametrize("era", ERAS)
async def test_progress_is_told_while_a_call_waits(tmp_path: Path, simulator: Running, era: str) -> None:
    heard: list[str | None] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message)

    with anyio.fail_after(60), served(tmp_path, simulator.settings) as server:
        async with http_server.connected(server, era=era) as client:
            await client.call_tool("generate_image", {"prompt": "a red lake"}, progress_callback=on_progress)
    assert {"pending at core.today"} <= set(heard) <= {"pending at core.today", "processing at core.today"}


@pytest.mark.parametrize("era", ERAS)
async def test_the_person_is_asked_before_something_dear(tmp_path: Path, simulator: Running, era: str) -> None:
    asked: list[str] = []

    async def person(context: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
        asked.append(params.message.partition("\n")[0])
        return types.ElicitResult(action="accept", content={"go": True})

    settings = {**simulator.settings, "KONTEXT_CONFIRM_ABOVE": "100 credit"}
    with anyio.fail_after(60), served(tmp_path, settings) as server:
        async with http_server.connected(server, era=era, person=person) as client:
            made = fields_of(await call(client, "generate_image", prompt="a red lake"))
    assert (made["status"], charged_at(simulator)) == ("completed", 1)
    assert asked == ["Generating 1 picture costs 120 credit at core.today. Go on?"]


async def test_clients_of_both_eras_share_one_engine_and_one_store(tmp_path: Path, simulator: Running) -> None:
    answers: list[dict[str, Any]] = []
    with anyio.fail_after(60), served(tmp_path, simulator.settings) as server:
        async with (
            http_server.connected(server, era=ERAS[0]) as one,
            http_server.connected(server, era=ERAS[1]) as two,
            anyio.create_task_group() as tasks,
        ):

            async def ask(client: http_server.Client) -> None:
                answers.append(fields_of(await call(client, "generate_image", prompt="a red lake")))

            tasks.start_soon(ask, one)
            tasks.start_soon(ask, two)
    assert {answer["status"] for answer in answers} == {"completed"}
    assert len({answer["job_id"] for answer in answers}) == 1
    assert sorted(answer.get("joined", False) for answer in answers) == [False, True]
    assert len(creates_at(simulator)) == charged_at(simulator) == 1


async def test_a_raw_call_without_progress_is_answered_as_plain_json(tmp_path: Path) -> None:
    body = envelope("tools/call", {"name": "get_status", "arguments": {"job_id": "red-car-4k7q"}})
    with anyio.fail_after(60), served(tmp_path) as server:
        async with client_of(server) as http:
            answer = await http.post("/mcp", json=body, headers=headers(body))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json()["result"]["structuredContent"]["error"]["code"] == "not_found"


async def test_health_tells_only_whether_the_process_lives_and_the_store_opens(tmp_path: Path) -> None:
    with anyio.fail_after(60), served(tmp_path) as server:
        async with client_of(server) as http:
            sound = [await http.get(path) for path in ("/healthz", "/readyz")]
    data = tmp_path / "data"
    for name in ("kontext.db-wal", "kontext.db-shm"):
        (data / name).unlink(missing_ok=True)
    (data / "kontext.db").write_bytes(b"this is no database" * 1000)
    with anyio.fail_after(60), served(tmp_path) as server:
        async with client_of(server) as http:
            damaged = [await http.get(path) for path in ("/healthz", "/readyz")]
    assert [(answer.status_code, answer.text) for answer in sound] == [(200, "ok"), (200, "ok")]
    assert [(answer.status_code, answer.text) for answer in damaged] == [(200, "ok"), (503, "not ok")]


def test_a_port_in_use_is_told_in_one_line_with_exit_code_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = _served_to_its_end(tmp_path, "--port", str(port))
    assert (ended.returncode, ended.stdout) == (1, "")
    said = ended.stderr.replace(str(port), "8765")
    assert said == snapshot(
        "Port 8765 of 127.0.0.1 cannot be taken (Address already in use). Name another with --port.\n"
    )


def test_a_secret_key_that_is_none_is_refused_with_its_variable(tmp_path: Path) -> None:
    by_setting = _served_to_its_end(tmp_path, settings={"KONTEXT_SECRET_KEY": "hunter2"})
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data" / "secret.key").write_text("hunter2\n")
    by_file = _served_to_its_end(tmp_path)
    assert (by_setting.returncode, by_file.returncode) == (3, 3)
    for ended in (by_setting, by_file):
        assert "KONTEXT_SECRET_KEY" in ended.stderr
        assert "hunter2" not in ended.stderr


def test_two_servers_beside_each_other_take_two_ports(tmp_path: Path) -> None:
    with served(tmp_path) as one, served(tmp_path) as two:
        assert one.base != two.base
        assert _codes(one, two) == [0, 0]


def test_it_listens_on_ipv6_loopback_too(tmp_path: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with served(tmp_path, None, "--host", "::1") as server:
        assert re.fullmatch(r"http://\[::1\]:\d+", server.base)
        assert _codes(server) == [0]


def _codes(*servers: Served) -> list[int]:
    return [server.end()[0] for server in servers]


def _served_to_its_end(
    folder: Path, *arguments: str, settings: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kontext_server", "serve", "--http", "--port", "0", *arguments],
        env=environment(folder, settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
