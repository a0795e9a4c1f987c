"""No absolute path is left of a text, and nothing else is taken out of it."""

from __future__ import annotations

import pytest

from comfybridge.comfyui.paths import without_paths
from tests.growth import grows_evenly


@pytest.mark.parametrize(
    ("text", "left"),
    [
        # a file's name helps to find the mistake, and reveals no place
        ("No such file: '/home/me/ComfyUI/input/a b.png'", "No such file: 'a b.png'"),
        ('File "/opt/My Apps/ComfyUI/nodes.py", line 3', 'File "nodes.py", line 3'),
        ("cannot open /srv/comfy/models/x.safetensors: gone", "cannot open x.safetensors: gone"),
        (r"cannot open C:\ComfyUI\models\x.safetensors", "cannot open x.safetensors"),
        (r"in 'C:\Program Files\ComfyUI\input\x.png'", "in 'x.png'"),
        (r"in 'C:\\Program Files\\ComfyUI\\input\\x.png'", "in 'x.png'"),
        (r"in '\\nas\share\x.png'", "in 'x.png'"),
        ("could not load /x.png.", "could not load x.png."),
        # folders, people and machines must not be revealed
        ("full_output_folder: /opt\n output_dir: out2", "full_output_folder: <path>\n output_dir: out2"),
        ("commonpath: /opt", "commonpath: <path>"),
        ("dir:/opt", "dir:<path>"),
        ("dir=/opt/comfy/", "dir=<path>"),
        ("in /home/jane.doe.", "in <path>."),
        ("'/opt'", "'<path>'"),
        ('"/home/o\'brien"', '"<path>"'),
        ("(/opt/a, /opt/b)", "(<path>, <path>)"),
        ("PATH=/usr/bin:/opt/bin", "PATH=<path>:<path>"),
        ("no C:\\ here", "no <path> here"),
        ("no D:\\models here", "no <path> here"),
        ("no d:/models/lora here", "no <path> here"),
        (r"on \\nas\share\models now", "on <path> now"),
        (r"on \\?\C:\models now", "on <path> now"),
        ("on //nas/share now", "on <path> now"),
        ("file:///home/me/x.png and file:/home/me", "x.png and <path>"),
        (r"in C:\Program Files\ComfyUI\custom nodes\x.png!", "in x.png!"),
        ("in /Users/me/Library/Application Support/ComfyUI/models", "in <path>"),
        ("[Errno 13] Permission denied: '/root'", "[Errno 13] Permission denied: '<path>'"),
    ],
)
def test_absolute_paths_are_taken_out(text: str, left: str) -> None:
    assert without_paths(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "see https://example.org/a/b and 1/2/3 or a/b",
        "see http://host/x, ws://host:8188/ws?clientId=1 and s3://bucket/key",
        "Sizes of tensors must match: 4/5",
        "sub/dir/x.png is relative, so is ./x and ../../x",
        "and/or, w/o, n/a, +/-, 5 it/s, 3.2 /s, 12 /min, 1 / 2, 1 /2",
        "on 01/02/2024 at 12:30",
        "node 57:8, and node 12:3/4",
        "<lora:x:1> </lora> <br/>",
        "f(x)/g(x) and a[1]/b",
        "\\d+\\n is a pattern, and so is a\\b",
        "ratio 16:9, C: drive, a: b",
        "image/png; charset=utf-8 or */*",
    ],
)
def test_ordinary_texts_stay(text: str) -> None:
    assert without_paths(text) == text


@pytest.mark.parametrize("unit", ["'/", '"/a', "/", "/a ", "C:\\a ", "\\\\", " /a b", "://", "a/"])
def test_a_long_text_takes_no_long_time(unit: str) -> None:
    grows_evenly(lambda count: unit * count, without_paths, 2500)
