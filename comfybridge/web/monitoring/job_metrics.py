"""The metrics of jobs, their webhooks and the agents."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from comfybridge.jobs.jobs import Jobs

OPEN = ("queued", "running")


def count_jobs(jobs: Jobs, registry: CollectorRegistry | None) -> None:
    """Count the ends of jobs, and the tries of webhooks, that this process sees.

    Args:
        registry: None: the figures are added to those of other processes.
    """
    ended = Counter("comfybridge_jobs_ended", "Jobs that have ended, by how.", ["status"], registry=registry)
    tries = Counter("comfybridge_webhook_tries", "Tries to deliver webhooks.", ["outcome"], registry=registry)
    jobs.told_end = lambda result: ended.labels(result.status).inc()
    jobs.told_try = lambda outcome: tries.labels(outcome).inc()


class JobsNow(Collector):
    """The jobs and agents as they are now. They are the same for all processes, so they are not added up."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The metrics; none where there were no jobs."""
        figures = self._jobs.figures()
        if figures is None:
            return
        states = GaugeMetricFamily("comfybridge_jobs", "Jobs that have not ended.", labels=["status"])
        for status in OPEN:
            states.add_metric([status], figures.counts.get(status, 0))
        yield states
        yield GaugeMetricFamily(
            "comfybridge_jobs_oldest_seconds",
            "For how long the oldest waiting job has waited; 0 if none waits.",
            value=figures.oldest or 0.0,
        )
        yield GaugeMetricFamily("comfybridge_agents", "Agents that are alive.", value=len(figures.agents))
        yield GaugeMetricFamily(
            "comfybridge_agent_slots",
            "Jobs that the agents can run at once.",
            value=sum(each.slots for each in figures.agents),
        )
