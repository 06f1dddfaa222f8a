"""Over stdio: what a call costs beside a bare server's echo, and what an edit costs beside its provider's own time.

What this is: rows of the table, one call at a time. What it is not: starts (`run`), many calls at once (`holding`).
Above: run. Below: talking, samples, rows.
"""

from __future__ import annotations

import http.client
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image
from rows import Row, percentile
from samples import photo
from talking import FLOOR, OURS, Talk, talking

sys.path.insert(0, str(Path(__file__).parents[1]))

from kontext_server.simulator.serve import Running, running
from kontext_server.simulator.state import Job
from support.stdio_server import environment

NEVER_S = 3600.0
PATIENCE_S = 60.0
BATCH = 10
"""So many calls of ours, then so many of the floor."""


def rows(*, calls: int = 300, edits: int = 24, job_s: float = 1.0) -> list[Row]:
    """Measure.

    Args:
        calls: of `get_status`, and as many echoes.
        edits: one after the other.
        job_s: seconds that the provider works on each.
    """
    with tempfile.TemporaryDirectory() as name, running(job_seconds=job_s) as simulator:
        folder = Path(name)
        picture = folder / "photo.jpg"
        picture.write_bytes(photo(kind="JPEG"))
        settings = {**simulator.settings, "KONTEXT_IMAGE_ROOTS": name}
        with talking(OURS, environment(folder, settings)) as ours, talking(FLOOR, environment(folder)) as floor:
            edited = _edits(ours, simulator, picture, edits)
            return [_calls(ours, floor, simulator, calls), *edited]


def _calls(ours: Talk, floor: Talk, simulator: Running, calls: int) -> Row:
    """Ask for a running job, which its provider does not end, and for echoes."""
    simulator.state.script({"wire": "core.today", "on": "create", "seconds": NEVER_S})
    asked = {"prompt": "a red lake", "wait_seconds": 0}
    job_id = ours.call("generate_image", asked)["structuredContent"]["job_id"]
    asks: dict[Talk, Callable[[], object]] = {
        ours: lambda: ours.call("get_status", {"job_id": job_id}),
        floor: lambda: floor.call("echo", {"text": "x"}),
    }
    wall_ms: dict[Talk, list[float]] = {talk: [] for talk in asks}
    for call in asks.values():
        for _ in range(BATCH):  # what is imported at the first call is no cost of a call
            call()
    for _ in range(max(1, calls // BATCH)):
        for talk, call in asks.items():
            for _ in range(BATCH):
                wall_ms[talk].append(_took_ms(call))
    return Row(
        name="get_status of a running job over stdio, p50",
        unit="ms",
        ours=wall_ms[ours],
        floor=wall_ms[floor],
        target="at most echo + 0.5 ms",
    )


def _took_ms(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def _edits(ours: Talk, simulator: Running, picture: Path, edits: int) -> list[Row]:
    """Edit a photograph of one megapixel by its path, one call after the other, each answered with its preview.

    Of a call's time, from the request's first byte to the answer's last, two stretches are taken off: the provider's
    own, from the moment at which it had accepted the create until the job's end (`job_s`); and the wait from that end
    until the look that saw it, which is what pacing costs and has a row of its own (`noticing`). What is
    left is all before the provider had the job (reading, proving and cleaning the picture, the record, the intent, the
    upload) and all after that look (the download, its proof, what changed, the record, the preview, the answer), with
    the provider's own answers to these requests. The picture is painted within the provider's second, as a host has it
    when it says so; else the simulator would paint it while it is fetched.

    The floor is the requests alone: the same create, look and download by a plain client on one connection, one
    megapixel up and one down, its result thrown away.
    """
    call_ms, plain_ms = list[float](), list[float]()
    _edit_ms(ours, simulator, picture, "warm")
    for n in range(edits):
        call_ms.append(_edit_ms(ours, simulator, picture, f"edit {n}"))
        plain_ms.append(_plain_ms(simulator, picture.read_bytes(), f"edit {n}"))
    name = "an edit's own overhead, 1 MP by path with its preview, beside the same requests alone"
    return [
        Row(name=f"{name}, p50", unit="ms", ours=call_ms, floor=plain_ms, target="at most 150 ms"),
        Row(
            name="the same, p95",
            unit="ms",
            ours=[percentile(call_ms, 0.95)],
            floor=[percentile(plain_ms, 0.95)],
            target="at most 400 ms",
        ),
    ]


def _edit_ms(ours: Talk, simulator: Running, picture: Path, prompt: str) -> float:
    arguments = {"prompt": prompt, "image": str(picture), "wait_seconds": 50}
    with ThreadPoolExecutor(1) as provider:
        provider.submit(_paint_next, simulator, len(simulator.state.jobs))
        began = time.perf_counter()
        result = ours.call("edit_image", arguments)
        took_s = time.perf_counter() - began
    assert result["structuredContent"]["status"] == "completed", result
    assert any(block["type"] == "image" for block in result["content"])
    job = next(reversed(simulator.state.jobs.values()))
    return (took_s - (seen_at(simulator, job) - job.created_at)) * 1000


def _paint_next(simulator: Running, jobs: int) -> None:
    """Paint the picture of the next job once there is one; the simulator keeps what it painted lately."""
    until = time.monotonic() + PATIENCE_S
    while len(simulator.state.jobs) == jobs and time.monotonic() < until:
        time.sleep(0.005)
    next(reversed(simulator.state.jobs.values())).output.read()


def seen_at(simulator: Running, job: Job) -> float:
    """Give when the look came that saw a job's end, in seconds of the simulator's clock.

    Of a job that is known to have ended it is the last one; it may have come a moment before the end, and been answered
    after it.
    """
    entries = simulator.state.journal.entries()
    return max(look.time for look in entries if look.method == "GET" and look.path.endswith(f"/{job.id}"))


def _plain_ms(simulator: Running, picture: bytes, prompt: str) -> float:
    """Create, look and download as our server does, with no wait between; the job takes no time."""
    simulator.state.script({"wire": "core.today", "on": "create", "seconds": 0.0})
    place = urlsplit(simulator.settings["CORE_TODAY_BASE_URL"])
    key = {"X-API-Key": simulator.settings["CORE_TODAY_API_KEY"]}
    body, content_type = _form(picture, prompt)
    began = time.perf_counter()
    connection = http.client.HTTPConnection(str(place.hostname), place.port)
    made = _fetched(connection, "POST", f"{place.path}/predictions/upload", key | {"Content-Type": content_type}, body)
    painting = time.perf_counter()
    simulator.state.jobs[json.loads(made)["job_id"]].output.read()
    began += time.perf_counter() - painting
    told = json.loads(_fetched(connection, "GET", f"{place.path}/predictions/{json.loads(made)['job_id']}", key))
    result = _fetched(connection, "GET", told["result"].removeprefix(simulator.base_url), {})
    took_ms = (time.perf_counter() - began) * 1000
    connection.close()
    with Image.open(io.BytesIO(result)) as image:
        assert image.width * image.height > 900_000
    return took_ms


def _form(picture: bytes, prompt: str) -> tuple[bytes, str]:
    fields: dict[str, Any] = {
        "model": "black-forest-labs/flux-kontext-pro",
        "input": json.dumps({"prompt": prompt}),
    }
    parts = [
        f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    ]
    head = (
        '--edge\r\nContent-Disposition: form-data; name="file:input_image"; filename="photo.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    body = "".join([*parts, head]).encode() + picture + b"\r\n--edge--\r\n"
    return body, "multipart/form-data; boundary=edge"


def _fetched(
    connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str], body: bytes | None = None
) -> bytes:
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    read = answer.read()
    assert answer.status < 300, (answer.status, read)
    return read
