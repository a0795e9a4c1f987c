"""Nodes that load and save sounds. The files that they save are silent: see `stand_ins`."""

import hashlib
import json
import wave
from pathlib import Path
from typing import Any

from comfybridge.simulator import stand_ins
from comfybridge.simulator.nodes.definition import InputSounds, NodeRun, node
from comfybridge.simulator.nodes.saving import preview_prefix, save_file
from comfybridge.simulator.nodes.values import Sound
from comfybridge.simulator.world import World

_MODULE = "comfy_extras.nodes_audio"
_PREFIX = ("STRING", {"default": "audio/ComfyUI"})


def _file_exists(world: World, audio: Any) -> bool | str:
    if world.folders.annotated_path(audio).exists():
        return True
    return f"Invalid audio file: {audio}"


def _file_hash(world: World, audio: str) -> str:
    return hashlib.sha256(world.folders.annotated_path(audio).read_bytes()).hexdigest()


@node(
    "LoadAudio",
    {"audio": (InputSounds(), {"audio_upload": True})},
    returns=("AUDIO",),
    category="audio",
    title="Load Audio",
    module=_MODULE,
    changed=_file_hash,
    accepts=_file_exists,
    accepts_inputs=("audio",),
)
def load_audio(run: NodeRun, audio: str) -> tuple[Sound]:
    return (_sound_in(run.world.folders.annotated_path(audio)),)


def _sound_in(path: Path) -> Sound:
    try:
        with wave.open(str(path)) as file:
            return Sound(file.getframerate(), file.getnchannels(), file.readframes(file.getnframes()))
    except (wave.Error, EOFError):
        return Sound(44100, 2, path.read_bytes())  # it cannot be decoded here, so its bytes represent its samples


@node(
    "SaveAudio",
    {"audio": ("AUDIO",), "filename_prefix": _PREFIX},
    saves_metadata=True,
    output_node=True,
    category="audio",
    title="Save Audio (FLAC)",
    module=_MODULE,
)
def save_audio(run: NodeRun, audio: Sound, filename_prefix: str) -> dict[str, Any]:
    """Writes the first blocks of a FLAC, without any sound."""
    return {
        "audio": [
            save_file(
                run,
                _flac(audio),
                filename_prefix,
                "flac",
                batch_number=0,
                after_number=_after_number(run),
            )
        ]
    }


@node(
    "SaveAudioMP3",
    {"audio": ("AUDIO",), "filename_prefix": _PREFIX, "quality": (["V0", "128k", "320k"], {"default": "V0"})},
    saves_metadata=True,
    output_node=True,
    category="audio",
    title="Save Audio (MP3)",
    module=_MODULE,
)
def save_mp3(run: NodeRun, audio: Sound, filename_prefix: str, quality: str) -> dict[str, Any]:
    """Writes an MP3 with hardly any sound."""
    return {
        "audio": [
            save_file(
                run,
                stand_ins.mp3(_note(audio)),
                filename_prefix,
                "mp3",
                batch_number=0,
                after_number=_after_number(run),
            )
        ]
    }


@node(
    "PreviewAudio",
    {"audio": ("AUDIO",)},
    saves_metadata=True,
    output_node=True,
    category="audio",
    title="Preview Audio",
    module=_MODULE,
)
def preview_audio(run: NodeRun, audio: Sound) -> dict[str, Any]:
    """Writes the first blocks of a FLAC, without any sound."""
    return {
        "audio": [
            save_file(
                run,
                _flac(audio),
                preview_prefix(run),
                "flac",
                kind="temp",
                batch_number=0,
                after_number=_after_number(run),
            )
        ]
    }


def _flac(sound: Sound) -> bytes:
    return stand_ins.flac(_note(sound), sound.rate, sound.channels, sound.samples)


def _after_number(run: NodeRun) -> str:
    return "" if run.world.version.numbers_plainly else "_"


def _note(sound: Sound) -> str:
    facts = {
        "stands for": "a sound",
        "rate": sound.rate,
        "channels": sound.channels,
        "sha256": hashlib.sha256(sound.samples).hexdigest(),
    }
    return json.dumps(facts)
