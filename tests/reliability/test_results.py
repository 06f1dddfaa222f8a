"""The bar's results: what is no whole picture is never kept, what is paid is never forgotten."""

from __future__ import annotations

import base64
import io
import os
import re
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from PIL import Image

from kontext_server.simulator.serve import Running
from kontext_tools.jobs import JobStatus
from support.at_simulator import ENDED, at_simulator, charged_at
from support.by_hand import by_hand
from support.looking_in import DataFolder
from support.scripted_host import scripted
from support.stdio_server import PHOTOS, call, connected, fields_of, text_of

pytestmark = pytest.mark.anyio

CAT = str(PHOTOS / "chelsea.png")
WITHIN_S = 60
JOB_SECONDS = 0.1


def at_file(simulator: Running, fault: str, wire: str = "core.today", **more: Any) -> None:
    simulator.state.script({"wire": wire, "on": "file", "fault": fault, **more})


def fetches_of(simulator: Running) -> int:
    return len([entry for entry in simulator.state.journal.entries() if "/_files/" in entry.path])


async def edited(folder: Path, settings: dict[str, str], **arguments: Any) -> dict[str, Any]:
    async with connected(folder, settings) as client:
        asked = {"image": CAT, "prompt": "Make it sepia", "wait_seconds": 50} | arguments
        return fields_of(await call(client, "edit_image", **asked))


async def test_D01_a_picture_that_breaks_off_is_fetched_again(tmp_path: Path, simulator: Running) -> None:
    at_file(simulator, "truncated", content_length="right")
    with anyio.fail_after(WITHIN_S):
        fields = await edited(tmp_path, simulator.settings)
    assert fields["status"] == "completed"
    assert DataFolder(tmp_path / "data").check_files() == 1
    assert charged_at(simulator) == 1


async def test_D01_a_picture_that_always_breaks_off_is_never_done_and_its_id_stays(
    tmp_path: Path, simulator: Running
) -> None:
    at_file(simulator, "truncated", content_length="right", times="always")
    with anyio.fail_after(WITHIN_S):
        async with at_simulator(tmp_path, simulator.base_url) as shop:
            job = await shop.until((await shop.generate()).job.id, *ENDED)
    assert job.failure is not None
    assert (job.status, job.failure.code, job.failure.billed) == (JobStatus.FAILED, "result_expired", "yes")
    assert (job.outputs, fetches_of(simulator) > 1, charged_at(simulator)) == ((), True, 1)
    assert job.sends[0].remote_id
    assert job.sends[0].pending_urls, "the address stays, for a person to try"
    assert DataFolder(tmp_path).half_written() == []


async def test_D01_a_picture_cut_short_under_a_length_of_its_own_is_fetched_once_more(
    tmp_path: Path, simulator: Running
) -> None:
    at_file(simulator, "truncated", content_length="wrong")
    with anyio.fail_after(WITHIN_S):
        fields = await edited(tmp_path, simulator.settings)
    assert fields["status"] == "completed"
    assert not [warning for warning in fields["warnings"] if "not kept" in warning]
    assert (fetches_of(simulator), charged_at(simulator)) == (2, 1)
    assert DataFolder(tmp_path / "data").check_files() == 1


async def test_D01_a_picture_that_always_comes_cut_short_is_invalid_after_two_fetches_and_its_address_stays(
    tmp_path: Path, simulator: Running
) -> None:
    at_file(simulator, "truncated", content_length="wrong", times="always")
    with anyio.fail_after(WITHIN_S):
        async with at_simulator(tmp_path, simulator.base_url) as shop:
            job = await shop.until((await shop.generate()).job.id, *ENDED)
    assert job.failure is not None
    assert (job.status, job.failure.code, job.failure.billed) == (JobStatus.FAILED, "result_invalid", "yes")
    assert (job.outputs, fetches_of(simulator), charged_at(simulator)) == ((), 2, 1)
    assert job.sends[0].pending_urls, "the address stays, for a person to try"
    assert DataFolder(tmp_path).half_written() == []


@pytest.mark.parametrize("fault", [{"fault": "truncated", "content_length": "wrong"}, {"fault": "wrong_type"}])
async def test_D02_bytes_that_are_no_whole_picture_are_refused_by_what_they_are(
    tmp_path: Path, simulator: Running, fault: dict[str, Any]
) -> None:
    at_file(simulator, **fault, times="always")
    with anyio.fail_after(WITHIN_S):
        fields = await edited(tmp_path, simulator.settings)
    assert (fields["status"], fields["error"]["code"], fields["error"]["billed"]) == ("failed", "result_invalid", "yes")
    data = DataFolder(tmp_path / "data")
    assert (data.check_files(), data.half_written(), charged_at(simulator)) == (0, [], 1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_D03_a_stream_without_end_is_left_at_the_limit_and_costs_no_memory(tmp_path: Path, simulator: Running) -> None:
    at_file(simulator, "oversize", times="always")
    with by_hand(tmp_path, simulator.settings) as server:
        before_kib = _peak_kib(server.process.pid)
        fields = server.call("edit_image", image=CAT, prompt="Make it sepia", wait_seconds=50)
        grown_kib = _peak_kib(server.process.pid) - before_kib
    assert (fields["status"], fields["error"]["code"]) == ("failed", "result_invalid")
    assert grown_kib < 64 * 1024
    assert DataFolder(tmp_path / "data").half_written() == []


def _peak_kib(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
    assert found is not None
    return int(found[1])


async def test_D04_a_dead_link_is_asked_for_once_more(tmp_path: Path, simulator: Running) -> None:
    at_file(simulator, "expired")
    with anyio.fail_after(WITHIN_S):
        fields = await edited(tmp_path, simulator.settings)
    assert (fields["status"], charged_at(simulator)) == ("completed", 1)


@pytest.mark.parametrize("fault", ["403", "404"])
async def test_D04_a_link_that_stays_dead_is_told_as_paid(tmp_path: Path, simulator: Running, fault: str) -> None:
    at_file(simulator, fault, times="always")
    with anyio.fail_after(WITHIN_S):
        fields = await edited(tmp_path, simulator.settings)
    assert (fields["status"], fields["error"]["code"], fields["error"]["billed"]) == ("failed", "result_expired", "yes")
    spent = DataFolder(tmp_path / "data").one("SELECT SUM(delta_nano) FROM ledger")
    assert (spent, charged_at(simulator)) == (120 * 10**9, 1)


@pytest.mark.parametrize("how", ["deleted", "altered"])
async def test_D08_a_result_that_was_changed_by_hand_is_never_served(
    tmp_path: Path, simulator: Running, how: str
) -> None:
    with anyio.fail_after(WITHIN_S):
        async with connected(tmp_path, simulator.settings) as client:
            (image,) = fields_of(await call(client, "edit_image", image=CAT, prompt="Make it sepia"))["images"]
            path = Path(image["path"])
            if how == "deleted":
                path.unlink()
            else:
                path.write_bytes(path.read_bytes()[:-1] + b"!")
            with pytest.raises(MCPError) as error:
                await client.read_resource(image["uri"])
            edit = fields_of(await call(client, "edit_image", image=image["ref"], prompt="Make it blue"))
    assert "so it is not served" in str(error.value)
    assert edit["error"]["code"] == "result_invalid"
    assert charged_at(simulator) == 1


async def test_D09_a_picture_of_ten_megabytes_within_the_reply_is_stored_and_not_repeated(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.frombytes("RGB", (1900, 1900), os.urandom(1900 * 1900 * 3)).save(out, "PNG", compress_level=0)
    data = out.getvalue()
    uri = "data:image/png;base64," + base64.b64encode(data).decode()
    assert len(data) > 10_000_000
    with anyio.fail_after(WITHIN_S):
        async with scripted() as host:
            host.say({"job_id": "j1", "status": "pending"}, {"job_id": "j1", "status": "completed", "result": uri})
            settings = {"CORE_TODAY_API_KEY": "cdt_x", "CORE_TODAY_BASE_URL": f"{host.base_url}/v1"}
            async with connected(tmp_path, settings) as client:
                result = await call(client, "edit_image", image=CAT, prompt="Make it sepia", wait_seconds=50)
    fields = fields_of(result)
    assert fields["status"] == "completed"
    assert Path(fields["images"][0]["path"]).read_bytes() == data
    said = text_of(result) + str(fields)
    assert len(said) < 5_000
    assert "base64" not in said


async def test_D10_of_four_pictures_three_are_kept_when_the_third_cannot_be_fetched(
    tmp_path: Path, simulator: Running
) -> None:
    for fault, times in (("none", 2), ("404", 1), ("none", 1), ("404", "always")):
        at_file(simulator, fault, "runflow", times=times)
    with anyio.fail_after(WITHIN_S):
        fields = await edited(tmp_path, simulator.settings_of("runflow"), num_images=4)
    assert fields["status"] == "completed"
    assert [image["ref"].rpartition("/")[2] for image in fields["images"]] == ["1", "2", "4"]
    assert any(warning.startswith("3 of 4 images were kept.") for warning in fields["warnings"])
    assert DataFolder(tmp_path / "data").one("SELECT COUNT(*) FROM outputs") == 3
    assert simulator.state.counter()["charged"]["runflow"] == 1
