"""How the document shows the form of an edit: as texts and files."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from comfybridge.web.dialects.openai.schemas import EditBody

FILE = {"type": "string", "format": "binary"}
FILES = {
    "image": {**FILE, "description": "the picture to edit"},
    "image[]": {"type": "array", "items": FILE, "description": "several pictures, in place of image"},
    "mask": {**FILE, "description": "a picture whose transparent pixels mark what to edit"},
}
LEFT_OUT = ("images", "markup", "svg", "frame_count", "frame_duration_ms")
PROMPT = "a sunset"


def _as_boxes(schema: dict[str, Any]) -> None:
    """Change the JSON schema of the fields into one of texts and files; an empty text means not given."""
    fields = {name: _box(name, each) for name, each in schema["properties"].items() if name not in LEFT_OUT}
    schema["properties"] = {"prompt": fields.pop("prompt"), **fields, **FILES}
    schema["required"] = ["prompt", "image"]


def _box(name: str, field: dict[str, Any]) -> dict[str, Any]:
    options = [each for each in field.get("anyOf", [field]) if each.get("type") != "null"]
    first = options[0] if options else {}
    shown = {"description": field.get("description", ""), "examples": [PROMPT if name == "prompt" else ""]}
    if first.get("type") in ("integer", "number", "boolean"):
        return {**first, **shown}
    return {"type": "string", **{key: first[key] for key in ("enum", "pattern") if key in first}, **shown}


class EditForm(EditBody):
    """The form of an edit. A parameter of the workflow is a field of its own, as in `params[denoise]`."""

    model_config = ConfigDict(json_schema_extra=_as_boxes)
