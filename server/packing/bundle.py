"""The bundle for Claude Desktop (`.mcpb`): `python server/packing/bundle.py FOLDER` makes it.

What this is: a zip of both packages, a manifest (version 0.4) and the list of what they need; the client's own `uv`
installs that, so that no compiled library is bundled and one file serves every platform. The same sources give the
same bytes. What it is not: signed, or a way of starting of its own: the client starts `main.py`, which is `kontext` on
a pipe. Above: nobody. Below: project, icon.

The dependencies come in the versions that the tests ran with. A field that the person leaves empty reaches the server
as the text `${user_config.…}` (Claude Desktop; mcpb issue 250): `kontext_server.settings` takes that for unset.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kontext_server import __version__
from kontext_server.settings import Settings
from kontext_tools.choosing import KEY_VARIABLES
from packing import icon, project

ENTRY = "main.py"
PACKAGES = ("server/kontext_server", "tools/kontext_tools")
_MAIN = '''"""Serves MCP over stdio: `kontext` on a pipe."""

from kontext_server.__main__ import main

main()
'''
_LONG_DESCRIPTION = (
    "Say what to change in a picture, and FLUX.1 Kontext changes it at a provider of your choice; each result is the "
    "next edit's input. Set the key of one provider, or none: then the sandbox edits real pixels by simple means, "
    "asks no model and costs nothing. No request that costs money is sent twice by itself."
)
_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip can tell: when a file was changed is nobody's to know."""


def made(folder: Path) -> Path:
    """Write the bundle into a folder that is there; give its path."""
    path = folder / f"kontext-{__version__}.mcpb"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in sorted(contents().items()):
            entry = zipfile.ZipInfo(name, _EARLIEST)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return path


def contents() -> dict[str, bytes]:
    """Give the bundle's files by their names in it."""
    files = {
        "manifest.json": json.dumps(manifest(), indent=2, ensure_ascii=False).encode() + b"\n",
        "pyproject.toml": _pyproject().encode(),
        ENTRY: _MAIN.encode(),
        "icon.png": icon.png(),
        "LICENSE": (project.ROOT / "LICENSE").read_bytes(),
    }
    for package in map(project.ROOT.joinpath, PACKAGES):
        for path in package.rglob("*"):
            name = path.relative_to(package.parent)
            if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in name.parts):
                files[name.as_posix()] = path.read_bytes()
    return files


def manifest() -> dict[str, Any]:
    """Give the manifest."""
    declared, fields = project.declared(), _fields()
    return {
        "manifest_version": "0.4",
        "name": declared["name"],
        "display_name": "Kontext: edit pictures by words",
        "version": __version__,
        "description": declared["description"],
        "long_description": _LONG_DESCRIPTION,
        "author": {"name": "The kontext-tool-server authors"},
        "icon": "icon.png",
        "server": {
            "type": "uv",
            "entry_point": ENTRY,
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--directory", "${__dirname}", ENTRY],
                "env": {name.upper(): f"${{user_config.{name}}}" for name in fields},
            },
        },
        "tools": [{"name": name, "description": description} for name, description in project.tools()],
        "tools_generated": False,
        "prompts_generated": True,
        "keywords": declared["keywords"],
        "license": declared["license"],
        "compatibility": {
            "platforms": ["darwin", "win32", "linux"],
            "runtimes": {"python": declared["requires-python"]},
        },
        "user_config": fields,
    }


def _fields() -> Mapping[str, Mapping[str, Any]]:
    """Give what the person is asked for, by the setting's name: nothing of it is needed to start."""
    keys = {
        variable.lower(): {
            "type": "string",
            "title": f"{provider}: key",
            "description": f"{_said(variable)}. Kept by your system's keychain; leave it empty if you have none.",
            "sensitive": True,
            "required": False,
        }
        for provider, variable in KEY_VARIABLES.items()
    }
    return keys | {
        "kontext_daily_budget": {
            "type": "string",
            "title": "Daily budget",
            "description": "The most that may be spent in a day (UTC), such as: 5 usd, 3000 credit. Empty: no cap.",
            "required": False,
        },
        "kontext_data_dir": {
            "type": "directory",
            "title": "Data folder",
            "description": "Where jobs and pictures are kept. Empty: your system's folder for such data.",
            "required": False,
        },
    }


def _said(variable: str) -> str:
    """Give a setting's description, without what is said of all of its kind."""
    return str(Settings.model_fields[variable.lower()].description).partition(";")[0]


def _pyproject() -> str:
    """Give what the client's `uv` reads: what is needed, and that there is nothing to build."""
    declared = project.declared()
    return f"""[project]
name = "{declared["name"]}-bundle"
version = "{__version__}"
requires-python = "{declared["requires-python"]}"
dependencies = {_list(declared["dependencies"])}

[tool.uv]
package = false
constraint-dependencies = {_list(project.pinned())}
"""


def _list(texts: list[str]) -> str:
    return "[\n" + "".join(f"    {json.dumps(text)},\n" for text in texts) + "]"


if __name__ == "__main__":
    print(made(Path(sys.argv[1])))
