"""`kontext migrate`, run for real: a data folder's jobs to PostgreSQL and its pictures to S3, and on from there."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from subprocess import DEVNULL, CompletedProcess
from typing import Any

import anyio
import mcp_types as types
import pytest

from support.bucket import Held
from support.forked import KONTEXT, run
from support.postgres import PASSWORD, Server
from support.stdio_server import PHOTOS, call, connected, environment, fields_of

pytestmark = pytest.mark.anyio

CAT = str(PHOTOS / "chelsea.png")


def kontext(folder: Path, settings: dict[str, str], *arguments: str) -> CompletedProcess[Any]:
    env = environment(folder, {"KONTEXT_PROVIDER": "sandbox", **settings})
    return run([*KONTEXT, *arguments], env=env, stdin=DEVNULL, text=True, timeout=60)


async def test_what_was_moved_is_found_seen_and_edited_on_and_the_folder_serves_nobody_any_more(
    tmp_path: Path, held: Held, postgres: Server
) -> None:
    first = json.loads(kontext(tmp_path, {}, "edit", CAT, "Make it sepia", "--json").stdout)
    picture = Path(first["images"][0]["path"]).read_bytes()
    there = {**held.settings, "KONTEXT_DATABASE_URL": postgres.url(postgres.new_schema())}

    moved = kontext(tmp_path, there, "migrate", "--yes", "--json")
    again = kontext(tmp_path, there, "migrate", "--yes")
    left = kontext(tmp_path, {}, "images")
    assert (moved.returncode, json.loads(moved.stdout)) == (0, {"jobs": 1, "images": 1, "files": 3})
    assert (again.returncode, again.stdout) == (0, "Moved: 1 job, 1 picture, 3 files.\n")
    assert "The jobs were moved by an earlier run." in again.stderr
    assert (left.returncode, "were moved to PostgreSQL" in left.stderr) == (1, True)
    assert PASSWORD not in moved.stdout + moved.stderr + again.stdout + again.stderr

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    ref = first["images"][0]["ref"]
    with anyio.fail_after(60):
        async with connected(elsewhere, there) as client:
            found = fields_of(await call(client, "find_images", query="sepia"))
            (content,) = (await client.read_resource(found["images"][0]["uri"])).contents
            on = fields_of(await call(client, "edit_image", image=ref, prompt="Make it darker", wait_seconds=40))
    assert isinstance(content, types.BlobResourceContents)
    assert base64.b64decode(content.blob) == picture
    assert (on["status"], on["parent"], on["depth"]) == ("completed", ref, 2)


def test_it_says_what_to_set_and_moves_nothing_unasked(tmp_path: Path, held: Held) -> None:
    nowhere = kontext(tmp_path, {}, "migrate", "--yes")
    half = kontext(tmp_path, held.settings, "migrate", "--issuer", "https://issuer.example", "--yes")
    unasked = kontext(tmp_path, held.settings, "migrate")
    assert (nowhere.returncode, nowhere.stdout) == (3, "")
    assert "KONTEXT_DATABASE_URL and KONTEXT_BLOB_URL: one of them must say where to move to" in nowhere.stderr
    assert (half.returncode, "--issuer and --subject go together." in half.stderr) == (2, True)
    assert (unasked.returncode, "add --yes" in unasked.stderr) == (2, True)
