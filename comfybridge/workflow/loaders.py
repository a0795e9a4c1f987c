"""Finds the model's file, from a sampler's model input upwards."""

from __future__ import annotations

from comfybridge.workflow.links import Source, Walked, follow, links, may_go_on
from comfybridge.workflow.parameters import Target

FILES = ("ckpt_name", "unet_name", "model_name", "diffusion_model_name", "checkpoint_name", "base_ckpt_name")
ENDINGS = (".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf")
# files that accompany a model but are not the model itself
BESIDE = ("lora", "vae", "clip", "control", "style", "upscale", "embedding", "hypernetwork", "text_encoder")


def find_model(graph: Walked, start: Source | None) -> Target | None:
    """The input that names the model's file, past LoRAs and patches."""
    seen: set[str] = set()
    pending = [start[0]] if start else []
    while pending and may_go_on(graph):
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        graph.look_at(node)
        linked = links(graph, node)
        models = [origin for name, (origin, _) in linked.items() if name.startswith(("model", "unet"))]
        found = None if models else _file(graph, node)
        if found:
            return found
        pending.extend(reversed(models or [origin for name, (origin, _) in linked.items()]))
    return None


def _file(graph: Walked, node: str) -> Target | None:
    inputs = graph[node]["inputs"]
    known = next((name for name in FILES if name in inputs), None)
    if known:
        return follow(graph, node, known, "string")
    for name, value in inputs.items():
        is_name = name == "model" or (name.endswith("_name") and not name.startswith(BESIDE))
        if is_name and isinstance(value, str) and value.lower().endswith(ENDINGS):
            return Target(node, name)
    return None


def only_model(graph: Walked) -> list[Target]:
    """The input that names a model, in a graph that has just one."""
    found = [Target(node, name) for node in graph for name in (*FILES, "model") if _is_text(graph, node, name)]
    return found if len(found) == 1 else []


def _is_text(graph: Walked, node: str, name: str) -> bool:
    return isinstance(graph[node]["inputs"].get(name), str)
