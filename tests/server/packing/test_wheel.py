"""The wheel and the source distribution: what is in them, and that what is installed from them works."""

from __future__ import annotations

import re
import subprocess
import zipfile
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
import uv
from inline_snapshot import snapshot
from markdown_it import MarkdownIt
from mcp import StdioServerParameters, stdio_client
from mcp.client import Client

from kontext_server import __version__
from support.built import ROOT, fresh_environment, needed, wheel_of
from support.stdio_server import environment

pytestmark = pytest.mark.anyio

NAME = "kontext-tool-server"
MOST_PACKAGES = 40


def test_the_wheel_holds_both_packages_their_assets_and_nothing_else(wheel: Path) -> None:
    packages = {
        str(path.relative_to(tree))
        for tree in (ROOT / "server", ROOT / "tools")
        for path in tree.glob("kontext_*/**/*.py")
    }
    beside = _files(wheel).keys() - packages
    assert packages - _files(wheel).keys() == set()
    assert sorted(beside) == snapshot(
        [
            "kontext_server/assets/README.md",
            "kontext_server/assets/chelsea.png",
            "kontext_server/assets/studio.html",
            "kontext_server/py.typed",
            "kontext_tool_server-0.1.0.dist-info/METADATA",
            "kontext_tool_server-0.1.0.dist-info/RECORD",
            "kontext_tool_server-0.1.0.dist-info/WHEEL",
            "kontext_tool_server-0.1.0.dist-info/entry_points.txt",
            "kontext_tool_server-0.1.0.dist-info/licenses/LICENSE",
            "kontext_tools/py.typed",
        ]
    )


def test_the_source_distribution_holds_what_builds_tests_and_explains(sdist: Path) -> None:
    files = {path.relative_to(sdist).as_posix() for path in sdist.rglob("*") if path.is_file()}
    assert sorted({path.partition("/")[0] for path in files}) == snapshot(
        [
            ".gitignore",
            "ARCHITECTURE.md",
            "CHANGELOG.md",
            "CONTRIBUTING.md",
            "LICENSE",
            "PKG-INFO",
            "README.md",
            "claude_desktop_config.example.json",
            "constraints.txt",
            "docs",
            "pyproject.toml",
            "server",
            "tests",
            "tools",
        ]
    )
    left = re.compile(
        r"__pycache__|\.pyc$|node_modules|\.(?:pytest|ruff|hypothesis|import_linter)|\.venv|\.coverage|dist/"
    )
    assert [path for path in files if left.search(path)] == []
    assert {"server/kontext_server/py.typed", "server/studio/package-lock.json", "tests/conftest.py"} <= files


def test_neither_names_a_path_of_this_machine(wheel: Path, sdist: Path) -> None:
    here = [str(place).encode() for place in (ROOT, Path.home()) if len(place.parts) > 2]
    files = {**_files(wheel), **{str(path): path.read_bytes() for path in sdist.rglob("*") if path.is_file()}}
    assert [name for name, data in files.items() if any(place in data for place in here)] == []


def test_the_source_distribution_builds_the_same_wheel(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    assert _files(wheel_of(sdist, tmp_path / "again")) == _files(wheel)


def test_the_metadata_are_what_an_index_takes(wheel: Path) -> None:
    told = _metadata(wheel)
    one = {name: told[name] for name in ("Name", "Version", "License-Expression", "Description-Content-Type")}
    assert one == {
        "Name": NAME,
        "Version": __version__,
        "License-Expression": "MIT",
        "Description-Content-Type": "text/markdown",
    }
    entries = _files(wheel)[f"kontext_tool_server-{__version__}.dist-info/entry_points.txt"].decode()
    assert entries == snapshot(
        """\
[console_scripts]
kontext = kontext_server.__main__:main
kontext-tool-server = kontext_server.__main__:main
"""
    )


def test_the_description_leads_nowhere_on_an_index(wheel: Path) -> None:
    """A relative address is resolved against the index, where nothing of ours lies."""
    page = MarkdownIt("commonmark").enable("table").render(str(_metadata(wheel).get_payload()))
    targets = re.findall(r"(?:href|src|srcset)=\"([^\"]+)\"", page)
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []
    assert "<table>" in page
    assert "ARCHITECTURE.md: how it is built, on one page." in page


async def test_what_is_installed_starts_outside_the_sources_and_serves(wheel: Path, tmp_path: Path) -> None:
    kontext = await anyio.to_thread.run_sync(_installed, wheel, tmp_path / "env")
    settings = environment(tmp_path)
    told = await anyio.run_process([kontext, "--version"], cwd=tmp_path, env=settings)
    assert told.stdout.decode() == f"kontext {__version__}\n"
    server = StdioServerParameters(command=str(kontext), args=["serve"], env=settings, cwd=tmp_path)
    with anyio.fail_after(30):
        async with Client(stdio_client(server)) as client:
            tools = (await client.list_tools()).tools
            (page,) = (await client.read_resource("ui://kontext/studio.html")).contents
    assert len(tools) == 7
    assert "<script" in str(page)


def test_an_installation_is_of_forty_packages_at_most() -> None:
    """Of the base installation: the packages that ours needs, and theirs, on this platform."""
    found = needed(NAME)
    assert "pydantic-core" in found
    assert len(found) <= MOST_PACKAGES, sorted(found)


def _files(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _installed(wheel: Path, folder: Path) -> Path:
    """Install a wheel into an environment of its own; give its command."""
    python = fresh_environment(folder)
    install = [uv.find_uv_bin(), "pip", "install", "--quiet", "--offline", "--no-deps", "--no-cache"]
    subprocess.run([*install, "--python", python, wheel], check=True)
    return python.with_name("kontext")


def _metadata(wheel: Path) -> Message:
    return BytesParser().parsebytes(_files(wheel)[f"kontext_tool_server-{__version__}.dist-info/METADATA"])
