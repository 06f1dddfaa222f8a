"""The main job through core.today's wire, over real HTTP against the simulator, and across a `kill -9`."""

from __future__ import annotations

import hashlib
import json
import signal
import sqlite3
import sys
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from PIL import Image

from kontext_server.simulator.serve import Running, running
from support.by_hand import ByHand, by_hand
from support.stdio_server import ERAS, PHOTOS, call, connected, environment, fields_of, text_of

CAT = str(PHOTOS / "chelsea.png")
JOB_SECONDS = 0.3


@pytest.mark.anyio
@pytest.mark.parametrize("era", ERAS)
async def test_a_local_file_goes_up_as_multipart_and_its_result_lands_on_disk(
    tmp_path: Path, simulator: Running, era: str
) -> None:
    with anyio.fail_after(60):
        async with connected(tmp_path, simulator.settings, era=era) as client:
            result = await call(client, "edit_image", image=CAT, prompt="Make this a 90s cartoon", output_format="jpeg")
            fields = fields_of(result)
            full = fields_of(await call(client, "get_status", job_id=fields["job_id"], detail="full"))
    assert fields["cost"] == {"amount": "120", "unit": "credit", "basis": "list_price"}
    kept = Path(fields["images"][0]["path"])
    assert kept.suffix == ".jpg"
    assert full["sha256"][fields["images"][0]["ref"]] == hashlib.sha256(kept.read_bytes()).hexdigest()
    with Image.open(kept, formats=["JPEG"]) as image:
        assert image.size == (fields["images"][0]["width"], fields["images"][0]["height"])
    creates = [entry for entry in simulator.state.journal.entries() if entry.method == "POST"]
    assert [entry.path for entry in creates] == ["/core.today/v1/predictions/upload"]
    assert creates[0].headers["content-type"].startswith("multipart/form-data")
    assert simulator.state.counter()["charged"]["core.today"] == 1


@pytest.mark.anyio
async def test_a_chain_of_three_edits_is_charged_three_times(tmp_path: Path, simulator: Running) -> None:
    with anyio.fail_after(60):
        async with connected(tmp_path, simulator.settings) as client:
            image = CAT
            for wish in ("Make it a cartoon", "Make it warmer", "Mirror it"):
                fields = fields_of(await call(client, "edit_image", image=image, prompt=wish))
                image = fields["images"][0]["ref"]
    assert (fields["status"], fields["depth"]) == ("completed", 3)
    assert simulator.state.counter()["charged"]["core.today"] == 3


@pytest.mark.anyio
async def test_a_job_killed_between_create_and_result_is_finished_after_a_restart(tmp_path: Path) -> None:
    with running(job_seconds=2.0) as simulator, anyio.fail_after(60):
        with by_hand(tmp_path, simulator.settings) as server:
            job_id = _edit_at_once(server)
            while not _is_submitted(tmp_path, job_id):
                await anyio.lowlevel.checkpoint()
            server.process.kill()
        async with connected(tmp_path, simulator.settings) as client:
            fields = fields_of(await call(client, "get_status", job_id=job_id, wait_seconds=40))
        assert simulator.state.counter()["charged"]["core.today"] == 1
    assert fields["status"] == "completed"
    assert Path(fields["images"][0]["path"]).is_file()


@pytest.mark.anyio
async def test_a_lost_reply_is_told_as_unknown_and_an_identical_call_sends_nothing(
    tmp_path: Path, simulator: Running
) -> None:
    simulator.state.script({"wire": "core.today", "on": "create", "fault": "accept_then_reset"})
    arguments = {"image": CAT, "prompt": "Make it sepia"}
    with anyio.fail_after(60):
        async with connected(tmp_path, simulator.settings) as client:
            lost = await call(client, "edit_image", **arguments)
            repeated = await call(client, "edit_image", **arguments)
            assert simulator.state.counter()["charged"]["core.today"] == 1
            on_purpose = fields_of(await call(client, "edit_image", **arguments, request_key="again"))
    assert lost.is_error
    assert fields_of(lost)["status"] == "unknown"
    assert fields_of(lost)["error"]["code"] == "outcome_unknown"
    assert fields_of(lost)["error"]["billed"] == "unknown"
    assert "may have been charged" in text_of(lost)
    assert fields_of(repeated)["error"]["job_id"] == fields_of(lost)["job_id"]
    assert on_purpose["status"] == "completed"
    assert simulator.state.counter()["charged"]["core.today"] == 2


@pytest.mark.anyio
async def test_a_key_echoed_by_the_provider_reaches_no_answer_and_no_database(
    tmp_path: Path, simulator: Running
) -> None:
    key = "cdt_PLANTED_MARKER_0123456789"
    simulator.state.script({"wire": "core.today", "on": "create", "fault": "error_echoes_key"})
    settings = simulator.settings | {"CORE_TODAY_API_KEY": key, "KONTEXT_LOG_LEVEL": "debug"}
    with anyio.fail_after(60):
        async with connected(tmp_path, settings) as client:
            refused = await call(client, "edit_image", image=CAT, prompt="Make it sepia")
    assert fields_of(refused)["error"]["code"] == "auth_failed"
    assert "CORE_TODAY_API_KEY" in text_of(refused)
    assert key not in json.dumps(fields_of(refused)) + text_of(refused)
    for path in (tmp_path / "data").rglob("*"):
        assert not path.is_file() or key.encode() not in path.read_bytes()


def _edit_at_once(server: ByHand) -> str:
    fields = server.call("edit_image", image=CAT, prompt="Make it a cartoon", wait_seconds=0)
    return str(fields["job_id"])


def _is_submitted(folder: Path, job_id: str) -> bool:
    with sqlite3.connect(folder / "data" / "kontext.db") as db:
        row = db.execute("SELECT state FROM sends WHERE job_id = ?", (job_id,)).fetchone()
    db.close()
    return row is not None and row[0] == "submitted"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "end of input"])
def test_the_server_ends_zero_at_a_signal_and_at_the_end_of_input(tmp_path: Path, name: str) -> None:
    with running(job_seconds=60.0) as simulator, by_hand(tmp_path, simulator.settings) as server:
        _edit_at_once(server)
        assert server.process.stdin is not None
        if name == "end of input":
            server.process.stdin.close()
        else:
            server.process.send_signal(getattr(signal, name))
        assert server.process.wait(timeout=30) == 0


@pytest.mark.anyio
async def test_the_example_configuration_starts_this_server(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "claude_desktop_config.example.json"
    (entry,) = json.loads(example.read_text(encoding="utf-8"))["mcpServers"].values()
    program = Path(sys.executable).parent / Path(entry["command"]).name
    assert (program.name, entry["args"]) == ("kontext", ["serve"])
    from mcp import StdioServerParameters, stdio_client
    from mcp.client import Client

    settings = environment(tmp_path, {name: value for name, value in entry.get("env", {}).items() if value})
    parameters = StdioServerParameters(command=str(program), args=entry["args"], env=settings)
    with anyio.fail_after(30):
        async with Client(stdio_client(parameters), mode="legacy") as client:
            assert [tool.name for tool in (await client.list_tools()).tools][:1] == ["edit_image"]
