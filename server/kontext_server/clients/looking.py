"""What the clients' files say of us now: read only, and never an error.

What this is: for a doctor, every client whose file is there, our entries in it, and whether each starts something; and
one entry by its name, for who is about to change it. What it is not: goose's file, which is YAML: nothing here reads
that. Above: work, cli. Below: table, files, edits.
"""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from kontext_server.clients import edits, files
from kontext_server.clients.entry import is_ours
from kontext_server.clients.json_text import NotPlainJson
from kontext_server.clients.places import Surroundings
from kontext_server.clients.refused import Refused
from kontext_server.clients.table import CLIENTS, Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of ours: its name, the command, and whether that starts something."""

    name: str
    command: str
    state: Literal["ok", "missing", "not_executable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One client whose file is there: our entries in it, or why it cannot be read."""

    client: str
    title: str
    path: Path
    problem: str | None = None
    entries: tuple[Entry, ...] = ()


def look(at: Surroundings) -> list[Look]:
    """Give every client whose file is there, in the table's order; goose is left out."""
    seen: list[Look] = []
    for client in CLIENTS.values():
        if client.form == "yaml":
            continue
        path = client.file(at)
        try:
            kept = files.read(path)
            if kept.data is None:
                continue
            found = _entries(client, kept, at)
        except Refused as refused:
            seen.append(Look(client=client.id, title=client.title, path=path, problem=str(refused)))
        else:
            seen.append(Look(client=client.id, title=client.title, path=path, entries=found))
    return seen


def servers(client: Client, kept: files.Kept) -> dict[str, Any]:
    """Give all servers of a client's file by name.

    Raises:
        Refused: it cannot be parsed; the line is told.
    """
    text = kept.text()
    try:
        if client.told == "file":
            return edits.entries(text, client.holder)
        if client.form == "toml":
            return _member(tomllib.loads(text), client.holder)
        if client.form == "json" and text:
            # A megabyte of history may stand in it; we change nothing there, so where it stands is no matter.
            return _member(json.loads(text), client.holder)
    except NotPlainJson as wrong:
        raise cannot_be_parsed(kept.path, str(wrong)) from None
    except (ValueError, RecursionError) as wrong:
        # Also a number of more digits than Python reads.
        known = isinstance(wrong, (tomllib.TOMLDecodeError, json.JSONDecodeError))
        told = str(wrong) if known else "a value that cannot be read"
        raise cannot_be_parsed(kept.path, told) from None
    return {}


def _member(data: Any, holder: str) -> dict[str, Any]:
    found = cast("dict[str, Any]", data).get(holder) if isinstance(data, dict) else None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def cannot_be_parsed(path: Path, why: str) -> Refused:
    """Give the refusal of a file that is not what its name says."""
    return Refused(f"{path} cannot be parsed ({why}).", fix=files.BY_HAND)


def _entries(client: Client, kept: files.Kept, at: Surroundings) -> tuple[Entry, ...]:
    ours = ((name, cast("Mapping[str, Any]", one)) for name, one in servers(client, kept).items() if is_ours(one))
    return tuple(Entry(name=name, command=one["command"], state=_state(one["command"], at)) for name, one in ours)


def _state(command: str, at: Surroundings) -> Literal["ok", "missing", "not_executable"]:
    try:
        if shutil.which(command, path=at.variables.get("PATH")) is not None:
            return "ok"
        return "not_executable" if Path(command).exists() else "missing"
    except (OSError, ValueError):  # a name that no system takes, such as one with a zero byte
        return "missing"
