"""The benchmark's one command prints its table; no time is asserted."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

GALLERY = (
    "gallery, 200 images, first paint",
    "gallery, 200 images, first screen of thumbnails, none kept yet",
    "gallery, 200 images, first screen of thumbnails, kept",
    "gallery, 200 images, a further page by scrolling",
)


def _printed(*command: str) -> list[str]:
    here = Path(__file__).parent
    run = subprocess.run(
        [sys.executable, str(here / command[0]), *command[1:]], capture_output=True, text=True, timeout=120, check=True
    )
    assert run.stderr == ""  # such as a step that broke: its job would be measured as far as it came
    return [line for line in run.stdout.splitlines() if line.startswith("| ")]


def test_one_command_prints_each_figure_beside_its_floor() -> None:
    lines = _printed("run.py", "--rounds", "1", "--small")
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]] == [
        "stdio start to initialize, wall",
        "the same, CPU",
        "idle memory after tools/list",
        "kontext --help, beside an empty Python, wall",
        "packages of an installation, beside the SDK's own",
        "get_status of a running job over stdio, p50",
        "an edit's own overhead, 1 MP by path with its preview, beside the same requests alone, p50",
        "the same, p95",
        "claim 100 due of 2,000 waiting, 3,000 rows, p99",
        "engine, CPU a job beside HTTP",
        "the same with a call waiting for each job",
        "the same with the call read and the picture kept",
        "find_images, words of some, 500 images, p50",
        "the same, words that every image has, 500 images, p50",
        "the same, one letter that every image has, 500 images, p50",
        "the same, no image has them all, 500 images, p50",
        "the same, each word in half of the images, never together, 500 images, p50",
        "the same, a rare word, 500 images, p50",
        "store, words of some, beside the index's rows in a worker thread, 500 images, p50",
        "resources/list, first page, 500 images, p50",
        "resources/list, a later page, 500 images, p50",
        *(GALLERY if shutil.which("chromium") else ()),
        "get_status of a running job over HTTP, 16 clients",
        "the same, CPU a call",
        "the same, p99 of a call",
        "the same of a finished job, with its picture",
        "get_status of a running job, two processes beside one",
        "memory with 20 jobs in flight and a call waiting for each, beside one job",
        "T07: p99 of one person's get_status while another floods with 16 clients",
        "a job of 1 s, from its end until it is noticed by looking",
        "the same by its provider's call",
        "preview of a 1 MP PNG at 768 px beside Pillow alone, CPU",
        "change report of two 1 MP PNGs beside Pillow alone, CPU",
        "p99 of the event loop's stalls while previews are made, beside Pillow in two threads",
        "most memory in 2 edits of 1 MB pictures at once over stdio, beside before them",
        "submits that are on the disk, 16 callers, beside appends of 4 kB with a sync each",
        "store, a page of 50 of 2,000 images, p50",
        "store, one job of 2,000, p50",
    ]
    units = (" MB", " ms", " of them", " calls/s", " a second")
    assert all(any(unit in line for unit in units) for line in lines[2:])


def test_another_prints_how_cost_grows() -> None:
    lines = _printed("growing.py", "--small")
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines if "---" not in line] == [
        "one person's images",
        "one job",
        "a page of 50 images",
        "a search for two words that all have",
        "a submit under a daily cap, on the disk",
        "a claim and the intent, on the disk",
        "start to `initialize`, CPU",
        "memory after `tools/list`",
        "the database, an image",
        "people, 200 images in all",
        "one job",
        "a page of 50 images",
        "a search for two words that all have",
        "a submit under a daily cap, on the disk",
        "a claim and the intent, on the disk",
        "jobs in flight, a call waiting for each",
        "most memory of the server",
        "its CPU while it looks at them, a second",
    ]
