"""Cancels jobs by way of their claims, so that a job is never called cancelled whose prompt runs to its end.

Agents claim by compare-and-set. A cancel that is first to write the next claim of a waiting job proves that nobody
runs it. One that is too late knows that an agent does, and tells that agent by writing its claim anew; the job then
ends as its prompt ends.
"""

from __future__ import annotations

from dataclasses import replace

from comfybridge.engine.engine import Engine
from comfybridge.engine.messages import Conflict
from comfybridge.jobs.board import Entry
from comfybridge.jobs.job import Claim, Job
from comfybridge.jobs.subjects import STREAMS, claim_subject

NOBODY = Claim("given_back", agent="", session="", attempt=0)


def claim_to_cancel(engine: Engine, job: Job, entry: Entry | None, *, by_agents: bool = True) -> Claim | None:
    """Keep a job from being begun, or have the agent that runs it interrupt it.

    Args:
        entry: a copy of the job's entry; None if the mirror does not know it yet.
        by_agents: whether a waiting job whose prompt may be in a ComfyUI is left to the next agent that takes it,
            which asks that ComfyUI.

    Returns:
        The job's last claim until now, if nobody runs it any more, so that the caller must store its result; None if
        an agent does so.

    Raises:
        EngineUnreachable: that may have been done, or not.
    """
    claim, sequence = _stored(engine, job) if entry is None else (entry.claim or NOBODY, entry.claim_sequence)
    waits = claim.state == "given_back" if entry is None else entry.state == "queued"
    while True:
        if claim.state == "ended":
            return claim if claim.cancelled else None
        is_known = waits and (claim.sent or claim.state == "running")  # the agent of a running one is dead
        if waits and not (is_known and by_agents):
            wanted = replace(claim, state="ended", cancelled=True)
        else:
            wanted = replace(
                claim, state="given_back" if waits else "running", sent=claim.sent or is_known, cancelled=True
            )
        try:
            if wanted != claim:
                engine.publish(claim_subject(job.kind, job.id), wanted.to_bytes(), expected=sequence)
            return claim if wanted.state == "ended" else None
        except Conflict:
            claim, sequence = _stored(engine, job)
            waits = claim.state == "given_back"


def _stored(engine: Engine, job: Job) -> tuple[Claim, int]:
    """The last claim of a job, whatever the mirror knows, and its sequence."""
    stored = engine.get(STREAMS[job.kind], claim_subject(job.kind, job.id))
    if stored is None or not stored.data:
        return NOBODY, 0 if stored is None else stored.sequence
    return Claim.from_bytes(stored.data), stored.sequence
