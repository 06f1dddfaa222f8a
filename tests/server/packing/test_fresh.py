"""The scheduled look at a fresh, unpinned installation: its description is sound, and calls the script that does it."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import yaml

from support.built import ROOT

SCRIPT = ROOT / ".ci" / "fresh"
WORKFLOW = ROOT / ".github" / "workflows" / "fresh.yml"


def test_the_schedule_runs_the_script_on_every_python_that_is_promised() -> None:
    told: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    (job,) = told["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/fresh python"]
    assert job["strategy"]["matrix"]["python"][0] == "3.11"
    # YAML 1.1 reads the bare word `on` as true.
    assert [list(entry) for entry in told[True]["schedule"]] == [["cron"]]
    assert told["permissions"] == {"contents": "read"}


def test_the_script_pins_nothing_and_is_sound() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    assert os.access(SCRIPT, os.X_OK)
    assert "constraints.txt" not in text and " -c " not in text and "-e ." not in text
    subprocess.run(["bash", "-n", SCRIPT], check=True)
    paths = [word for word in text.split() if word.startswith("tests/")]
    assert paths and all((ROOT / path).exists() for path in paths)
