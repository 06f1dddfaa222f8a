"""A plan as a person writes it down: TOML or JSON, made into run_plan's arguments.

What this is: the file and where its relative paths begin. What it is not: a judgement of the steps (`surface.reading`,
`kontext_tools.plans`), which a model's plans share. Above: plan. Below:
pictures, surface.parameters.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from kontext_server.cli.pictures import as_named
from kontext_server.surface.parameters import IMAGE
from kontext_tools.errors import InvalidArgument

_STDIN = Path("-")
_IMAGE_NAMES = (IMAGE.name, *IMAGE.aliases)


def read(file: Path) -> dict[str, Any]:
    """Give run_plan's arguments as a file has them: a table with `steps`, or a list of steps.

    Args:
        file: TOML where its name ends so, else JSON; `-` is stdin.

    Raises:
        InvalidArgument: it cannot be read, or it is neither; the fix names the line.
    """
    text = _text(file)
    told: object = _toml(text) if file.suffix.lower() == ".toml" else _json(text)
    plan = cast("dict[str, Any]", {"steps": told} if isinstance(told, list) else told)
    if not isinstance(told, dict | list):
        raise _refused("holds no plan", "Write a table with steps, or a list of them; `kontext plan --help` shows one.")
    steps = plan.get("steps")
    if isinstance(steps, list):
        folder = Path.cwd() if file == _STDIN else file.absolute().parent
        plan["steps"] = [_placed(step, folder) for step in cast("list[Any]", steps)]
    return plan


def _text(file: Path) -> str:
    try:
        return sys.stdin.read() if file == _STDIN else file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise _refused(f"cannot be read ({error.strerror})", "Name a file that is there, TOML or JSON.") from None
    except UnicodeDecodeError:
        raise _refused("is no text in UTF-8", "Save it as UTF-8.") from None


def _toml(text: str) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # The parser's message tells what is wrong and where, and nothing of what stands there but a key's name.
        raise _refused("is no TOML", f"Mend it: {error}.") from None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        fix = f"Mend line {error.lineno}, column {error.colno}: {error.msg}; or let its name end in .toml."
        raise _refused("is no JSON", fix) from None
    except RecursionError:
        raise _refused("is nested too deep", "Write a list of steps, each a flat table.") from None


def _placed(step: Any, folder: Path) -> Any:
    """Give a step whose picture, where it is a file, is named in full; another step's output stays as it is."""
    if not isinstance(step, Mapping):
        return step
    told = dict(cast("Mapping[str, Any]", step))
    for name in _IMAGE_NAMES:
        image = told.get(name)
        if isinstance(image, str) and not image.strip().startswith("$"):
            told[name] = as_named(image, folder)
    return told


def _refused(why: str, fix: str) -> InvalidArgument:
    return InvalidArgument(f"The plan's file {why}; nothing was sent.", fix=fix, field="file")
