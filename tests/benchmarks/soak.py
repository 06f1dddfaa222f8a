"""Ten minutes of load on one server over HTTP: what it holds in memory and how many files, and whether they grow.

One command: `python tests/benchmarks/soak.py [--minutes 10]`. Fifteen clients ask for the status of jobs and search
without a pause; one makes pictures, each from its create to its archive. Growth is the slope of a line through the
samples after the first fifth, in which pools and caches fill. What it is not: a row of the table (`over_http`).
Above: nothing. Below: asking, rows, over_http.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from asking import load, request
from over_http import fields
from rows import memory_mb_of

from kontext_server.simulator.serve import running
from support.http_server import served

ASKING = 15


def main() -> None:
    """Load, look every second, and print."""
    parser = argparse.ArgumentParser(description="Ten minutes of load, and what grows.")
    parser.add_argument("--minutes", type=float, default=10.0)
    lasting_s = parser.parse_args().minutes * 60
    samples = list[tuple[float, float, int]]()
    with (
        tempfile.TemporaryDirectory() as name,
        running(job_seconds=1.0) as simulator,
        served(Path(name), simulator.settings) as server,
    ):
        pid, began = server.process.pid, time.monotonic()
        ended = fields(server, "generate_image", {"prompt": "a lake", "wait_seconds": 30})["job_id"]
        reads = [
            request(server.url, "get_status", {"job_id": ended}),
            request(server.url, "find_images", {"query": "lake"}),
            request(server.url, "get_status", {"job_id": "no-such-job0"}),
        ]
        makes = request(server.url, "generate_image", {"prompt": "a lake by night", "wait_seconds": 30})
        asked = [*(reads[i % len(reads)] for i in range(ASKING)), makes]

        def look() -> None:
            files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
            samples.append((time.monotonic() - began, memory_mb_of(pid), files))

        answered = load([(server.url, one) for one in asked], clients=len(asked), lasting_s=lasting_s, meanwhile=look)
        made = fields(server, "find_images", {"query": "night", "limit": 50})
    settled = [sample for sample in samples if sample[0] > lasting_s / 5]
    times = [sample[0] / 60 for sample in settled]
    memory = statistics.linear_regression(times, [sample[1] for sample in settled])
    files = statistics.linear_regression(times, [float(sample[2]) for sample in settled])
    print(
        f"calls: {len(answered.waited_s):,} in {answered.took_s / 60:.1f} min, {answered.calls_a_second:.0f} a second"
    )
    print(f"pictures made: {'50 or more' if made.get('next_cursor') else len(made['images'])}")
    for label, column in (("memory, MB", 1), ("open files", 2)):
        told = [sample[column] for sample in settled]
        print(f"{label}: {told[0]:.0f} after the first fifth, {told[-1]:.0f} at the end, at most {max(told):.0f}")
    print(f"growth: {memory.slope:+.2f} MB a minute, {files.slope:+.2f} files a minute")


if __name__ == "__main__":
    main()
