"""Pictures in S3: a real server whose data folder holds none, and a storage that goes away and comes back."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.client import Client

from kontext_tools.formats import sniff
from support import http_server
from support.bucket import Held, door
from support.looking_in import DataFolder
from support.stdio_server import PHOTOS, call, connected, environment, fields_of, text_of

pytestmark = pytest.mark.anyio

CAT = str(PHOTOS / "chelsea.png")


async def _read(client: Client, uri: str) -> bytes:
    (content,) = (await client.read_resource(uri)).contents
    if isinstance(content, types.BlobResourceContents):
        return base64.b64decode(content.blob)
    return content.text.encode()


def _kontext(folder: Path, held: Held, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kontext_server", *arguments]
    env = environment(folder, held.settings)
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)


def _folders(folder: Path) -> set[str]:
    return {path.name for path in (folder / "data").iterdir() if path.is_dir()}


async def test_an_edit_is_kept_in_the_bucket_read_back_and_gone_when_it_is_deleted(tmp_path: Path, held: Held) -> None:
    copies = tmp_path / "copies"
    settings = {**held.settings, "KONTEXT_OUTPUT_DIR": str(copies)}
    with anyio.fail_after(90):
        async with connected(tmp_path, settings) as client:
            first = await call(client, "edit_image", image=CAT, prompt="Make it warmer", wait_seconds=50)
            one = fields_of(first)
            ref = one["images"][0]["ref"]
            second = fields_of(await call(client, "edit_image", image=ref, prompt="Make it darker", wait_seconds=50))
            uri = second["images"][0]["uri"]
            picture, thumb = await _read(client, uri), await _read(client, f"{uri}/thumb")
            source = await _read(client, f"{one['images'][0]['uri'][:-1]}0")
            lineage: dict[str, Any] = json.loads(await _read(client, f"{uri}/lineage"))
    assert (one["status"], second["status"], second["parent"]) == ("completed", "completed", ref)
    assert "path" not in one["images"][0] and "change" in second
    assert str(tmp_path) not in text_of(first)
    assert (sniff(picture), sniff(thumb), sniff(source)) == ("image/png", "image/webp", "image/png")
    assert len(picture) == second["images"][0]["bytes"]
    assert ref in json.dumps(lineage)
    assert {key.split("/")[0] for key in held.objects()} == {"images", "sources", "thumbs"}
    assert _folders(tmp_path) == {".tmp", "sandbox"}
    assert list((tmp_path / "data" / ".tmp").iterdir()) == []
    assert (copies / f"{second['job_id']}-1.png").read_bytes() == picture

    jobs = (one["job_id"], second["job_id"])
    deleted = await anyio.to_thread.run_sync(lambda: _kontext(tmp_path, held, "delete", *jobs, "--yes"))
    assert (deleted.returncode, held.objects()) == (0, set())


async def test_over_http_we_are_ready_only_while_the_storage_answers(tmp_path: Path, held: Held) -> None:
    with (
        anyio.fail_after(90),
        door(held.base_url) as before,
        http_server.served(tmp_path, held.settings_at(before.url)) as server,
    ):
        async with http_server.client_of(server) as http, http_server.connected(server) as client:
            made = fields_of(await call(client, "generate_image", prompt="A red car", wait_seconds=50))
            picture = await http.get(made["images"][0]["url"])
            ready = await http.get("/readyz")
            before.shut = True
            away = [await http.get(path) for path in ("/healthz", "/readyz")]
            no_picture = await http.get(made["images"][0]["url"])
    assert (picture.status_code, sniff(picture.content)) == (200, "image/png")
    assert (ready.status_code, ready.text) == (200, "ok")
    assert [(answer.status_code, answer.text) for answer in away] == [(200, "ok"), (503, "not ok")]
    assert no_picture.status_code == 503


async def test_a_storage_that_is_away_holds_a_paid_picture_up_and_loses_nothing(tmp_path: Path, held: Held) -> None:
    with anyio.fail_after(90), door(held.base_url) as before:
        before.shut = True
        async with connected(tmp_path, held.settings_at(before.url)) as client:
            made = fields_of(await call(client, "generate_image", prompt="A red car", wait_seconds=0))
            seen = made
            while "error" not in seen:
                seen = fields_of(await call(client, "get_status", job_id=made["job_id"], wait_seconds=5))
            assert (seen["status"], seen["error"]["code"], seen["error"]["retryable"]) == (
                "processing",
                "storage_busy",
                True,
            )
            refused = fields_of(await call(client, "edit_image", image=CAT, prompt="Make it warmer"))
            assert (refused["error"]["code"], refused["error"]["billed"]) == ("storage_busy", "no")
            assert held.objects() == set()
            before.shut = False
            seen = fields_of(await call(client, "get_status", job_id=made["job_id"], wait_seconds=50))
            assert (seen["status"], len(seen["images"])) == ("completed", 1)
    assert held.objects() == {f"images/{made['job_id']}-1.{end}" for end in ("png", "json")}
    assert DataFolder(tmp_path / "data").statuses() == {"completed": 1}
