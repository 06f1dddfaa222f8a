"""How soon a finished job is noticed: by looking at it, and by its provider's call.

What this is: from a job's end until the look that saw it came to the provider; the rest of an edit's time is measured
in `over_stdio`. What it is not: how often a provider is looked at (`tests/reliability`). Above: run. Below: over_http,
over_stdio, rows.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from over_http import fields
from over_stdio import seen_at
from rows import Row

sys.path.insert(0, str(Path(__file__).parents[1]))

from kontext_server.simulator.serve import running
from support.http_server import Served, a_free_port, served

APART_S = 0.1
"""Jobs begin so far apart, or all would be looked at in the same moment."""


def rows(*, jobs: int = 8, job_s: float = 10.0) -> list[Row]:
    """Measure two servers side by side, each with a provider of its own: one that is called, and one that is not.

    By a call: from the job's end, over the provider's own waking and its call to us, until our look came.

    Args:
        jobs: of each server, at once.
        job_s: seconds that the provider works on each.
    """
    with ExitStack() as open_:
        folder = Path(open_.enter_context(tempfile.TemporaryDirectory()))
        looks, calls = (open_.enter_context(running(job_seconds=job_s)) for _ in range(2))
        port = a_free_port()
        called = {**calls.settings, "KONTEXT_PUBLIC_URL": f"http://127.0.0.1:{port}"}
        pairs = [
            (looks, open_.enter_context(served(folder / "looks", looks.settings))),
            (calls, open_.enter_context(served(folder / "calls", called, "--port", str(port)))),
        ]
        asked = list[tuple[Served, str]]()
        for n in range(jobs):
            for _, server in pairs:
                told = fields(server, "generate_image", {"prompt": f"lake {n}", "wait_seconds": 0})
                asked.append((server, told["job_id"]))
            time.sleep(APART_S)
        for server, job_id in asked:
            told = fields(server, "get_status", {"job_id": job_id, "wait_seconds": 50})
            assert told["status"] == "completed", told
        by_look, by_call = (
            [(seen_at(simulator, job) - job.ends_at) * 1000 for job in simulator.state.jobs.values()]
            for simulator, _ in pairs
        )
    what = f"a job of {job_s:g} s, from its end until it is noticed"
    return [
        Row(name=f"{what} by looking", unit="ms", ours=by_look, floor=[], target="at most 20 % of its time"),
        Row(name="the same by its provider's call", unit="ms", ours=by_call, floor=[], target="under 50 ms"),
    ]
