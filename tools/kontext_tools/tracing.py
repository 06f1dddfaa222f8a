"""Traces of a job, from the call that asked for it to its last file: OpenTelemetry's API, and nothing where nobody
listens.

What this is: one span for each create, look, search and archiving of a send, below the span of the call, whichever
process makes it and however much later: a send keeps its call's context (W3C `traceparent`). What it is not: an
exporter, which is the operator's (docs/deployment.md), or a log: no span holds a prompt, a label, a file's name, an
address, a key, an owner or a text of anybody's; an error is told by its code. Above: drafting, submitting, watching,
seeking, finishing, archive, leases. Below: jobs.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager

from opentelemetry import context, trace

from kontext_tools.jobs import Job, Send

NAME = "kontext"
_PARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_tracer = trace.get_tracer(NAME)


def current() -> str:
    """Give the context of what runs now as a `traceparent`; empty where nothing is traced."""
    here = trace.get_current_span().get_span_context()
    if not here.is_valid:
        return ""
    return f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}"


@contextmanager
def span(name: str, job: Job, send: Send) -> Generator[None]:
    """Trace a step of a send: below what runs now, else below the call that asked for it."""
    if not _is_listened_to():
        yield
        return
    told = {
        "kontext.job.id": job.id,
        "kontext.send.n": send.n,
        "kontext.provider": send.provider,
        "kontext.model": job.model,
    }
    with _traced(name, told, None if current() else _context_of(send.trace), trace.SpanKind.CLIENT):
        yield


@contextmanager
def part(name: str, n: int) -> Generator[None]:
    """Trace a part of what is traced now, for one image of a job."""
    if not _is_listened_to():
        yield
        return
    with _traced(name, {"kontext.image.n": n}, None, trace.SpanKind.INTERNAL):
        yield


def note_bytes(size_bytes: int) -> None:
    """Note in what is traced now how much went through it."""
    trace.get_current_span().set_attribute("kontext.bytes", size_bytes)


def note(send: Send) -> None:
    """Note in what is traced now where a send stands."""
    here = trace.get_current_span()
    if not here.is_recording():
        return
    here.set_attribute("kontext.send.state", send.state.value)
    if send.failure is not None:
        here.set_attribute("error.type", send.failure.code)
        here.set_status(trace.StatusCode.ERROR)


def _is_listened_to() -> bool:
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


@contextmanager
def _traced(
    name: str, told: dict[str, str | int], above: context.Context | None, kind: trace.SpanKind
) -> Generator[None]:
    # An exception's text may be anybody's: its kind is told alone.
    with _tracer.start_as_current_span(
        name, context=above, kind=kind, attributes=told, record_exception=False, set_status_on_exception=False
    ) as here:
        try:
            yield
        except Exception as error:
            here.set_attribute("error.type", type(error).__qualname__)
            here.set_status(trace.StatusCode.ERROR)
            raise


def _context_of(parent: str) -> context.Context | None:
    found = _PARENT.fullmatch(parent)
    if found is None:
        return None
    trace_id, span_id, flags = (int(digits, 16) for digits in found.groups())
    above = trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=trace.TraceFlags(flags))
    return trace.set_span_in_context(trace.NonRecordingSpan(above))
