"""Memory: the most that a server ever holds while very many large pictures are edited at once, over stdio.

Above: run. Below: samples, talking, rows.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from rows import Row, memory_mb_of, most_memory_mb_of
from samples import heavy
from talking import OURS, talking

sys.path.insert(0, str(Path(__file__).parents[1]))

from kontext_server.simulator.serve import running
from support.stdio_server import environment

PICTURE_BYTES = 9_900_000
"""What core.today takes in one request; its simulator refuses 10 MB and more."""


def rows(*, edits: int = 100, picture_bytes: int = PICTURE_BYTES) -> list[Row]:
    """Measure the most memory of a server that is asked for so many edits at once, beside itself before them.

    Each edit is of a picture of its own, or kept bytes would be shared; each is waited for and answered with its
    preview. The figure is the kernel's own high-water mark, so that no peak falls between two looks.
    """
    with tempfile.TemporaryDirectory() as name, running(job_seconds=0.0) as simulator:
        folder = Path(name)
        settings = {**simulator.settings, "KONTEXT_IMAGE_ROOTS": name}
        pictures = [folder / f"{n}.png" for n in range(edits)]
        for picture in pictures:
            picture.write_bytes(heavy(picture_bytes))
        with talking(OURS, environment(folder, settings)) as ours:
            before_mb = memory_mb_of(ours.process.pid)
            asked = {"prompt": "make it dark", "wait_seconds": 50}
            answered = ours.calls([("edit_image", {**asked, "image": str(picture)}) for picture in pictures])
            running_ = [told["structuredContent"] for told in answered]
            while waiting := [told["job_id"] for told in running_ if told["status"] in ("pending", "processing")]:
                asked_again = [("get_status", {"job_id": job_id, "wait_seconds": 50}) for job_id in waiting]
                running_ = [told["structuredContent"] for told in ours.calls(asked_again)]
            most_mb = most_memory_mb_of(ours.process.pid)
        assert simulator.state.counter()["charged"]["core.today"] == edits
    size = f"{picture_bytes / 1e6:.0f} MB"
    return [
        Row(
            name=f"most memory in {edits} edits of {size} pictures at once over stdio, beside before them",
            unit="MB",
            ours=[most_mb],
            floor=[before_mb],
            target="under 400 MB",
        )
    ]
