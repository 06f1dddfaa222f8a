"""RELIABILITY.md I01 and I02: pictures made to exhaust or to crash whoever decodes them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from support import hostile
from support.by_hand import by_hand

SEED = 20261121
CAMPAIGN, SAMPLE = 5_000, 120
MOST_GROWTH_BYTES = 150 << 20

# In a process of its own, so that no other test's memory counts; the first picture pays for Pillow itself.
MEASURE = """
import json, resource, sys
from pathlib import Path
from kontext_tools import images, prints
from kontext_tools.errors import KontextError

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

told = {}
for path in map(Path, sys.argv[1:]):
    data = path.read_bytes()
    before = peak()
    try:
        facts = images.cleaned(data, keep_metadata=False)[1]
        prints.thumbnail(data)
        seen = f"{facts.media_type} {facts.width}x{facts.height}"
    except KontextError as error:
        seen = error.failure.code
    told[path.name] = (seen, peak() - before)
print(json.dumps(told))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no getrusage")
def test_I01_a_bomb_is_refused_and_of_an_endless_animation_one_frame_is_decoded(tmp_path: Path) -> None:
    files = {"warm": hostile.plain(), "bomb": hostile.bomb()}
    files |= {f"endless-{form}": hostile.endless(form) for form in ("GIF", "PNG", "WEBP")}
    assert all(len(data) < 2_000_000 for data in files.values())
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    paths = [str(tmp_path / name) for name in files]
    run = subprocess.run([sys.executable, "-c", MEASURE, *paths], capture_output=True, text=True, check=True)
    told: dict[str, tuple[str, int]] = json.loads(run.stdout)
    seen = {name: what for name, (what, _) in told.items()}
    assert seen.pop("bomb") == "source_too_large"
    assert seen.pop("warm") == "image/png 60x40"
    assert set(seen.values()) == {"image/png 64x64"}, seen
    assert sum(growth for name, (_, growth) in told.items() if name != "warm") < MOST_GROWTH_BYTES


@pytest.mark.campaign
def test_I02_no_mutated_picture_stops_the_server(tmp_path: Path, whole_campaign: bool) -> None:
    random, folder = Random(SEED), tmp_path / "pictures"
    folder.mkdir()
    seen: dict[str, int] = {}
    with by_hand(tmp_path, {"KONTEXT_IMAGE_ROOTS": str(folder)}) as server:
        for _ in range(CAMPAIGN if whole_campaign else SAMPLE):
            (folder / "a.png").write_bytes(hostile.mutated(random))
            fields = server.call("edit_image", image=str(folder / "a.png"), prompt="Make it red", dry_run=True)
            code = "taken" if fields.get("dry_run") else fields["error"]["code"]
            seen[code] = seen.get(code, 0) + 1
        assert server.process.poll() is None
        (folder / "a.png").write_bytes(hostile.plain())
        alive = server.call("edit_image", image=str(folder / "a.png"), prompt="Make it red")
    print(f"seed {SEED}: {seen}")
    assert alive["status"] == "completed"
    assert {"taken", "source_unreadable"} <= set(seen) <= {"taken", "source_unreadable", "source_too_large"}
