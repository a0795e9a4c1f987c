"""The node that shows a 3D model. Nothing here makes one: it shows a named file."""

from typing import Any

from comfybridge.simulator.nodes.definition import NodeRun, node


@node(
    "Preview3D",
    {"model_file": ("STRING", {"default": "", "multiline": False})},
    optional={"camera_info": ("LOAD3D_CAMERA", {})},
    output_node=True,
    category="3d",
    title="Preview 3D",
    module="comfy_extras.nodes_load_3d",
    experimental=True,
)
def preview_3d(run: NodeRun, model_file: str, camera_info: Any = None) -> dict[str, Any]:
    background = [None] if run.world.version.is_modern else []
    return {"result": [model_file, camera_info, *background]}
