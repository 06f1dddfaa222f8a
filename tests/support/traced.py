"""A program: one edit, asked for by a real client of a real server in this process, and what was traced, as JSON.

What this is: for a process of its own, since OpenTelemetry's provider is set once in a process and for ever. With
`broken` as its second argument the provider's first look fails and its picture comes after all.
Above: nobody imports it; `tests/end_to_end/test_traces.py` runs it.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import anyio
from mcp.client import Client
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from kontext_server.app import build
from kontext_server.settings import load
from kontext_server.simulator.serve import running
from kontext_server.surface.server import make_server
from support.workshop import png


def _told(span: ReadableSpan, names: dict[int, str]) -> dict[str, Any]:
    parent = None if span.parent is None else names.get(span.parent.span_id, "?")
    assert span.context is not None
    return {
        "name": span.name,
        "parent": parent,
        "trace": f"{span.context.trace_id:032x}",
        "status": span.status.status_code.name,
        "said": span.status.description,
        "events": [event.name for event in span.events],
        "attributes": dict(span.attributes or {}),
    }


async def _ask(folder: Path, told: dict[str, str]) -> dict[str, Any]:
    settings = {name.lower(): value for name, value in told.items()}
    app = build(load(kontext_data_dir=folder, kontext_preview="none", **settings))
    picture = "data:image/png;base64," + base64.b64encode(png()).decode()
    with anyio.fail_after(30):
        async with Client(make_server(app), mode="2026-07-28") as client:
            asked: dict[str, Any] = {
                "prompt": "make the lake red PLANTED_PROMPT",
                "keep": "the boat PLANTED_KEEP",
                "label": "red lake PLANTED_LABEL",
                "image": picture,
                "wait_seconds": 20,
            }
            answer = await client.call_tool("edit_image", asked)
            return dict(answer.structured_content or {})


def main() -> None:
    """Ask once and tell."""
    spans = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({}))
    provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(provider)
    with running(job_seconds=0.0) as simulator:
        if sys.argv[2:] == ["broken"]:
            simulator.state.script({"wire": "core.today", "on": "create", "fault": "fail", "error": "PLANTED_REASON"})
        answer = anyio.run(_ask, Path(sys.argv[1]), simulator.settings)
    finished = spans.get_finished_spans()
    names = {span.context.span_id: span.name for span in finished if span.context is not None}
    told = sorted((span for span in finished), key=lambda span: span.start_time or 0)
    print(json.dumps({"answer": answer, "spans": [_told(span, names) for span in told]}))


if __name__ == "__main__":
    main()
