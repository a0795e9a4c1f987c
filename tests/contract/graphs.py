"""Graphs with values that no server has seen before, so that no earlier test's cached result gets in the way."""

from __future__ import annotations

import uuid
from typing import Any

Graph = dict[str, Any]


def unique() -> str:
    return uuid.uuid4().hex


def seed() -> int:
    return uuid.uuid4().int % 2**63


def color() -> int:
    return uuid.uuid4().int % 2**24


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def plain(width: int = 32, height: int = 24, batch_size: int = 1) -> dict[str, Any]:
    """A node that makes a picture of one colour."""
    return node("EmptyImage", width=width, height=height, batch_size=batch_size, color=color())


def saved(**size: int) -> Graph:
    """Node 1 makes a picture, node 2 saves it in a folder of its own."""
    return {"1": plain(**size), "2": node("SaveImage", images=["1", 0], filename_prefix=f"contract/{unique()}/x")}


def frames(count: int) -> tuple[Graph, list[Any]]:
    """Nodes that make a number of pictures of different colours, and the link to their batch.

    They must differ, because encoders of animations drop frames without a change.
    """
    graph: Graph = {"p1": plain()}
    link = ["p1", 0]
    for number in range(2, count + 1):
        graph[f"p{number}"] = plain()
        graph[f"b{number}"] = node("ImageBatch", image1=link, image2=[f"p{number}", 0])
        link = [f"b{number}", 0]
    return graph, link


def sent(**size: int) -> Graph:
    """Node 1 makes a picture, node 2 sends it over the websocket."""
    return {"1": plain(**size), "2": node("SaveImageWebsocket", images=["1", 0])}


def loaded(name: str) -> Graph:
    """Node 1 loads an input file, node 2 saves it."""
    return {
        "1": node("LoadImage", image=name),
        "2": node("SaveImage", images=["1", 0], filename_prefix=f"contract/{unique()}/x"),
    }


def txt2img(checkpoint: str, steps: int = 2, width: int = 64, height: int = 64) -> Graph:
    """The usual graph: 3 samples, 9 saves."""
    return {
        "3": node(
            "KSampler",
            seed=seed(),
            steps=steps,
            cfg=7.0,
            sampler_name="euler",
            scheduler="normal",
            denoise=1.0,
            model=["4", 0],
            positive=["6", 0],
            negative=["7", 0],
            latent_image=["5", 0],
        ),
        "4": node("CheckpointLoaderSimple", ckpt_name=checkpoint),
        "5": node("EmptyLatentImage", width=width, height=height, batch_size=1),
        "6": node("CLIPTextEncode", text="a cat", clip=["4", 1]),
        "7": node("CLIPTextEncode", text="bad", clip=["4", 1]),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", filename_prefix=f"contract/{unique()}/x", images=["8", 0]),
    }
