"""Callers with API keys, and every call that needs one."""

from __future__ import annotations

import hashlib

KEYS = f"shop=shop-secret,press=sha256:{hashlib.sha256(b'press-secret').hexdigest()},plain-secret"
SHOP = {"Authorization": "Bearer shop-secret"}
PRESS = {"X-API-Key": "press-secret"}
EVERY_CALL = [
    ("POST", "/generate"),
    ("GET", "/results/x"),
    ("POST", "/cancel/x"),
    ("GET", "/queue"),
    ("POST", "/jobs"),
    ("GET", "/jobs"),
    ("GET", "/jobs/x"),
    ("GET", "/jobs/x/events"),
    ("GET", "/jobs/x/result"),
    ("POST", "/jobs/x/cancel"),
    ("POST", "/generate-async"),
    ("GET", "/progress/x"),
    ("GET", "/workflows"),
    ("GET", "/workflows/txt2img"),
    ("GET", "/models"),
    ("GET", "/models/checkpoints"),
    ("GET", "/stats"),
    ("GET", "/policy"),
    ("GET", "/metrics"),
    ("GET", "/nowhere"),
    ("DELETE", "/generate"),
]
DOCUMENTS = ["/", "/docs", "/docs/", "/docs/swagger.css", "/openapi.json"]
PROBES = ["/health", "/ready"]
PICTURE = {"prompt": "a cat", "width": 64, "height": 64, "steps": 1}
