"""The README's parts that are made from code: `python tests/support/readme.py` writes them, a test compares."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic_core import PydanticUndefined

from kontext_server.app import build
from kontext_server.settings import Settings, load
from kontext_server.surface import provider_sheet
from kontext_tools.choosing import KEY_VARIABLES

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
EXAMPLE = ROOT / "claude_desktop_config.example.json"

_TOLD_DEFAULTS = {
    "KONTEXT_DATA_DIR": "the platform's data folder",
    "KONTEXT_IMAGE_ROOTS": "Desktop, Documents, Downloads, Pictures",
    "KONTEXT_PROVIDER": "auto",
    "CORE_TODAY_PRICE": "the list price",
}


def parts() -> dict[str, str]:
    """Give each generated part by its marker's name."""
    return {
        "settings": settings_table(),
        "providers": providers_table(),
        "claude": f"```json\n{EXAMPLE.read_text(encoding='utf-8').strip()}\n```",
    }


def providers_table() -> str:
    """Give every provider's row, as if each had its key."""
    keys = {variable.lower(): "x" * 20 for variable in KEY_VARIABLES.values()}
    return provider_sheet.markdown(build(load(kontext_data_dir=ROOT / "nowhere", **keys)).offers.values())


def settings_table() -> str:
    """Give the settings as a table: variable, default, what."""
    lines = ["| variable | default | what |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        variable = name.upper()
        default = _TOLD_DEFAULTS.get(variable) or _told(field.default)
        lines.append(f"| `{variable}` | {default} | {field.description}{_words(field.annotation)} |")
    return "\n".join(lines)


def _told(default: object) -> str:
    if default in (None, (), "") or default is PydanticUndefined:
        return ""
    return str(default).lower() if isinstance(default, bool) else str(default)


def _words(annotation: object) -> str:
    """Give the words that a setting of a few words takes, for a table of sizes in pixels does not tell them."""
    return f": {', '.join(get_args(annotation))}" if get_origin(annotation) is Literal else ""


def refreshed(text: str) -> str:
    """Give the README with every generated part as the code has it."""
    for name, part in parts().items():
        pattern = rf"(<!-- generated: {name} -->\n).*?(\n<!-- end -->)"
        text, found = re.subn(pattern, lambda match: f"{match[1]}{part}{match[2]}", text, flags=re.DOTALL)  # noqa: B023
        assert found == 1, name
    return text


if __name__ == "__main__":
    README.write_text(refreshed(README.read_text(encoding="utf-8")), encoding="utf-8")
