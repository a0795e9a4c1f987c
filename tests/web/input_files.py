"""Files for inputs, graphs that load them, and what became of them in ComfyUI."""

from __future__ import annotations

import base64
import io
import struct
import wave
from typing import Any

from PIL import Image, ImageChops

from comfybridge.simulator import Simulator
from tests.web.answers import failure, image


def png(color: str = "red", size: tuple[int, int] = (40, 24)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "PNG")
    return buffer.getvalue()


def wav() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(struct.pack("<h", 7) * 100)
    return buffer.getvalue()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def part(data: bytes, filename: str = "file") -> tuple[io.BytesIO, str]:
    return io.BytesIO(data), filename


def loading(*names: str, loader: str = "LoadImage") -> dict[str, Any]:
    """A graph that loads pictures and saves each."""
    graph: dict[str, Any] = {}
    for number, name in enumerate(names, 1):
        graph[f"{number}0"] = {"class_type": loader, "inputs": {"image": name}}
        save = {"images": [f"{number}0", 0], "filename_prefix": "test"}
        graph[f"{number}1"] = {"class_type": "SaveImage", "inputs": save}
    return graph


def sent_graph(sim: Simulator) -> dict[str, Any]:
    """The graph that was queued last."""
    bodies = [each.body for each in sim.requests if each.path.endswith("/prompt") and each.method == "POST"]
    graph: dict[str, Any] = bodies[-1]["prompt"]
    return graph


def uploads(sim: Simulator) -> list[dict[str, str]]:
    """The forms of the files that were uploaded."""
    return [each.form for each in sim.requests if each.path.endswith("/upload/image")]


def stored(sim: Simulator) -> list[str]:
    folder = sim.input_directory / "comfybridge"
    return sorted(each.name for each in folder.iterdir()) if folder.exists() else []


def refused(response: Any, sim: Simulator, said: str, type: str = "invalid_request", status: int = 400) -> None:
    """The answer is this error, and nothing of the request was sent to ComfyUI."""
    assert said in failure(response, status, type)["error"]
    assert [each.path for each in sim.requests if each.method == "POST"] == []


def same_color(answered: str, data: bytes) -> bool:
    one, other = image(answered).convert("RGB"), Image.open(io.BytesIO(data)).convert("RGB")
    return one.size == other.size and ImageChops.difference(one, other).getbbox() is None
