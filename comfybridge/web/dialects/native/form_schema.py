"""How the document shows bodies: examples of JSON, and forms as text boxes and file pickers.

The docs page fills each box with its example and sends that; so every field has an example, and most are empty. An
empty box means that the field is not given.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, WithJsonSchema

from comfybridge.web.dialects.native.schemas import GenerateBody

PROMPT = "a lighthouse at dusk"
STEPS = 12

# 64 by 64 pixels of orange, as PNG
PICTURE = (
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAQMAAACQp+OdAAAAA1BMVEX/iADquBt0AAAAD0lEQVR42mNgGAWjgHwAAAJAAAHgTR1E"
    "AAAAAElFTkSuQmCC"
)

JSON_EXAMPLES: dict[str, dict[str, Any]] = {
    "a text": {"prompt": PROMPT, "steps": STEPS},
    "a text and a picture": {
        "workflow": "img2img",
        "prompt": "a sunset",
        "steps": STEPS,
        "denoise": 0.8,
        "images": {"image": PICTURE},
        "output": {"format": "webp"},
    },
    "a whole graph": {
        "workflow": {
            "1": {
                "class_type": "EmptyImage",
                "inputs": {"width": 256, "height": 256, "batch_size": 1, "color": 0xFF8800},
            },
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "ComfyBridge"}},
        }
    },
}

IMAGE = {
    "type": "string",
    "format": "binary",
    "description": "a file for the workflow's image, which img2img has",
}
OTHERS = {
    "type": "string",
    "format": "binary",
    "description": "a file, under a name that the graph mentions; or a text, the value of the parameter of that name",
}
WORKFLOW_OR_FILE = (
    "a template's name, such as txt2img or img2img, or a whole graph as JSON; or a file: "
    "a graph as JSON, or a PNG or WebP that ComfyUI made"
)
SHOWN = {"prompt": PROMPT, "steps": STEPS}
PARAMETER = {"type": "string", "description": "the value of the parameter of that name"}
DESCRIPTIONS = {
    "workflow": "a template's name, such as txt2img or img2img, or a whole graph as JSON",
    "prompt": "text, for the workflow's prompt parameter; or a whole graph as JSON",
}


def _as_boxes(schema: dict[str, Any]) -> None:
    """Change the JSON schema of the fields into one of texts."""
    fields = {name: _box(name, field) for name, field in schema["properties"].items()}
    first = {name: fields.pop(name) for name in ("workflow", "prompt")}
    schema["properties"] = {**first, **fields}
    schema["additionalProperties"] = PARAMETER


def _as_boxes_and_files(schema: dict[str, Any]) -> None:
    """Change the JSON schema of the fields into one of texts and files."""
    _as_boxes(schema)
    fields = schema["properties"]
    first = {name: fields.pop(name) for name in ("workflow", "prompt")}
    first["workflow"] |= {"description": WORKFLOW_OR_FILE}
    schema["properties"] = {**first, "image": IMAGE, **fields}
    schema["additionalProperties"] = OTHERS


def _box(name: str, field: dict[str, Any]) -> dict[str, Any]:
    options = [each for each in field.get("anyOf", [field]) if each.get("type") != "null"]
    types = {each.get("type", "object") for each in options}
    is_json = bool(types & {"object", "array"}) and "string" not in types
    if "string" in types:
        box = {"type": "string", **{key: options[0][key] for key in ("enum",) if key in options[0]}}
    elif is_json:
        box = {"type": "string"}  # with contentMediaType, the page would show file pickers
    else:
        box = dict(options[0])
    described = DESCRIPTIONS.get(name, field["description"])
    if is_json:
        described += ", as JSON"
    return {**box, "description": described, "examples": [SHOWN.get(name, "")]}


class GenerateFields(GenerateBody):
    """The fields of a form without files, each a text. `output.format` and `params.steps` name a field within one."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_as_boxes)

    request: GenerateBody | None = Field(None, description="all fields as one object, instead of the others")


class GenerateForm(GenerateFields):
    """The fields of a form, each a text. `output.format` and `params.steps` name a field within one."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_as_boxes_and_files)
    __pydantic_extra__: dict[str, Annotated[bytes, WithJsonSchema(OTHERS)]]
