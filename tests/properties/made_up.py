"""Things that nobody meant to send."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

NODE_IDS = ("1", "2", "3", "4", "5:6", "a.b", "", "\u202e", "-1")
CLASSES = (
    *("KSampler", "SaveImage", "EmptyImage", "ImageInvert", "CLIPTextEncode", "EmptyLatentImage", "VAEDecode"),
    *("CheckpointLoaderSimple", "LoadImage", "PreviewImage", "SaveImageWebsocket", "PreviewAny", "LoraLoader"),
    *(".", "..", "a/../b", "No such", "\0", "\u65e5" * 300),
)
INPUTS = (
    *("image", "images", "model", "positive", "negative", "latent_image", "samples", "clip", "vae", "text", "seed"),
    *("steps", "cfg", "guidance", "width", "height", "batch_size", "sampler_name", "scheduler", "denoise", "color"),
    *("ckpt_name", "filename_prefix", "value", "prompt", "sigmas", "guider", "noise", "a.b", "", "upscale\n"),
)
FIELDS = (
    *("workflow", "prompt", "params", "negative_prompt", "seed", "steps", "cfg", "width", "height", "batch_size"),
    *(
        "model",
        "sampler_name",
        "scheduler",
        "denoise",
        "images",
        "timeout",
        "wait",
        "on_timeout",
        "output",
        "retries",
    ),
    *("keepalive", "extra_data", "front", "number", "partial_execution_targets", "client_id", "image_count", "x"),
)

texts = st.text(max_size=20) | st.sampled_from(
    [
        "txt2img",
        "img2img",
        "../x",
        "euler",
        "normal",
        "a\0b",
        "\ud800",
        "\r\nX: y",
        "x.png",
        "data:,x",
        "http://[",
        "-1",
    ]
)
numbers = (
    st.integers(-(2**70), 2**70)
    | st.sampled_from([0, 1, -1, 8, 64, 2**63, 2**64, 10**400])
    | st.floats(allow_nan=True, allow_infinity=True)
)
scalars: st.SearchStrategy[Any] = st.none() | st.booleans() | numbers | texts


def json_values(keys: st.SearchStrategy[str] = texts, leaves: int = 12) -> st.SearchStrategy[Any]:
    """Anything that JSON can say, and what Python's JSON says beyond."""
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5),
        max_leaves=leaves,
    )


links = st.tuples(st.sampled_from(NODE_IDS) | st.integers(0, 6), st.integers(-1, 3)).map(list)
small = st.sampled_from(
    [0, 1, 2, 8, 16, 20, 64, 7.5, "euler", "normal", "a cat", "sd_v1-5.safetensors", True, None, ""]
)
inputs = st.dictionaries(st.sampled_from(INPUTS), links | small | json_values(leaves=3), max_size=7)
nodes = st.fixed_dictionaries(
    {"class_type": st.sampled_from(CLASSES), "inputs": inputs}, optional={"_meta": json_values(leaves=3)}
)
graphs = st.dictionaries(st.sampled_from(NODE_IDS), nodes | json_values(leaves=3), min_size=1, max_size=6)
targets = st.builds(lambda node, name: f"{node}.{name}", st.sampled_from(NODE_IDS), st.sampled_from(INPUTS))
params = st.dictionaries(targets | st.sampled_from(FIELDS) | texts, small | links | json_values(leaves=3), max_size=4)
