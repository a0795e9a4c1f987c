"""The place of a save node's files: folder, name and counter, from a `filename_prefix`."""

import os
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SavePath:
    """The folder to write to, the name before the counter, the first free counter, and the subfolder to report."""

    folder: Path
    name: str
    counter: int
    subfolder: str


def save_path(prefix: str, root: Path, width: int, height: int) -> SavePath:
    """Resolves a prefix such as `a/b/name_%width%` below `root`, creating its folder; sizes in pixels.

    Raises Exception when the prefix points outside `root`, as ComfyUI does while the node is running.
    """
    filled = os.path.normpath(_filled(prefix, width, height))
    subfolder, name = os.path.split(filled)
    base = os.path.abspath(root)
    folder = os.path.abspath(os.path.join(base, subfolder))
    common = os.path.commonpath((base, folder))
    if common != base:
        raise Exception(
            "**** ERROR: Saving image outside the output folder is not allowed."
            f"\n full_output_folder: {folder}\n         output_dir: {base}\n         commonpath: {common}"
        )
    os.makedirs(folder, exist_ok=True)
    return SavePath(Path(folder), name, _last_counter(folder, name) + 1, subfolder)


def _filled(prefix: str, width: int, height: int) -> str:
    now = time.localtime()
    values = {
        "width": str(width),
        "height": str(height),
        "year": str(now.tm_year),
        "month": f"{now.tm_mon:02}",
        "day": f"{now.tm_mday:02}",
        "hour": f"{now.tm_hour:02}",
        "minute": f"{now.tm_min:02}",
        "second": f"{now.tm_sec:02}",
    }
    for name, value in values.items():
        prefix = prefix.replace(f"%{name}%", value)
    return prefix


def _last_counter(folder: str, name: str) -> int:
    # The whole folder is listed on every save, which makes saving into a full folder slow in ComfyUI too.
    start = os.path.normcase(name + "_")
    counters = [0]
    for file in os.listdir(folder):
        if os.path.normcase(file).startswith(start):
            digits = file[len(start) :].split(".")[0].split("_")[0]
            counters.append(int(digits) if digits.isdecimal() else 0)
    return max(counters)
