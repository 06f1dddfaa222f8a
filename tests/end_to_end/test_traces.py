"""What an operator's traces show of an edit: the whole way from the call to the file, and nothing of what was asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from support.stdio_server import environment

PROGRAM = Path(__file__).parent.parent / "support" / "traced.py"


def traced(folder: Path, *more: str) -> dict[str, Any]:
    told = environment(folder) | {"PYTHONPATH": str(PROGRAM.parent.parent)}
    run = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder / "data"), *more],
        env=told,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def tree(spans: list[dict[str, Any]], root: str | None = None, depth: int = 0) -> list[str]:
    lines: list[str] = []
    for span in spans:
        if span["parent"] == root and (root is not None or span["name"].endswith("edit_image")):
            lines += ["  " * depth + span["name"], *tree(spans, span["name"] or None, depth + 1)]
    return lines


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("traced")
    told = traced(folder)
    (picture,) = (folder / "data" / "images").glob("*.png")
    return told | {"size_bytes": picture.stat().st_size}


def ours(seen: dict[str, Any]) -> list[dict[str, Any]]:
    return [span for span in seen["spans"] if span["name"].startswith("kontext.")]


def test_an_edit_is_one_trace_from_the_call_to_the_file(seen: dict[str, Any]) -> None:
    assert seen["answer"]["status"] == "completed"
    assert tree(seen["spans"]) == snapshot(
        [
            "tools/call edit_image",
            "  kontext.submit",
            "  kontext.look",
            "    kontext.archive",
            "      kontext.download",
            "      kontext.decode",
            "      kontext.store",
        ]
    )
    (call,) = [span for span in seen["spans"] if span["name"].endswith("edit_image") and span["parent"] is None]
    assert {span["trace"] for span in ours(seen)} == {call["trace"]}


def test_a_span_tells_the_job_the_host_the_state_and_sizes(seen: dict[str, Any]) -> None:
    job = {
        "kontext.job.id": seen["answer"]["job_id"],
        "kontext.send.n": 1,
        "kontext.provider": "core.today",
        "kontext.model": "black-forest-labs/flux-kontext-pro",
    }
    size = {"kontext.bytes": seen["size_bytes"]}
    one = {"kontext.image.n": 1}
    assert {span["name"]: span["attributes"] for span in ours(seen)} == {
        "kontext.submit": job | {"kontext.send.state": "submitted"},
        "kontext.look": job | {"kontext.send.state": "completed"},
        "kontext.archive": job,
        "kontext.download": one,
        "kontext.decode": one | size,
        "kontext.store": one | size,
    }
    assert {span["status"] for span in ours(seen)} == {"UNSET"}


def test_no_span_holds_what_was_asked_or_what_was_said(seen: dict[str, Any], tmp_path: Path) -> None:
    broken = traced(tmp_path, "broken")
    assert "PLANTED" in json.dumps(broken["answer"])
    told = json.dumps([seen["spans"], broken["spans"]])
    found = [word for word in ("PLANTED", "cdt_", "127.0.0.1", "http://", "data:image", "local") if word in told]
    assert found == []
    (look,) = [span for span in ours(broken) if span["name"] == "kontext.look"]
    assert (look["status"], look["said"], look["events"]) == ("ERROR", None, [])
    assert look["attributes"]["error.type"] == broken["answer"]["error"]["code"]
