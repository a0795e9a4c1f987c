"""Nodes that make videos of pictures. The files that they save are not real videos: see `stand_ins`."""

import hashlib
import json
from typing import Any

from comfybridge.simulator import stand_ins
from comfybridge.simulator.nodes.definition import NodeRun, Result, decimal, node
from comfybridge.simulator.nodes.dynamic import COMBO
from comfybridge.simulator.nodes.saving import save_file
from comfybridge.simulator.nodes.values import Pictures, Sound, Video

_MODULE = "comfy_extras.nodes_video"
_CATEGORY = "image/video"
_FORMATS = ["auto", "mp4"]
_CODECS = ["auto", "h264"]
_WEBM_CODECS = ["vp9", "av1"]
DYNAMIC = "0.26"  # approximately: between 0.18 and 0.33, the choice of a format got a choice of codecs


@node(
    "CreateVideo",
    {"images": ("IMAGE", {}), "fps": decimal(30.0, 1.0, 120.0, 1.0)},
    optional={"audio": ("AUDIO", {})},
    returns=("VIDEO",),
    category=_CATEGORY,
    title="Create Video",
    module=_MODULE,
    modern=True,
)
def create_video(_: NodeRun, images: Pictures, fps: float, audio: Sound | None = None) -> tuple[Video]:
    return (Video(images, fps, audio),)


def _codecs(*names: str) -> tuple[str, dict[str, Any]]:
    crf = decimal(23.0, 0.0, 51.0, 1.0)
    modes = [
        {"key": "auto", "inputs": {"required": {}}},
        {"key": "re-encode", "inputs": {"required": {"crf": crf}}},
    ]
    encoding = {"encoding": (COMBO, {"options": modes})}
    rest = {name: {} if name == "auto" else encoding for name in names}
    return (COMBO, {"options": [{"key": name, "inputs": {"required": {}, "optional": rest[name]}} for name in names]})


def _container(name: str, *codecs: str) -> dict[str, Any]:
    return {"key": name, "inputs": {"required": {"codec": _codecs(*codecs)}}}


@node(
    "SaveVideo",
    {
        "video": ("VIDEO", {}),
        "filename_prefix": ("STRING", {"default": "video/ComfyUI", "multiline": False}),
        "format": (
            COMBO,
            {
                "options": [
                    *(_container(name, "auto", "h264", "av1") for name in ("auto", "mp4", "mkv")),
                    _container("webm", "auto", "av1"),
                ]
            },
        ),
    },
    optional={"codec": _codecs("auto", "h264", "av1")},
    returns=("VIDEO",),
    return_names=("video",),
    saves_metadata=True,
    output_node=True,
    category="video",
    title="Save Video",
    module=_MODULE,
    modern=True,
    since=DYNAMIC,
)
def save_video_of_format(
    run: NodeRun, video: Video, filename_prefix: str, format: dict[str, Any], codec: dict[str, Any] | None = None
) -> Result:
    """As `save_video`; a WebM or MKV begins as a WebM."""
    container = format["format"]
    ending = "mp4" if container == "auto" else container
    make = stand_ins.mp4 if ending == "mp4" else stand_ins.webm
    file = save_file(run, make(_note(video)), filename_prefix, ending, size=video.pictures[0].size)
    return Result((video,), _shown(file))


@node(
    "SaveVideo",
    {
        "video": ("VIDEO", {}),
        "filename_prefix": ("STRING", {"default": "video/ComfyUI", "multiline": False}),
        "format": ("COMBO", {"default": "auto", "multiselect": False, "options": _FORMATS}),
        "codec": ("COMBO", {"default": "auto", "multiselect": False, "options": _CODECS}),
    },
    saves_metadata=True,
    output_node=True,
    category=_CATEGORY,
    title="Save Video",
    module=_MODULE,
    modern=True,
    until=DYNAMIC,
)
def save_video(run: NodeRun, video: Video, filename_prefix: str, format: str, codec: str) -> dict[str, Any]:
    """Writes the first bytes of an MP4, with a note of what the video would show, and no video."""
    # Choices in this shape are not checked before the graph runs.
    _check_choice("VideoContainer", format, _FORMATS)
    _check_choice("VideoCodec", codec, _CODECS)
    content = stand_ins.mp4(_note(video))
    return _shown(save_file(run, content, filename_prefix, "mp4", size=video.pictures[0].size))


@node(
    "SaveWEBM",
    {
        "images": ("IMAGE", {}),
        "filename_prefix": ("STRING", {"default": "ComfyUI", "multiline": False}),
        "codec": ("COMBO", {"multiselect": False, "options": _WEBM_CODECS}),
        "fps": decimal(24.0, 0.01, 1000.0, 0.01),
        "crf": decimal(32.0, 0, 63.0, 1),
    },
    saves_metadata=True,
    output_node=True,
    category=_CATEGORY,
    module=_MODULE,
    modern=True,
    experimental=True,
)
def save_webm(
    run: NodeRun, images: Pictures, filename_prefix: str, codec: str, fps: float, crf: float
) -> dict[str, Any]:
    """Writes the first bytes of a WebM, with a note of what the video would show, and no video."""
    if codec not in _WEBM_CODECS:
        raise KeyError(codec)
    content = stand_ins.webm(_note(Video(images, fps)))
    return _shown(save_file(run, content, filename_prefix, "webm", size=images[0].size))


def _check_choice(name: str, value: str, choices: list[str]) -> None:
    if value not in choices:
        raise ValueError(f"{value!r} is not a valid {name}")


def _shown(file: dict[str, str]) -> dict[str, Any]:
    return {"images": [file], "animated": [True]}


def _note(video: Video) -> str:
    pixels = hashlib.sha256()
    for picture in video.pictures:
        pixels.update(picture.tobytes())
    width, height = video.pictures[0].size
    facts = {
        "stands for": "a video",
        "frames": len(video.pictures),
        "width": width,
        "height": height,
        "fps": video.fps,
        "sound": video.audio is not None,
        "sha256": pixels.hexdigest(),
    }
    return json.dumps(facts)
