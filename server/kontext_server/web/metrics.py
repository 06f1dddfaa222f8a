"""What an operator watches, as Prometheus reads it: `/metrics`.

What this is: counters of this process and, at each look, how the store stands. What it is not: who may look (`bearer`),
or where things happen (`kontext_tools.meters`, `surface.counting`). Above: http. Below: prometheus-client, app. Nothing
else imports that library (20 ms, 64 KB), so that no other command waits for it.

No label holds a prompt, an id, an owner or a key: names of providers and tools, states and codes, all of closed sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import prometheus_client as prometheus
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kontext_server.app import App
from kontext_tools.errors import KontextError
from kontext_tools.stores.figures import Figures

PATH = "/metrics"
MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4
CALL_S = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 30, 60)
REQUEST_S = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120)
WAIT_S = (0.1, 0.5, 1, 5, 15, 60, 300, 900)
SEND_S = (1, 2, 5, 10, 20, 40, 60, 120, 300, 900)

prometheus.disable_created_metrics()  # when a counter began is told by the process's own start


def route(metrics: Metrics, app: App, listeners: Callable[[], int], around: Middleware) -> Route:
    """Give the route of one process's metrics, with a middleware around it; `listeners` tells how many there are."""

    async def told(_: Request) -> Response:
        text = await metrics.text(app, listeners)
        return Response(text, headers={"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"})

    return Route(PATH, told, methods=["GET"], middleware=[around])


class Metrics:
    """Counts what happens in this process. See `kontext_tools.meters.Meter`."""

    def __init__(self) -> None:
        self._registry = registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=registry)

        def counter(name: str, told: str, *labels: str) -> prometheus.Counter:
            return prometheus.Counter(f"kontext_{name}", told, labels, registry=registry)

        def histogram(name: str, told: str, *labels: str, buckets: tuple[float, ...]) -> prometheus.Histogram:
            return prometheus.Histogram(f"kontext_{name}", told, labels, buckets=buckets, registry=registry)

        self._calls = counter("tool_calls", "Calls of tools that were answered.", "tool", "outcome")
        self._call_s = histogram("tool_call_seconds", "What a tool's call took.", "tool", buckets=CALL_S)
        self._requests = counter("provider_requests", "What providers were asked.", "provider", "kind", "outcome")
        self._request_s = histogram(
            "provider_request_seconds", "What a provider's answer took.", "provider", "kind", buckets=REQUEST_S
        )
        self._wait_s = histogram(
            "send_wait_seconds", "From a job's record until its send goes out.", "provider", buckets=WAIT_S
        )
        self._ends = counter("sends_ended", "Sends that ended.", "provider", "state")
        self._send_s = histogram(
            "send_seconds", "From when a send went out until it ended.", "provider", "state", buckets=SEND_S
        )

    def called(self, tool: str, outcome: str, took_s: float) -> None:
        """A tool's call was answered."""
        self._calls.labels(tool, outcome).inc()
        self._call_s.labels(tool).observe(took_s)

    def asked(self, provider: str, kind: str, outcome: str, took_s: float) -> None:
        """A provider was asked."""
        self._requests.labels(provider, kind, outcome).inc()
        self._request_s.labels(provider, kind).observe(took_s)

    def waited(self, provider: str, wait_s: float) -> None:
        """A send goes out for the first time."""
        self._wait_s.labels(provider).observe(wait_s)

    def ended(self, provider: str, state: str, took_s: float | None) -> None:
        """A send ended."""
        self._ends.labels(provider, state).inc()
        if took_s is not None:
            self._send_s.labels(provider, state).observe(took_s)

    async def text(self, app: App, listeners: Callable[[], int]) -> bytes:
        """Give all there is to tell now; where the store cannot be read, that it is so, and the rest."""
        try:
            figures = await app.figures()
        except KontextError:
            figures = None
        own = {"driven_sends": app.engine.driving, "listeners": listeners()}
        now = prometheus.CollectorRegistry()
        now.register(_Now(figures, own))
        return prometheus.generate_latest(self._registry) + prometheus.generate_latest(now)


_OWN: Mapping[str, str] = {
    "driven_sends": "Sends that this process moves right now.",
    "listeners": "Clients of this process that hear of what is new.",
}


class _Now(Collector):
    """How things stand at one moment."""

    def __init__(self, figures: Figures | None, own: Mapping[str, int]) -> None:
        self._figures = figures
        self._own = own

    def collect(self) -> Iterator[Metric]:
        """Give the gauges."""
        for name, value in self._own.items():
            yield GaugeMetricFamily(f"kontext_{name}", _OWN[name], value=value)
        figures = self._figures
        yield GaugeMetricFamily("kontext_store_up", "Whether the store can be read.", value=int(figures is not None))
        if figures is None:
            return
        yield GaugeMetricFamily("kontext_leases", "Sends that some process holds.", value=figures.leases)
        jobs = _gauge("jobs", "Jobs that have not ended for good.", "status")
        for status, count in figures.jobs.items():
            jobs.add_metric([status], count)
        yield jobs
        sends = _gauge("sends", "Sends that have not ended for good.", "provider", "state")
        for labels, count in figures.sends.items():
            sends.add_metric(labels, count)
        yield sends
        spent = _gauge("spent_today", "Money of this UTC day, of all owners together.", "provider", "unit", "entry")
        for one in figures.spent:
            spent.add_metric([one.provider, one.unit.value, "reserved"], float(one.reserved))
            spent.add_metric([one.provider, one.unit.value, "settled"], float(one.settled))
        yield spent


def _gauge(name: str, told: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"kontext_{name}", told, labels=labels)
