"""`GET /api/v2/jobs/ID/events`: a job as server-sent events."""
