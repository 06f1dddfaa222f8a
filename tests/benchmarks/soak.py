"""Ten minutes of load on one server over HTTP: what it holds in memory and how many files, and whether they grow.

One command: `python tests/benchmarks/soak.py [--minutes 10]`. Fifteen clients ask for the status of jobs and search
without a pause; one makes pictures, each from its create to its archive. Some hundred pictures before that fill what is
kept at hand (previews, the database's pages); growth is the slope of a line through all samples after. What it is not:
a row of the table (`over_http`). Above: nothing. Below: asking, rows, over_http.
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
MAKING_FIRST, FIRST_S = 4, 90.0


def main() -> None:
    """Load, look every second, and print."""
    parser = argparse.ArgumentParser(description="Ten minutes of load, and what grows.")
    parser.add_argument("--minutes", type=float, default=10.0)
    lasting_s = parser.parse_args().minutes * 60
    samples = list[tuple[float, float, int]]()
    with (
        tempfile.TemporaryDirectory() as name,
        running(job_seconds=0.0) as simulator,
        served(Path(name), simulator.settings) as server,
    ):
        pid = server.process.pid
        ended = fields(server, "generate_image", {"prompt": "a lake", "wait_seconds": 30})["job_id"]
        reads = [
            request(server.url, "get_status", {"job_id": ended}),
            request(server.url, "find_images", {"query": "lake"}),
            request(server.url, "get_status", {"job_id": "no-such-job0"}),
        ]
        makes = [
            request(server.url, "generate_image", {"prompt": f"a lake by night, {n}", "wait_seconds": 30})
            for n in range(MAKING_FIRST)
        ]
        asked = [*(reads[i % len(reads)] for i in range(ASKING)), makes[0]]

        def look() -> None:
            files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
            samples.append((time.monotonic() - began, memory_mb_of(pid), files))

        before = load([(server.url, one) for one in makes], clients=MAKING_FIRST, lasting_s=FIRST_S)
        simulator.state.job_seconds = 1.0
        began = time.monotonic()
        answered = load([(server.url, one) for one in asked], clients=len(asked), lasting_s=lasting_s, meanwhile=look)
    times = [sample[0] / 60 for sample in samples]
    memory = statistics.linear_regression(times, [sample[1] for sample in samples])
    files = statistics.linear_regression(times, [float(sample[2]) for sample in samples])
    calls, minutes = len(answered.waited_s), answered.took_s / 60
    print(f"pictures made before: {len(before.waited_s):,}")
    print(f"calls: {calls:,} in {minutes:.1f} min, {answered.calls_a_second:.0f} a second")
    for label, column in (("memory, MB", 1), ("open files", 2)):
        told = [sample[column] for sample in samples]
        print(f"{label}: {told[0]:.0f} at first, {told[-1]:.0f} at the end, at most {max(told):.0f}")
    print(f"growth: {memory.slope:+.2f} MB a minute, {files.slope:+.2f} files a minute")


if __name__ == "__main__":
    main()
