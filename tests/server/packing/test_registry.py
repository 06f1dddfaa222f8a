"""The entry for the MCP registry: fresh, valid, and named as the README names it."""

from __future__ import annotations

import re
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from inline_snapshot import snapshot
from jsonschema import Draft7Validator, FormatChecker

from kontext_server import __version__
from kontext_server.settings import Settings
from kontext_tools.choosing import KEY_VARIABLES
from packing import registry
from support.built import ROOT

_TEXT: dict[str, Any] = {"type": "string"}
_FLAG: dict[str, Any] = {"type": "boolean"}
_URI: dict[str, Any] = {"type": "string", "format": "uri"}


def _object(required: str, **properties: Any) -> dict[str, Any]:
    # The registry's schema leaves other properties open: here a misspelt one is refused.
    return {
        "type": "object",
        "required": required.split(),
        "properties": properties,
        "additionalProperties": False,
    }


_INPUT: dict[str, Any] = {
    "description": _TEXT,
    "isRequired": _FLAG,
    "isSecret": _FLAG,
    "format": {"enum": ["string", "number", "boolean", "filepath"]},
    "choices": {"type": "array", "items": _TEXT},
    "value": _TEXT,
    "default": _TEXT,
    "placeholder": _TEXT,
}
_PACKAGE = _object(
    "registryType identifier transport",
    registryType=_TEXT,
    identifier=_TEXT,
    version={"type": "string", "minLength": 1, "not": {"const": "latest"}},
    runtimeHint=_TEXT,
    transport=_object("type", type={"const": "stdio"}),
    packageArguments={"type": "array", "items": _object("type value", type={"const": "positional"}, **_INPUT)},
    environmentVariables={"type": "array", "items": _object("name", name=_TEXT, **_INPUT)},
)
RULES = _object(
    "$schema name description version packages",
    **{"$schema": _URI},
    name={"type": "string", "minLength": 3, "maxLength": 200, "pattern": r"^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$"},
    title={"type": "string", "minLength": 1, "maxLength": 100},
    description={"type": "string", "minLength": 1, "maxLength": 100},
    version={"type": "string", "maxLength": 255},
    packages={"type": "array", "items": _PACKAGE},
)
"""The rules of the registry's schema of 2025-12-11 for all that our entry says (its `ServerDetail`, `Package`,
`PositionalArgument` and `KeyValueInput`, read on 2026-11-21), put as a schema of our own: stricter where it is open."""


def test_the_entry_is_fresh() -> None:
    """If this fails: python server/packing/registry.py."""
    assert registry.FILE.read_text(encoding="utf-8") == registry.text()


def test_the_entry_keeps_the_registrys_rules() -> None:
    Draft7Validator.check_schema(RULES)
    assert _wrong(registry.entry()) == []


@pytest.mark.parametrize(
    ("at", "value"),
    [("description", "x" * 101), ("name", "kontext"), ("version", 1), ("titel", "Kontext"), ("packages", ["pypi"])],
)
def test_an_entry_that_breaks_a_rule_is_found(at: str, value: Any) -> None:
    assert _wrong({**registry.entry(), at: value}) != []


def test_it_says_of_the_package_what_the_package_says() -> None:
    entry = registry.entry()
    (package,) = entry["packages"]
    variables = package.pop("environmentVariables")
    assert (entry["version"], package) == (
        __version__,
        {
            "registryType": "pypi",
            "identifier": "kontext-tool-server",
            "version": __version__,
            "runtimeHint": "uvx",
            "transport": {"type": "stdio"},
            "packageArguments": [{"type": "positional", "value": "serve"}],
        },
    )
    assert [variable["name"].lower() for variable in variables] == list(Settings.model_fields)


def test_every_key_is_flagged_as_secret_and_nothing_is_needed_to_start() -> None:
    variables = registry.entry()["packages"][0]["environmentVariables"]
    secret = {variable["name"] for variable in variables if variable.get("isSecret")}
    others = {"KONTEXT_DATABASE_URL", "KONTEXT_PROXY", "KONTEXT_SECRET_KEY", "RUNFLOW_CALLBACK_SECRET"}
    assert secret == {*KEY_VARIABLES.values(), *others}
    assert not [variable for variable in variables if variable["isRequired"] or "default" in variable]
    kinds = {variable["name"]: (variable.get("format"), variable.get("choices")) for variable in variables}
    assert {name: kind for name, kind in kinds.items() if kind != (None, None)} == snapshot(
        {
            "RUNFLOW_SURFACE": (None, ["auto", "runs", "run"]),
            "EACHLABS_TEXT_TO_IMAGE": ("boolean", None),
            "CORE_TODAY_IS_PUBLIC": ("boolean", None),
            "KONTEXT_MODEL": (None, ["kontext-pro", "kontext-max", "kontext-dev"]),
            "KONTEXT_DATA_DIR": ("filepath", None),
            "KONTEXT_OUTPUT_DIR": ("filepath", None),
            "KONTEXT_KEEP_METADATA": ("boolean", None),
            "KONTEXT_PREVIEW": (None, ["none", "small", "medium", "large"]),
            "KONTEXT_WAIT_SECONDS": ("number", None),
            "KONTEXT_RESOURCE_LINKS": ("boolean", None),
            "KONTEXT_TOKENS_FILE": ("filepath", None),
            "KONTEXT_SHARE_KEYS": ("boolean", None),
            "KONTEXT_LOG_LEVEL": (None, ["debug", "info", "warning", "error"]),
        }
    )


def test_the_readme_bears_the_name_by_which_the_registry_proves_the_package_ours(wheel: Path) -> None:
    """It reads the package's description, so the line must come through the build."""
    marker = r"<!-- mcp-name: (\S+) -->"
    with ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        built: Message = BytesParser().parsebytes(archive.read(name))
    for text in ((ROOT / "README.md").read_text(encoding="utf-8"), str(built.get_payload())):
        assert re.findall(marker, text) == [registry.NAME]


def _wrong(entry: Any) -> list[str]:
    validator = Draft7Validator(RULES, format_checker=FormatChecker())
    checked: Any = validator  # its types name what is nowhere typed
    return [error.message for error in checked.iter_errors(entry)]
