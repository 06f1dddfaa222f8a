"""The clients' lines: files as clients keep them, in a person's own home."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kontext_server.clients.places import Surroundings
from kontext_server.doctor import clients
from kontext_server.doctor.case import Case

pytestmark = pytest.mark.anyio


async def told(home: Path) -> list[tuple[str, str, str]]:
    case = Case(settings=None, at=Surroundings(system="linux", home=home, variables={}))
    return [(line.status.value, line.cause, line.fix) for line in await clients.look(case)]


def written(home: Path, command: str, name: str = "kontext") -> Path:
    file = home / ".cursor" / "mcp.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"mcpServers": {name: {"command": command, "args": ["serve"]}}}), encoding="utf-8")
    return file


async def test_no_client_is_well_and_says_how_to_tell_one(tmp_path: Path) -> None:
    assert await told(tmp_path) == [("ok", "no client is told of this server yet: kontext install CLIENT", "")]


async def test_an_entry_that_starts_something_is_well(tmp_path: Path) -> None:
    program = tmp_path / "kontext"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o700)
    written(tmp_path, str(program))
    assert await told(tmp_path) == [("ok", f"Cursor starts {program}", "")]


async def test_one_that_leads_nowhere_is_told_with_the_command_that_mends_it(tmp_path: Path) -> None:
    file = written(tmp_path, "/gone/kontext", name="pictures")
    cause = f"Cursor: the command of 'pictures' in {file} leads nowhere (/gone/kontext)"
    assert await told(tmp_path) == [("warn", cause, "kontext install cursor --name pictures")]


async def test_one_that_may_not_be_run_is_told(tmp_path: Path) -> None:
    (tmp_path / "kontext").write_text("", encoding="utf-8")
    file = written(tmp_path, str(tmp_path / "kontext"))
    cause = f"Cursor: the command of 'kontext' in {file} may not be run ({tmp_path / 'kontext'})"
    assert await told(tmp_path) == [("warn", cause, "kontext install cursor")]


async def test_a_file_that_cannot_be_parsed_is_told(tmp_path: Path) -> None:
    file = written(tmp_path, "kontext")
    file.write_text('{"mcpServers": {', encoding="utf-8")
    ((status, cause, fix),) = await told(tmp_path)
    assert (status, fix) == ("warn", "Mend the file; the client cannot read it either.")
    assert cause.startswith(f"Cursor: {file} cannot be parsed (line 1")
