"""Prompts as the job list shows them, in one shape whether they wait, run or have ended."""

from collections.abc import Iterator
from typing import Any

from comfybridge.simulator.prompt_queue import Item

PENDING, IN_PROGRESS, COMPLETED, FAILED, CANCELLED = STATUSES = (
    *("pending", "in_progress", "completed", "failed", "cancelled"),
)

_MEDIA = frozenset({"images", "video", "audio", "3d", "text"})
_MODELS = (".obj", ".fbx", ".gltf", ".glb", ".usdz")
_TEXTS = (".txt", ".md", ".json")
_LONGEST_TEXT = 1024


def job_of_queue(item: Item, status: str) -> dict[str, Any]:
    """A prompt that waits or runs. Raises AttributeError for `extra_data` that the list cannot handle."""
    number, prompt_id, _, extra_data, _ = item
    return _known(
        {
            "id": prompt_id,
            "status": status,
            "priority": number,
            "create_time": extra_data.get("create_time"),
            "outputs_count": 0,
            "previewable_outputs_count": 0,
            "workflow_id": _workflow_id(extra_data),
        }
    )


def job_of_history(entry: dict[str, Any]) -> dict[str, Any]:
    """A prompt that has ended, without its outputs. Raises AttributeError as `job_of_queue` does."""
    number, prompt_id, _, extra_data, _ = entry["prompt"]
    told = dict(entry["status"]["messages"])
    ends = [data for event, data in told.items() if event in _ENDS]
    shown = list(_shown(entry["outputs"]))
    counted = [(kind, item) for _, kind, item in shown if isinstance(item, dict)]
    return _known(
        {
            "id": prompt_id,
            "status": _status(entry["status"]["status_str"], told),
            "priority": number,
            "create_time": extra_data.get("create_time"),
            "execution_start_time": told.get("execution_start", {}).get("timestamp"),
            "execution_end_time": ends[-1].get("timestamp") if ends else None,
            "execution_error": told.get("execution_error"),
            "outputs_count": len(counted),
            "previewable_outputs_count": sum(_is_previewable(kind, item) for kind, item in counted),
            "preview_output": _preview(shown),
            "workflow_id": _workflow_id(extra_data),
        }
    )


def whole_job(entry: dict[str, Any]) -> dict[str, Any]:
    """A prompt that has ended, with its outputs and its graph."""
    _, _, graph, extra_data, _ = entry["prompt"]
    return {
        **job_of_history(entry),
        "outputs": {node: _normalized(outputs) for node, outputs in entry["outputs"].items()},
        "execution_status": entry["status"],
        "workflow": {"prompt": graph, "extra_data": extra_data},
    }


_ENDS = ("execution_success", "execution_error", "execution_interrupted")


def _known(job: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in job.items() if value is not None}


def _workflow_id(extra_data: dict[str, Any]) -> Any:
    # As in ComfyUI, an `extra_pnginfo` that is not an object, or a `workflow` in it that is not one, breaks the whole
    # list.
    return extra_data.get("extra_pnginfo", {}).get("workflow", {}).get("id")


def _status(word: str, told: dict[str, Any]) -> str:
    if word != "error":
        return COMPLETED
    return CANCELLED if "execution_interrupted" in told else FAILED


def _normalized(outputs: Any) -> Any:
    """A node's outputs, with paths of 3D models written as files."""
    return {
        kind: [_as_file(item) or item for item in items if item is not None]
        if kind != "animated" and isinstance(items, list)
        else items
        for kind, items in outputs.items()
    }


def _shown(outputs: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Node, kind and item of all outputs; a text stays one, unless it is the path of a 3D model."""
    for node, kinds in outputs.items():
        for kind, items in kinds.items():
            if kind != "animated" and isinstance(items, list):
                for item in items:
                    yield node, kind, _as_file(item) or item


def _as_file(item: Any) -> dict[str, Any] | None:
    if isinstance(item, str) and item.lower().endswith(_MODELS):
        return {"filename": item, "type": "output", "subfolder": "", "mediaType": "3d"}
    return item if isinstance(item, dict) else None


def _is_previewable(kind: str, item: dict[str, Any]) -> bool:
    name = item.get("filename", "").lower()
    return (
        kind in _MEDIA or item.get("format", "").startswith(("video/", "audio/")) or name.endswith(_MODELS + _TEXTS)
    )


def _preview(shown: list[tuple[str, str, Any]]) -> dict[str, Any] | None:
    """The output that represents the prompt: saved pictures before others, then text files, then texts."""
    found: dict[int, dict[str, Any]] = {}
    for node, kind, item in shown:
        if isinstance(item, dict) and _is_previewable(kind, item):
            is_text = kind == "text" or item.get("filename", "").lower().endswith(_TEXTS)
            rank = 2 if is_text else 0 if item.get("type") == "output" else 1
            found.setdefault(rank, {"mediaType": kind, **item, "nodeId": node})
        elif kind == "text" and not isinstance(item, dict):
            cut = {"truncated": True} if len(str(item)) > _LONGEST_TEXT else {}
            text = {"content": str(item)[:_LONGEST_TEXT], **cut}
            found.setdefault(3, {**text, "nodeId": node, "mediaType": kind})
    return found[min(found)] if found else None
