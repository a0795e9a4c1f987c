"""The routes of the job list."""

import uuid
from typing import Any

from aiohttp import web

from comfybridge.simulator.instance_parts import Parts
from comfybridge.simulator.jobs import IN_PROGRESS, PENDING, STATUSES, job_of_history, job_of_queue, whole_job


class JobRoutes:
    """GET /api/jobs and /api/jobs/ID, POST /api/jobs/ID/cancel and /api/jobs/cancel, where the version has them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def table(self) -> list[web.RouteDef]:
        version = self._parts.world.version
        routes = []
        if version.lists_jobs:
            routes += [web.get("/api/jobs", self.get_jobs), web.get("/api/jobs/{job_id}", self.get_job)]
        if version.cancels_jobs:
            routes += [
                web.post("/api/jobs/{job_id}/cancel", self.cancel_job),
                web.post("/api/jobs/cancel", self.cancel_jobs),
            ]
        return routes

    async def get_jobs(self, request: web.Request) -> web.Response:
        query = request.query
        statuses = [each.strip().lower() for each in query.get("status", "").split(",") if each.strip()]
        unknown = [each for each in statuses if each not in STATUSES]
        if unknown:
            return _refusal(f"Invalid status value(s): {', '.join(unknown)}. Valid values: {', '.join(STATUSES)}")
        sort_by, order = query.get("sort_by", "created_at").lower(), query.get("sort_order", "desc").lower()
        if sort_by not in ("created_at", "execution_duration"):
            return _refusal("sort_by must be 'created_at' or 'execution_duration'")
        if order not in ("asc", "desc"):
            return _refusal("sort_order must be 'asc' or 'desc'")
        try:
            limit = int(query["limit"]) if "limit" in query else None
        except ValueError:
            return _refusal("limit must be an integer")
        if limit is not None and limit <= 0:
            return _refusal("limit must be a positive integer")
        try:
            offset = max(0, int(query.get("offset", 0)))
        except ValueError:
            return _refusal("offset must be an integer")
        jobs = self._jobs(statuses or list(STATUSES))
        if "workflow_id" in query:
            jobs = [job for job in jobs if job.get("workflow_id") == query["workflow_id"]]
        jobs.sort(key=_duration if sort_by == "execution_duration" else _created_at, reverse=order == "desc")
        page = jobs[offset:][:limit]
        pagination = {
            "offset": offset,
            "limit": limit,
            "total": len(jobs),
            "has_more": offset + len(page) < len(jobs),
        }
        return web.json_response({"jobs": page, "pagination": pagination})

    async def get_job(self, request: web.Request) -> web.Response:
        job_id, queue = request.match_info["job_id"], self._parts.queue
        entry = queue.history_of(job_id).get(job_id)
        if entry is not None:
            return web.json_response(whole_job(entry))
        for items, status in ((queue.running, IN_PROGRESS), (queue.pending, PENDING)):
            for item in items:
                if item[1] == job_id:
                    return web.json_response(job_of_queue(item, status))
        return web.json_response({"error": "Job not found"}, status=404)

    async def cancel_job(self, request: web.Request) -> web.Response:
        return web.json_response({"cancelled": self._cancel(request.match_info["job_id"])})

    async def cancel_jobs(self, request: web.Request) -> web.Response:
        try:
            body = await request.json()
        except ValueError:
            return _refusal("Request body must be valid JSON")
        job_ids = body.get("job_ids") if isinstance(body, dict) else None
        if not isinstance(job_ids, list):
            return _refusal("job_ids must be a list")
        invalid = [each if isinstance(each, str) else repr(each) for each in job_ids if not _is_uuid(each)]
        if invalid:
            return _refusal("job_ids contains invalid id(s)", invalid_ids=invalid)
        cancelled = [self._cancel(each) for each in job_ids]
        return web.json_response({"cancelled": any(cancelled)})

    def _jobs(self, statuses: list[str]) -> list[dict[str, Any]]:
        queue = self._parts.queue
        jobs = [job_of_queue(item, IN_PROGRESS) for item in queue.running if IN_PROGRESS in statuses]
        jobs += [job_of_queue(item, PENDING) for item in queue.pending if PENDING in statuses]
        if {*statuses} - {IN_PROGRESS, PENDING}:
            ended = map(job_of_history, queue.history().values())
            jobs += [job for job in ended if job["status"] in statuses]
        return jobs

    def _cancel(self, job_id: str) -> bool:
        """Whether there was anything to cancel."""
        return self._parts.interrupt(job_id) or self._parts.queue.delete(job_id)


def _refusal(error: str, **more: Any) -> web.Response:
    return web.json_response({"error": error, **more}, status=400)


def _created_at(job: dict[str, Any]) -> Any:
    return job.get("create_time", 0)


def _duration(job: dict[str, Any]) -> Any:
    start, end = job.get("execution_start_time", 0), job.get("execution_end_time", 0)
    return end - start if start and end else 0


def _is_uuid(value: Any) -> bool:
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        return False
