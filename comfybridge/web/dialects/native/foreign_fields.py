"""Sets aside fields of other tools' requests, which accompany a graph and mean nothing here.

Examples are the fields around a worker job's `input`, and those that newer clients send to ComfyUI's own `/prompt`.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from comfybridge.workflow.wording import clip

# These are names and states. Without them, the pictures are the same.
IDLE = {
    *("id", "prompt_id", "client_id", "job_id", "request_id", "task_id", "run_id", "workflow_id", "user_id", "uuid"),
    *("sid", "session_id", "correlation_id", "trace_id", "parent_id", "execution_id", "deployment_id", "endpoint_id"),
    *("status", "meta", "metadata", "created_at", "timestamp", "version", "title", "description", "tags", "type"),
    *("delayTime", "executionTime", "workerId", "node_errors", "exec_info", "extra_pnginfo"),
    # of ComfyUI's own history and list of jobs
    *("outputs", "priority", "create_time", "execution_start_time", "execution_end_time", "execution_status"),
    *("execution_error", "outputs_count", "previewable_outputs_count", "preview_output"),
}
_HERE = "the outputs come in this response"
_RESPONSE = "the answer comes in this response"
_LATER = f"{_RESPONSE}; POST /jobs has webhook"
_SEED = 'the graph keeps its seeds; "seed": -1 draws one'
_OUTPUT = 'write output: {"format": ..., "quality": ...}'
_CHANGES = 'write params: {"NODE.INPUT": ...}'
WEBHOOK = "webhook"
WEBHOOKS = (WEBHOOK, "webhook_url", "webhookUrl", "webhook_v2", "webhooks", "callback", "callback_url", "callbackUrl")
# These ask for something that the bridge does not do.
NOT_DONE = {
    **dict.fromkeys(WEBHOOKS, _LATER),
    **dict.fromkeys(("webhook_events_filter", "webhook_extra_params"), _RESPONSE),
    **dict.fromkeys(("s3", "s3Config", "s3_config", "aws", "bucket", "bucket_name", "storage", "upload"), _HERE),
    **dict.fromkeys(("upload_url", "gcs", "azure", "azure_blob_upload", "http_upload", "hf_upload"), _HERE),
    **dict.fromkeys(("randomise_seeds", "randomize_seeds", "randomise_seed", "randomize_seed"), _SEED),
    **dict.fromkeys(("output_format", "output_quality", "convert_output"), _OUTPUT),
    **dict.fromkeys(("modifier", "modifications"), _CHANGES),
    "return_temp_files": 'write output: {"previews": true}',
    **dict.fromkeys(("policy", "executionTimeout", "ttl"), "timeout says how many seconds the request may take"),
    **dict.fromkeys(("comfy_org_api_key", "api_key_comfy_org"), 'write extra_data: {"api_key_comfy_org": ...}'),
}


def set_aside(
    fields: Mapping[str, Any], known: Collection[str], *, is_foreign: bool
) -> tuple[dict[str, Any], list[str]]:
    """The fields without those of other tools, and a warning for each that asks for something.

    Args:
        known: the names of the bridge's own fields.
        is_foreign: whether another tool's objects surround the graph. Any field may then belong to that tool, unless
            its name is so similar to a known one that it must be misspelt.
    """
    kept, warnings = {}, []
    for name, value in fields.items():
        is_misspelt = name in WEBHOOKS and WEBHOOK in known and bool(value)  # ignored, its caller would wait in vain
        is_other = name in IDLE or name in NOT_DONE or (is_foreign and not _is_near(name, known))
        if name in known or is_misspelt or not is_other:
            kept[name] = value
        elif name not in IDLE and value not in (None, False, "", [], {}):
            warnings.append(f"{clip(name)} is not used: {NOT_DONE.get(name, 'there is no such field')}.")
    return kept, warnings


def _is_near(name: str, known: Collection[str]) -> bool:
    return bool(difflib.get_close_matches(name, known, n=1))
