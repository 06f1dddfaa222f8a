"""A planted key of each provider appears in no log, answer, database or error, under any fault, at debug level too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import StdioServerParameters, stdio_client
from mcp.client import Client

from kontext_server.simulator.serve import Running
from support.stdio_server import COMMAND, environment, fields_of, text_of

pytestmark = pytest.mark.anyio

HOSTS = ("core.today", "kkiai", "runflow", "eachlabs", "replicate", "bfl", "fal")
ADDRESS = "https://pictures.invalid/cat.png?Signature=PLANTED_SIGNATURE"
MARKER = "PLANTEDMARKER0123456789"

FAULTS: tuple[dict[str, Any], ...] = (
    {"on": "create", "fault": "error_echoes_key"},
    {"on": "create", "fault": "422", "text": "the whole request was: {key}"},
    {"on": "create", "fault": "500", "text": "it broke over {key}"},
    {"on": "create", "fault": "garbage"},
    {"on": "create", "fault": "fail", "error": "no GPU for {key}"},
    {"on": "create", "fault": "redirect", "url": "https://example.com/?k={key}"},
    {"on": "get", "fault": "error_echoes_key", "times": 1},
    {"on": "file", "fault": "wrong_type"},
)


def _planted(simulator: Running) -> dict[str, str]:
    """Give every provider's settings, each key with the marker at its end."""
    settings = simulator.settings_of(*HOSTS)
    return {name: f"{value}{MARKER}" if not name.endswith("_BASE_URL") else value for name, value in settings.items()}


@pytest.mark.parametrize("host", HOSTS)
async def test_a_planted_key_is_nowhere_to_be_found(tmp_path: Path, simulator: Running, host: str) -> None:
    settings = _planted(simulator)
    key = next(value for name, value in settings.items() if MARKER in value and name in simulator.settings_of(host))
    told: list[str] = []
    command, *arguments = COMMAND
    environ = environment(tmp_path, settings | {"KONTEXT_LOG_LEVEL": "debug"})
    parameters = StdioServerParameters(command=command, args=arguments, env=environ)
    with anyio.fail_after(60), (tmp_path / "stderr").open("w", encoding="utf-8") as stderr:
        async with Client(stdio_client(parameters, errlog=stderr), mode="legacy") as client:
            for number, fault in enumerate(FAULTS):
                filled = {name: _filled(value, key) for name, value in fault.items()}
                simulator.state.script({"wire": host, **filled})
                arguments_ = {"image": ADDRESS, "prompt": f"Make it red {number}", "provider": host}
                result = await client.call_tool("edit_image", arguments_)
                told += [text_of(result), json.dumps(fields_of(result))]
                job_id = fields_of(result).get("job_id")
                if job_id:
                    full = await client.call_tool("get_status", {"job_id": job_id, "detail": "full"})
                    told += [text_of(full), json.dumps(fields_of(full))]
            told.append(str((await client.read_resource("kontext://providers")).contents))
            told.append(str((await client.read_resource("kontext://jobs")).contents))
    answers = "\n".join(told)
    assert MARKER not in answers
    assert "PLANTED_SIGNATURE" not in answers
    assert MARKER not in (tmp_path / "stderr").read_text(encoding="utf-8")
    for path in (tmp_path / "data").rglob("*"):
        assert not path.is_file() or MARKER.encode() not in path.read_bytes(), path
    seen = [entry for entry in simulator.state.journal.entries() if MARKER in json.dumps(entry.headers)]
    assert seen, "the key did reach the provider"


def _filled(value: Any, key: str) -> Any:
    return value.replace("{key}", key) if isinstance(value, str) else value
