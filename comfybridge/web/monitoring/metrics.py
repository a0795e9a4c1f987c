"""`GET /metrics`: the activity of this bridge and the state of its servers, for Prometheus.

Requests are counted once their answers have been sent. With several worker processes, each keeps its figures in files
of a common folder (see `sharing.py`), and the process that answers adds them up.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import cast

from flask import Blueprint, Flask, Response, current_app, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from comfybridge.bridge import Bridge
from comfybridge.comfyui.servers import Server, Servers
from comfybridge.errors import BridgeError
from comfybridge.jobs.jobs import Jobs
from comfybridge.request import Timings
from comfybridge.web.current import check_server_info
from comfybridge.web.describing import Answer, describes
from comfybridge.web.marks import marked
from comfybridge.web.monitoring.job_metrics import JobsNow, count_jobs
from comfybridge.web.monitoring.merging import MergedMetrics
from comfybridge.web.monitoring.sharing import FOLDER, is_sharing
from comfybridge.web.request_log import Entry

blueprint = Blueprint("metrics", __name__)

EXTENSION = "comfybridge.metrics"
# A picture takes from a tenth of a second to minutes, and a video up to an hour, the longest timeout by default.
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
PUBLISH_SECONDS = 1.0
PLAIN = "text/plain; version=0.0.4; charset=utf-8"

# the start time of each counter would double the lines, and no one uses it
disable_created_metrics()  # type: ignore[no-untyped-call]


@blueprint.get("/metrics")
@marked(is_quiet=True)
@describes(
    tag="Probes",
    answers=Answer(
        "The metrics, in the format that `Accept` names.", {"text/plain": str, "application/openmetrics-text": str}
    ),
)
def get_metrics() -> Response:
    """Requests, times, slots and servers, for Prometheus."""
    check_server_info()
    metrics = cast(Metrics, current_app.extensions[EXTENSION])
    # the library's own function fails on unknown versions
    if "application/openmetrics-text" in request.headers.get("Accept", ""):
        text = openmetrics.generate_latest(metrics.gathered())  # type: ignore[no-untyped-call]
        return Response(text, content_type=openmetrics.CONTENT_TYPE_LATEST)
    return Response(generate_latest(metrics.gathered()), content_type=PLAIN)


def begin(app: Flask, bridge: Bridge, jobs: Jobs | None) -> Callable[[Entry], None]:
    """Begin to measure. Returns a function to call with each request whose answer has been sent."""
    metrics = app.extensions[EXTENSION] = Metrics(bridge, jobs)
    return metrics.count


def publish_always(app: Flask) -> None:
    """Publish this process's gauges to the other worker processes for as long as it lives."""
    metrics: Metrics | None = app.extensions.get(EXTENSION)
    if metrics is not None and metrics.is_shared:
        threading.Thread(target=metrics.publish_always, name="comfybridge metrics", daemon=True).start()


class Metrics:
    """The metrics of an application. Safe to share between threads.

    Attributes:
        is_shared: whether the figures are added to those of other processes.
    """

    def __init__(self, bridge: Bridge, jobs: Jobs | None) -> None:
        self.is_shared = is_sharing()
        if self.is_shared:
            os.makedirs(os.environ[FOLDER], exist_ok=True)
        self._bridge = bridge
        # Each application has its own registry: a process may have several, as the tests do. Shared metrics are read
        # from the files.
        self._registry = CollectorRegistry()
        own = None if self.is_shared else self._registry
        self._requests = Counter(
            "comfybridge_requests",
            "Requests that were answered, except successful probes.",
            ["dialect", "operation", "workflow", "outcome"],
            registry=own,
        )
        self._sent = Counter("comfybridge_sent_bytes", "Bytes of the bodies of all answers.", registry=own)
        phases = Histogram(
            "comfybridge_generate_seconds",
            "Seconds of requests whose prompts were queued, by phase: in ComfyUI's queue, executing, delivering the "
            "answer; total is the whole time.",
            ["phase"],
            buckets=SECONDS,
            registry=own,
        )
        self._queued, self._executing, self._delivering, self._total = (
            phases.labels(each) for each in ("queued", "executing", "delivering", "total")
        )
        self._slots = Gauge(
            "comfybridge_slots", "Requests that may wait at once.", registry=own, multiprocess_mode="livesum"
        )
        self._taken = Gauge(
            "comfybridge_slots_taken", "Requests that wait now.", registry=own, multiprocess_mode="livesum"
        )
        in_flight = Gauge(
            "comfybridge_server_in_flight",
            "Requests of this bridge in progress on a ComfyUI.",
            ["server"],
            registry=own,
            multiprocess_mode="livesum",
        )
        self._in_flight = {server: in_flight.labels(server.url) for server in bridge.servers.all}
        if self.is_shared:
            self._registry.register(MergedMetrics())
        self._registry.register(_ServerHealth(bridge.servers))
        if jobs is not None:
            count_jobs(jobs, own)
            self._registry.register(JobsNow(jobs))

    def count(self, entry: Entry) -> None:
        """Count a request whose answer has been sent."""
        trace = entry.trace
        workflow = (trace.workflow if trace is not None else None) or ""
        self._requests.labels(entry.dialect, entry.operation, workflow, entry.outcome).inc()
        self._sent.inc(entry.sent)
        if trace is None or trace.prompt_id is None:
            return
        self._total.observe(entry.seconds)
        if trace.timings is not None and trace.ran_at is not None and _is_its_own(trace.timings, entry.seconds):
            self._delivering.observe(entry.started + entry.seconds - trace.ran_at)
            if trace.timings.queued is not None:
                self._queued.observe(trace.timings.queued)
            if trace.timings.executing is not None:
                self._executing.observe(trace.timings.executing)

    def gathered(self) -> CollectorRegistry:
        """All metrics as they are now."""
        self._publish()
        return self._registry

    def publish_always(self) -> None:
        """Keep this process's published gauges up to date. Never returns."""
        while True:
            self._publish()
            time.sleep(PUBLISH_SECONDS)

    def _publish(self) -> None:
        self._slots.set(self._bridge.slots.count)
        self._taken.set(self._bridge.slots.taken)
        for server, gauge in self._in_flight.items():
            gauge.set(server.in_flight)


def _is_its_own(timings: Timings, seconds: float) -> bool:
    """Whether a prompt ran for this request, and not for an earlier one that it repeats."""
    return (timings.queued or 0.0) + (timings.executing or 0.0) <= seconds


class _ServerHealth(Collector):
    """The state of the servers. It is the same for all processes, so it is not added up."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    def collect(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("comfybridge_server_up", "Whether a ComfyUI answers.", labels=["server"])
        queue = GaugeMetricFamily(
            "comfybridge_server_queue_remaining",
            "Prompts that wait or run on a ComfyUI, from any client.",
            labels=["server"],
        )
        for server in self._servers.all:
            is_up = self._answers(server)
            up.add_metric([server.url], float(is_up))
            length = server.queue_remaining if is_up else None
            if length is not None:
                queue.add_metric([server.url], length)
        yield up
        yield queue

    def _answers(self, server: Server) -> bool:
        """Whether a server answers; this also updates what is known of its queue.

        It is asked only if nothing was heard from it within the last seconds: its websocket is silent if nothing
        runs, and does not reveal a server that hangs.
        """
        if not server.is_up:  # another check is under way
            return False
        try:
            server.ask()
        except BridgeError:
            self._servers.mark_down(server)
            return False
        return True
