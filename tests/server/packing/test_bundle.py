"""The bundle for Claude Desktop: what its own tool says of it, and that it starts as its manifest says."""

from __future__ import annotations

import io
import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import anyio
import pytest
import uv
from inline_snapshot import snapshot
from mcp import StdioServerParameters, stdio_client
from mcp.client import Client
from PIL import Image

from kontext_server import __version__
from kontext_server.settings import Settings
from kontext_tools.choosing import KEY_VARIABLES
from packing import bundle
from support.built import ROOT, fresh_environment
from support.stdio_server import environment

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle.made(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def manifest(made: Path) -> dict[str, Any]:
    return json.loads(_files(made)["manifest.json"])


def test_the_same_sources_give_the_same_bytes(made: Path, tmp_path: Path) -> None:
    assert bundle.made(tmp_path).read_bytes() == made.read_bytes()


def test_it_holds_both_packages_and_what_starts_them(made: Path) -> None:
    sources = {
        str(path.relative_to(package.parent)): path.read_bytes()
        for package in (ROOT / "server" / "kontext_server", ROOT / "tools" / "kontext_tools")
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    files = _files(made)
    assert {name: files.get(name) for name in sources} == sources
    beside = ["LICENSE", "icon.png", "main.py", "manifest.json", "pyproject.toml"]
    assert sorted(files.keys() - sources.keys()) == beside
    assert [place for place in (str(ROOT), str(Path.home())) if place != "/" and place in str(files)] == []


def test_the_icon_is_of_the_size_that_is_shown(made: Path) -> None:
    with Image.open(io.BytesIO(_files(made)["icon.png"])) as icon:
        assert (icon.format, icon.size, icon.mode) == ("PNG", (512, 512), "RGBA")


def test_every_field_is_a_setting_none_is_required_and_every_key_is_secret(manifest: dict[str, Any]) -> None:
    fields = manifest["user_config"]
    assert [name for name in fields if name not in Settings.model_fields] == []
    assert [name for name, field in fields.items() if field["required"]] == []
    secret = {name.upper() for name, field in fields.items() if field.get("sensitive")}
    assert secret == set(KEY_VARIABLES.values())
    environment_of_it = manifest["server"]["mcp_config"]["env"]
    assert environment_of_it == {name.upper(): f"${{user_config.{name}}}" for name in fields}


def test_its_manifest_tells_version_and_tools_as_they_are(manifest: dict[str, Any]) -> None:
    told = {name: manifest[name] for name in ("manifest_version", "version", "compatibility", "tools")}
    assert told == snapshot(
        {
            "manifest_version": "0.4",
            "version": "0.1.0",
            "compatibility": {"platforms": ["darwin", "win32", "linux"], "runtimes": {"python": ">=3.11"}},
            "tools": [
                {"name": "edit_image", "description": "Change one picture by words with FLUX.1 Kontext."},
                {"name": "generate_image", "description": "Make a picture from words alone."},
                {"name": "get_status", "description": "Tell how a job stands, with its images once done."},
                {"name": "cancel_job", "description": "Stop a job."},
                {"name": "find_images", "description": "Find earlier images, newest first, such as yesterday's car."},
                {
                    "name": "view_images",
                    "description": "Show one to four earlier images, a picture each, to compare or choose.",
                },
                {"name": "run_plan", "description": "Up to 20 edits in one call: batches, fan-outs, known recipes."},
            ],
        }
    )
    assert manifest["version"] == __version__


@pytest.mark.node
def test_the_bundles_own_tool_finds_it_valid(made: Path, mcpb: list[str], tmp_path: Path) -> None:
    unpacked = tmp_path / "unpacked"
    subprocess.run([*mcpb, "unpack", made, unpacked], check=True, capture_output=True)
    checked = subprocess.run(
        [*mcpb, "validate", unpacked / "manifest.json"], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout.splitlines()[0]) == (0, "Manifest schema validation passes!")


async def test_it_starts_as_its_manifest_says_with_every_field_left_empty(
    made: Path, manifest: dict[str, Any], tmp_path: Path
) -> None:
    """Claude Desktop hands an empty field's placeholder on as it stands. What `uv` would install is already there."""
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(made) as archive:
        archive.extractall(folder)
    await anyio.to_thread.run_sync(fresh_environment, folder / ".venv")
    started = manifest["server"]["mcp_config"]
    assert started["command"] == "uv"
    person = {"XDG_DATA_HOME": str(tmp_path / "data"), "UV_NO_SYNC": "1", "UV_OFFLINE": "1"}
    server = StdioServerParameters(
        command=uv.find_uv_bin(),
        args=[argument.replace("${__dirname}", str(folder)) for argument in started["args"]],
        env=environment(tmp_path) | person | started["env"],
        cwd=tmp_path,
    )
    with anyio.fail_after(30):
        async with Client(stdio_client(server)) as client:
            info, tools = client.server_info, (await client.list_tools()).tools
    assert info is not None and info.version == __version__
    assert [tool.name for tool in tools] == [tool["name"] for tool in manifest["tools"]]
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["kontext"]


def _files(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
