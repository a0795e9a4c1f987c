"""What schemathesis is given beside its own cases: what is there. `test_specification_cases.py` has it load this.

Half of the cases name a job, an output or an asset that exists, and half of the jobs are of a graph that runs.
"""

from __future__ import annotations

import json
import os
from typing import Any

import schemathesis

KNOWN: dict[str, Any] = json.loads(os.environ["COMFY_TEST_KNOWN"])


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: Any) -> Any:
    if not isinstance(path_parameters, dict):
        return path_parameters
    for name, value in path_parameters.items():
        known = KNOWN["hash" if name == "hash" else "jobs" if "/jobs/" in context.operation.path else "assets"]
        drawn = sum(map(ord, str(value)))  # as much by chance as the value is
        if drawn % 2:
            path_parameters[name] = known[drawn // 2 % len(known)]
    return path_parameters


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    if not isinstance(body, dict):
        return body
    drawn = len(json.dumps(body, default=str))
    if drawn % 2 == 0:
        return body
    if isinstance(body.get("workflow"), dict):  # what is wrong on purpose stays so
        body["workflow"] = KNOWN["workflow"]
    if isinstance(body.get("hash"), str):
        body["hash"] = KNOWN["hash"][0]
    if "file" in body and isinstance(body.get("content_type"), str) and isinstance(body.get("file_path"), str):
        body |= {"content_type": "image/png", "file_path": f"{drawn}.png"}
        if isinstance(body.get("expected_hash"), str):
            del body["expected_hash"]
    return body
