"""Where the records of jobs are in the engine: streams and subjects."""

from __future__ import annotations

from comfybridge.jobs.job import Kind

STREAMS: dict[Kind, str] = {"kept": "COMFYBRIDGE_KEPT", "live": "COMFYBRIDGE_LIVE"}
RESULT_STREAMS: dict[Kind, str] = {"kept": "COMFYBRIDGE_RESULTS", "live": "COMFYBRIDGE_LIVE"}
LIVE_RESULT_SECONDS = 600.0  # for which the result of a live job is kept


def job_subject(kind: Kind, job_id: str) -> str:
    return f"comfybridge.{kind}.job.{job_id}"


def claim_subject(kind: Kind, job_id: str) -> str:
    return f"comfybridge.{kind}.claim.{job_id}"


def open_subjects(kind: Kind, job_id: str) -> str:
    """All that there is of a job until it has ended: itself and its claim."""
    return f"comfybridge.{kind}.*.{job_id}"


def result_subject(kind: Kind, job_id: str, *, has_webhook: bool) -> str:
    """Results with a webhook have subjects of their own: those who send webhooks follow only these."""
    return f"comfybridge.{kind}.result.{'hook' if has_webhook and kind == 'kept' else 'plain'}.{job_id}"


def secrets_subject(name: str) -> str:
    """Where that part of a request is which must never be on a disk: in the engine's memory."""
    return f"comfybridge.live.secret.{name}"


def agent_subject(agent_id: str) -> str:
    """Where an agent announces itself; not stored."""
    return f"comfybridge.agent.{agent_id}"
