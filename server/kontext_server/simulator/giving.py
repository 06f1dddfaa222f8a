"""What a job made, as a reply tells it: addresses or `data:` URIs, and times.

What this is: the few lines that several wires' replies share. What it is not: a reply; each wire has its own.
Above: one file for each vendor. Below: `wire`, `state`, `files`.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import anyio.to_thread

from kontext_server.simulator.files import StoredFile
from kontext_server.simulator.state import Job
from kontext_server.simulator.wire import Call


async def outputs(call: Call, job: Job) -> list[str]:
    """Where each of the job's pictures is, or the picture itself where it speaks in `data:` URIs."""
    return [await _given(call, job, file) for file in (job.output, *job.more)]


def stamp(seconds: float) -> str:
    """A moment, as ISO 8601 in UTC with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def output(call: Call, job: Job) -> str:
    """Where the job's one picture is, or the picture itself where it speaks in `data:` URIs."""
    return await _given(call, job, job.output)


async def data_uri(file: StoredFile) -> str:
    """A picture itself, as a `data:` URI."""
    content = await anyio.to_thread.run_sync(file.read)
    return f"data:{file.media_type};base64,{base64.b64encode(content).decode()}"


async def _given(call: Call, job: Job, file: StoredFile) -> str:
    return await data_uri(file) if job.inline else file.url(call.root)
