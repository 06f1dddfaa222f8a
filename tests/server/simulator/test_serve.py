"""Over a real socket: what only a connection can show."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from kontext_server.simulator.app import settings
from kontext_server.simulator.serve import Running, running

BODY: Any = {"model": "black-forest-labs/flux-kontext-pro", "input": {"prompt": "a fox"}}
PATIENCE = 30.0


@pytest.fixture(scope="module")
def shared() -> Iterator[Running]:
    with running(job_seconds=0.0) as simulator:
        yield simulator


@pytest.fixture
def simulator(shared: Running) -> Running:
    shared.state.reset()
    return shared


@pytest.fixture
def client(simulator: Running) -> Iterator[httpx2.Client]:
    base = simulator.settings["CORE_TODAY_BASE_URL"]
    headers = {"x-api-key": simulator.settings["CORE_TODAY_API_KEY"]}
    with httpx2.Client(base_url=base, headers=headers, timeout=PATIENCE, trust_env=False) as http:
        yield http


def _script(simulator: Running, **fault: Any) -> None:
    simulator.state.script({"wire": "core.today", "on": "create"} | fault)


def _request(simulator: Running, body: bytes = json.dumps(BODY).encode()) -> socket.socket:
    """A create, sent over a bare socket."""
    head = (
        "POST /core.today/v1/predictions HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: cdt_x\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    wire = socket.create_connection(("127.0.0.1", simulator.port), timeout=PATIENCE)
    wire.sendall(head.encode() + body)
    return wire


def _until_taken(simulator: Running) -> None:
    """Come back when the scripted faults have all met their requests, and what those set off has run."""
    with httpx2.Client(trust_env=False) as http:
        for _ in range(10_000):
            if not http.get(f"{simulator.base_url}/_sim/script").json()["faults"]:
                http.get(f"{simulator.base_url}/_sim/script")
                return
    raise AssertionError("the request never came")


def _output(client: httpx2.Client) -> str:
    job_id = client.post("/predictions", json=BODY).json()["job_id"]
    return client.get(f"/predictions/{job_id}").json()["result"]


def test_a_picture_is_made_over_a_real_socket(simulator: Running, client: httpx2.Client) -> None:
    url = _output(client)
    assert url.startswith(f"{simulator.base_url}/_files/")
    assert httpx2.get(url, trust_env=False).content.startswith(b"\x89PNG")
    assert [entry.status for entry in simulator.state.journal.entries()] == [200, 200, 200]


@pytest.mark.parametrize(("fault", "charged"), [("accept_then_reset", 1), ("reset_before_accept", 0)])
def test_a_reset_comes_before_any_byte_of_an_answer(simulator: Running, fault: str, charged: int) -> None:
    _script(simulator, fault=fault)
    with _request(simulator) as wire, pytest.raises(ConnectionResetError):
        wire.recv(1)
    assert simulator.state.charged["core.today"] == charged
    (entry,) = simulator.state.journal.entries()
    assert (entry.json, entry.status) == (BODY, None)


def test_a_client_sees_a_reset_as_a_read_error_and_the_next_request_is_served(
    simulator: Running, client: httpx2.Client
) -> None:
    _script(simulator, fault="accept_then_reset")
    with pytest.raises(httpx2.ReadError):
        client.post("/predictions", json=BODY)
    assert client.post("/predictions", json=BODY).status_code == 200
    assert simulator.state.charged["core.today"] == 2


@pytest.mark.parametrize(("charged", "count"), [(None, 1), (False, 0)])
def test_a_hanging_answer_lasts_until_the_client_leaves(
    simulator: Running, client: httpx2.Client, charged: bool | None, count: int
) -> None:
    _script(simulator, fault="hang", charged=charged)
    with _request(simulator) as wire:
        _until_taken(simulator)
        wire.setblocking(False)
        with pytest.raises(BlockingIOError):
            wire.recv(1)
    assert client.get("/predictions/none").status_code == 404
    assert simulator.state.charged["core.today"] == count
    assert simulator.state.journal.entries()[0].status is None


def test_a_truncated_output_breaks_off_where_its_length_was_declared(simulator: Running, client: httpx2.Client) -> None:
    url = _output(client)
    whole = client.get(url).content
    _script(simulator, on="file", fault="truncated")
    with client.stream("GET", url) as answer:
        assert int(answer.headers["content-length"]) == len(whole)
        with pytest.raises(httpx2.RemoteProtocolError, match=f"received {len(whole) // 2} bytes"):
            answer.read()


def test_an_oversize_output_streams_without_a_length_until_the_client_leaves(
    simulator: Running, client: httpx2.Client
) -> None:
    url = _output(client)
    _script(simulator, on="file", fault="oversize")
    size = 0
    with client.stream("GET", url) as answer:
        assert (answer.headers["content-type"], answer.headers.get("content-length")) == ("image/png", None)
        for chunk in answer.iter_raw():
            size += len(chunk)
            if size > 20_000_000:
                break
    assert client.get(url).status_code == 200


def test_a_slow_body_comes_in_single_bytes_and_ends_with_its_client(simulator: Running, client: httpx2.Client) -> None:
    _script(simulator, fault="slow_body", interval=3600)
    with _request(simulator) as wire:
        received = b""
        while b"\r\n\r\n{" not in received:
            received += wire.recv(4096)
        assert received.endswith(b"\r\n\r\n{")
    assert client.get("/predictions/none").status_code == 404


def test_a_simulator_that_stops_drops_who_still_waits() -> None:
    with running() as simulator:
        _script(simulator, fault="hang")
        wire = _request(simulator)
        _until_taken(simulator)
    with wire:
        wire.settimeout(PATIENCE)
        with contextlib.suppress(ConnectionResetError):
            assert wire.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", simulator.port), timeout=PATIENCE)


def test_the_settings_are_those_of_the_wires_that_are_named(simulator: Running) -> None:
    assert simulator.settings_of("kkiai", "bfl") == {
        "KKIAI_BASE_URL": f"{simulator.base_url}/kkiai/replicate/v1",
        "KKIAI_API_KEY": "kkiai_simulator",
        "BFL_BASE_URL": f"{simulator.base_url}/bfl",
        "BFL_API_KEY": "bfl_simulator",
    }
    assert simulator.settings == simulator.settings_of("core.today")
    assert simulator.settings_of() == settings(simulator.base_url)
    with pytest.raises(KeyError):
        simulator.settings_of("corn.today")


def test_a_port_that_is_taken_is_an_error(simulator: Running) -> None:
    with pytest.raises(OSError, match="in use"), running(simulator.port):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_serving_prints_the_settings_and_ends_on_an_interrupt() -> None:
    program = "from kontext_server.simulator.serve import serve; serve(0)"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        first = next(lines)
        exports = [line.strip() for line in itertools.takewhile(lambda line: not line.startswith("#"), lines)]
        root = exports[0].partition("=")[2].removesuffix("/core.today/v1")
        charged = httpx2.get(f"{root}/_sim/counter", trust_env=False).json()["charged"]
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=PATIENCE)
    assert first.startswith("#")
    assert exports == [f"export {name}={value}" for name, value in settings(root).items()]
    assert set(charged.values()) == {0}
    assert "KeyboardInterrupt" in complaint
