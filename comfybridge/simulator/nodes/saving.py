"""Common parts of the nodes that write files."""

import random
from typing import Any

from comfybridge.simulator.nodes.definition import NodeRun
from comfybridge.simulator.save_path import save_path

# ComfyUI's alphabet for the random part of a preview's name; it lacks w.
_LETTERS = "abcdefghijklmnopqrstupvxyz"


def preview_prefix(run: NodeRun) -> str:
    """The prefix of a preview's files, which a node keeps for as long as it is remembered."""
    if "suffix" not in run.memory:
        run.memory["suffix"] = "_temp_" + "".join(random.choices(_LETTERS, k=5))
    return "ComfyUI" + str(run.memory["suffix"])


def extra_texts(run: NodeRun) -> dict[str, Any]:
    """The texts in `extra_data` to save in files besides the graph, by key."""
    return run.extra_data.get("extra_pnginfo") or {}


def save_file(
    run: NodeRun,
    content: bytes,
    prefix: str,
    ending: str,
    *,
    size: tuple[int, int] = (0, 0),
    kind: str = "output",
    batch_number: int | None = None,
    after_number: str = "_",
) -> dict[str, str]:
    """Writes one file below the folder `kind`; returns ComfyUI's description of it.

    `batch_number` stands for `%batch_num%` in the name; savers that put a whole batch into one file leave that alone.
    `after_number` follows the number in the name.
    """
    folder = run.world.folders.of_type(kind)
    assert folder is not None
    place = save_path(prefix, folder, *size)
    stem = place.name if batch_number is None else place.name.replace("%batch_num%", str(batch_number))
    name = f"{stem}_{place.counter:05}{after_number}.{ending}"
    (place.folder / name).write_bytes(content)
    return {"filename": name, "subfolder": place.subfolder, "type": kind}
