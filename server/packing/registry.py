"""The entry for the MCP registry: `python server/packing/registry.py` writes `server.json` beside itself.

What this is: its shape of 2025-12-11, made of what the project says elsewhere. What it is not: published by this, or
publishable yet: the owner in the name is a placeholder, and must be the account that signs in at the registry; the
README bears the same name, by which the registry proves that the package is ours. Where packages are fetched from is
left out, for the type says it. Above: nobody. Below: project.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr

from kontext_server import __version__
from kontext_server.settings import Settings
from packing import project

SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
OWNER = "OWNER"
"""Not known yet: whose account the repository is under."""
NAME = f"io.github.{OWNER}/kontext-tool-server"
FILE = Path(__file__).with_name("server.json")

_DESCRIPTION = "Multi-step image edits by words with FLUX.1 Kontext, recorded on disk and held to your budget."
"""The registry takes at most 100 characters."""
_FORMATS: dict[Any, str] = {bool: "boolean", int: "number", Path: "filepath"}


def entry() -> dict[str, Any]:
    """Give the entry."""
    return {
        "$schema": SCHEMA,
        "name": NAME,
        "title": "Kontext: edit pictures by words",
        "description": _DESCRIPTION,
        "version": __version__,
        "packages": [
            {
                "registryType": "pypi",
                "identifier": project.declared()["name"],
                "version": __version__,
                "runtimeHint": "uvx",
                "transport": {"type": "stdio"},
                "packageArguments": [{"type": "positional", "value": "serve"}],
                "environmentVariables": [_variable(name) for name in Settings.model_fields],
            }
        ],
    }


def text() -> str:
    """Give the file's text."""
    return json.dumps(entry(), indent=2, ensure_ascii=False) + "\n"


def _variable(name: str) -> dict[str, Any]:
    """Give a setting. No default: a client would set it, and a set address shuts out a vendor's other hosts."""
    field = Settings.model_fields[name]
    kinds = set(get_args(field.annotation)) or {field.annotation}
    told: dict[str, Any] = {"name": name.upper(), "description": field.description, "isRequired": False}
    if SecretStr in kinds or name == "kontext_proxy":  # a proxy's address may hold a password
        told["isSecret"] = True
    if get_origin(field.annotation) is Literal:
        told["choices"] = list(get_args(field.annotation))
    for kind in kinds & _FORMATS.keys():
        told["format"] = _FORMATS[kind]
    return told


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
