"""The MCP inspector's command line, a client that no one here wrote, in both protocol eras."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kontext_server.simulator.serve import running
from support.stdio_server import COMMAND, PHOTOS, environment

ERAS = ("legacy", "modern")

PATIENT = ("--connect-timeout", "60000")

pytestmark = pytest.mark.node


def _inspect(
    inspector: list[str], folder: Path, era: str, *arguments: str, settings: dict[str, str] | None = None
) -> dict[str, Any]:
    named = [
        part
        for name, value in environment(folder, settings).items()
        if name.startswith(("KONTEXT_", "CORE_TODAY_", "COVERAGE_", "XDG_", "HOME"))
        for part in ("-e", f"{name}={value}")
    ]
    command = [*inspector, *named, *COMMAND, *arguments, "--protocol-era", era, "--format", "json", *PATIENT]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    result: dict[str, Any] = json.loads(run.stdout)["result"]
    return result


@pytest.mark.parametrize("era", ERAS)
def test_the_tools_pass_the_inspectors_strict_lint(inspector: list[str], tmp_path: Path, era: str) -> None:
    tools = _inspect(inspector, tmp_path, era, "--method", "tools/list", "--strict")["tools"]
    assert [tool["name"] for tool in tools] == [
        "edit_image",
        "generate_image",
        "get_status",
        "cancel_job",
        "find_images",
        "view_images",
        "run_plan",
    ]


@pytest.mark.parametrize("era", ERAS)
def test_a_real_photograph_is_edited_by_its_absolute_path(inspector: list[str], tmp_path: Path, era: str) -> None:
    arguments = json.dumps({"image": str(PHOTOS / "chelsea.png"), "prompt": "Make it a watercolour"})
    call = ("--method", "tools/call", "--tool-name", "edit_image", "--tool-args-json", arguments)
    result = _inspect(inspector, tmp_path, era, *call)
    assert result["structuredContent"]["status"] == "completed"
    assert Path(result["structuredContent"]["images"][0]["path"]).is_file()
    assert [block["type"] for block in result["content"]] == ["text", "image"]


@pytest.mark.parametrize("era", ERAS)
def test_a_refused_call_reaches_the_client_as_an_answer(inspector: list[str], tmp_path: Path, era: str) -> None:
    """TypeScript clients judge error answers by `outputSchema` too: one with `required` would hide the error."""
    arguments = json.dumps({"image": "/etc/passwd", "prompt": "Make it a watercolour"})
    call = [*inspector, *COMMAND, "--method", "tools/call", "--tool-name", "edit_image", "--tool-args-json", arguments]
    run = subprocess.run(
        [*call, "--protocol-era", era, "--format", "json", "-e", f"KONTEXT_DATA_DIR={tmp_path}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert '"code":"source_not_allowed"' in run.stdout.replace(" ", "")


@pytest.mark.parametrize("era", ERAS)
def test_core_todays_wire_serves_the_inspector_too(inspector: list[str], tmp_path: Path, era: str) -> None:
    with running(job_seconds=0.3) as simulator:
        arguments = json.dumps({"image": str(PHOTOS / "chelsea.png"), "prompt": "Make it a cartoon"})
        call = ("--method", "tools/call", "--tool-name", "edit_image", "--tool-args-json", arguments)
        fields = _inspect(inspector, tmp_path, era, *call, settings=simulator.settings)["structuredContent"]
        charged = simulator.state.counter()["charged"]["core.today"]
        paths = [entry.path for entry in simulator.state.journal.entries() if entry.method == "POST"]
    kept = Path(fields["images"][0]["path"])
    beside = json.loads(kept.with_suffix(".json").read_text(encoding="utf-8"))
    assert (charged, paths) == (1, ["/core.today/v1/predictions/upload"])
    assert fields["cost"] == {"amount": "120", "unit": "credit", "basis": "list_price"}
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == beside["sha256"]
    assert kept.suffix == ".png"
