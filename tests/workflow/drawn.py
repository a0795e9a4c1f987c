"""Graphs as people draw them, in short: `node("KSampler", seed=1, model=["4", 0])`."""

from __future__ import annotations

from typing import Any

from comfybridge.workflow.graph import check_graph
from comfybridge.workflow.template import Template

Graph = dict[str, dict[str, Any]]


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def encode(text: Any) -> dict[str, Any]:
    return node("CLIPTextEncode", text=text, clip=["4", 1])


def sampler(**inputs: Any) -> dict[str, Any]:
    settings = {
        "seed": 7,
        "steps": 20,
        "cfg": 8,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 1,
        "model": ["4", 0],
        "positive": ["6", 0],
        "negative": ["7", 0],
        "latent_image": ["5", 0],
    }
    return node("KSampler", **{**settings, **inputs})


def default(**changes: dict[str, Any]) -> Graph:
    """ComfyUI's default graph; a change replaces or adds the node `n3` names by its digits."""
    graph = {
        "3": sampler(),
        "4": node("CheckpointLoaderSimple", ckpt_name="v1-5.safetensors"),
        "5": node("EmptyLatentImage", width=512, height=640, batch_size=1),
        "6": encode("a cat"),
        "7": encode("blurry"),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", filename_prefix="ComfyUI", images=["8", 0]),
    }
    graph.update({key.removeprefix("n"): value for key, value in changes.items()})
    return graph


def of_caller(graph: Graph) -> Template:
    """The template without a name that a graph of a caller's is, its parameters found."""
    return Template.of_graph(check_graph(graph)).learned()
